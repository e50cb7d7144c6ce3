"""Headers of every response: what browsers may load, embed and send elsewhere."""

from __future__ import annotations

import re
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo.security.middleware import error_response

# Gradio's page consists of inline scripts and styles, and compiles the page's own scripts.
_SOURCES = {
    "default-src": "'self'",
    "script-src": "'self' 'unsafe-inline' 'unsafe-eval' blob:",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "connect-src": "'self' data: blob:",
    "worker-src": "'self' blob:",
    "frame-src": "'self' blob: data:",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
}

_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}

_REFLECTED = ("access-control-allow-origin", "access-control-allow-credentials")


_HOST = re.compile(r"([\w.-]+|\[[0-9a-f:.]+\])(:\d{1,5})?", re.ASCII | re.IGNORECASE)

_CLAIMS = (b"x-forwarded-host", b"x-forwarded-proto", b"x-gradio-server", b"forwarded")


class HostNames:
    """Keeps clients from telling the page an address of its own.

    Gradio writes the address of the server into its page, and believes these headers. A proxy that
    the owner has named may tell the name that its visitors see; uvicorn has read the rest.
    """

    def __init__(self, app: ASGIApp, behind_proxy: bool = False) -> None:
        """Wrap an application.

        Args:
            app: the application.
            behind_proxy: whether the owner has named a proxy.
        """
        self.app = app
        self._dropped = _CLAIMS[1:] if behind_proxy else _CLAIMS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] == "http":
            kept = [each for each in scope["headers"] if each[0] not in self._dropped]
            scope = {**scope, "headers": kept}
            headers = Headers(scope=scope)
            for name in ("host", "x-forwarded-host"):
                if name in headers and not _HOST.fullmatch(headers[name]):
                    message = f"the header {name.title()} is no name of a server"
                    await error_response(scope, 400, message)(scope, receive, send)
                    return
        await self.app(scope, receive, send)


class SecurityHeaders:
    """Adds a content security policy and its relatives to every response.

    Headers that gradio sets to let any origin in, by repeating it, are removed: other origins are
    let in by starlette's `CORSMiddleware` around this class, by name.
    """

    def __init__(
        self, app: ASGIApp, origins: Sequence[str] = (), tiles: Sequence[str] = ()
    ) -> None:
        """Wrap an application.

        Args:
            app: the application.
            origins: other web sites that may show the page in a frame; "*" for all.
            tiles: origins of the map tiles that the owner chose.
        """
        self.app = app
        sources = dict(_SOURCES)
        for kind in ("img-src", "connect-src"):
            sources[kind] = " ".join([sources[kind], *tiles])
        sources["frame-ancestors"] = " ".join(["'self'", *origins])
        self._headers = _ALWAYS | {
            "Content-Security-Policy": "; ".join(f"{name} {of}" for name, of in sources.items())
        }
        if not origins:  # this older header cannot name others
            self._headers["X-Frame-Options"] = "SAMEORIGIN"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name in _REFLECTED:
                    del headers[name]
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)
