"""Who may use a server: the key of its owner, for the API and for the page."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from functools import cache
from http.cookies import CookieError, SimpleCookie
from importlib import resources
from urllib.parse import parse_qs

from jinja2 import Template
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from demo.api.limits import RateLimit
from demo.security.middleware import error_response, path_of

COOKIE = "geoloc_login"
LOGIN = "/login"
OPEN = frozenset(("/v1/health", "/v1/openapi.json", "/v1/schema.json"))
"""Paths that need no key: they say nothing about photos."""

TRIES_PER_MINUTE = 10
"""Keys that one client may try at the login."""

MAX_LOGIN_BYTES = 4096

LOCAL = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?", re.ASCII | re.IGNORECASE)
"""Names of this machine in the header Host."""

ORIGIN = re.compile(r"\*|https?://[\w.*-]+(:\d+)?", re.ASCII)


@dataclass(frozen=True)
class Access:
    """What the owner of a server allows."""

    api_key: str | None = None
    """Required of the API in the header X-API-Key, and of the page once, at its login."""
    origins: tuple[str, ...] = ()
    """Other web sites, as "https://example.org", whose pages may call the API and show the page in
    a frame; "*" for all."""
    root_path: str = ""
    """Path of this server behind a proxy that takes it away, as "/geoloc"."""
    max_precision_km: float = 0.0
    """No answer is more precise; see `demo.security.precision`. 0: no limit."""
    behind_proxy: bool = False
    """Whether the owner has named a proxy, which may tell the name that visitors see."""
    local_only: bool = False
    """Whether the page shows photos of the owner, and answers to names of this machine alone."""


class LocalGuard:
    """Refuses requests to a name that is not of this machine.

    A web site can point its own name to 127.0.0.1 after a visitor has opened it (DNS rebinding).
    For the visitor's browser this server is then a part of that site, which may read everything.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] == "http" and not LOCAL.fullmatch(Headers(scope=scope).get("host", "")):
            message = "this server answers this machine only; open it as http://localhost"
            await error_response(scope, 403, message)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


class KeyGuard:
    """Refuses requests without the key before their body is read; shows the page's login.

    The cookie of a login is derived from the key and a secret of this process: it is worth nothing
    after a restart, and says nothing about the key.
    """

    def __init__(self, app: ASGIApp, api_key: str) -> None:
        self.app, self._key = app, api_key.encode()
        digest = hmac.new(secrets.token_bytes(32), self._key, hashlib.sha256)
        self._token = digest.hexdigest()
        self._tries = RateLimit(TRIES_PER_MINUTE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] == "lifespan" or self._may_pass(scope):
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            refusal = await self._refusal(scope, receive)
            await refusal(scope, receive, send)

    def _may_pass(self, scope: Scope) -> bool:
        if path_of(scope) in OPEN:
            return True
        headers = Headers(scope=scope)
        if self._is_key(headers.get("x-api-key", "")):
            return True
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return cookie is not None and _is_same(cookie.value, self._token.encode())

    def _is_key(self, text: str) -> bool:
        return _is_same(text, self._key)

    async def _refusal(self, scope: Scope, receive: Receive) -> Response:
        path = path_of(scope)
        if path.startswith("/v1"):
            return error_response(scope, 401, "the header X-API-Key is missing or wrong")
        if path == LOGIN and scope["method"] == "POST":
            return await self._login(scope, receive)
        if scope["method"] not in ("GET", "HEAD") or path not in ("", "/", LOGIN):
            return error_response(scope, 401, "log in at the start page first")
        return _login_page(scope, "", 401)

    async def _login(self, scope: Scope, receive: Receive) -> Response:
        """Answer the form of the login: with the page's cookie if the key is right."""
        if self._tries.wait_s((scope.get("client") or ("",))[0]) > 0.0:
            return _login_page(scope, "Too many tries: wait a minute.", 429)
        given = await _form_value(receive, "key")
        if not self._is_key(given):
            return _login_page(scope, "This is not the key.", 401)
        root = scope.get("root_path", "")
        answer = RedirectResponse(f"{root}/", 303)
        answer.set_cookie(
            COOKIE,
            self._token,
            path=f"{root}/",
            httponly=True,
            samesite="strict",
            secure=scope.get("scheme") == "https",
        )
        return answer


def _is_same(given: str, secret: bytes) -> bool:
    """Compare in a time that does not depend on the secret; text of a client may be anything."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), secret)


async def _form_value(receive: Receive, name: str) -> str:
    """Return one value of a small urlencoded form; "" if it is missing or the form is large."""
    body, more = b"", True
    while more and len(body) <= MAX_LOGIN_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            return ""
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if more or len(body) > MAX_LOGIN_BYTES:
        return ""
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    return fields.get(name, [""])[0]


def _login_page(scope: Scope, message: str, status: int) -> HTMLResponse:
    root = scope.get("root_path", "")
    return HTMLResponse(_template().render(root=root, message=message), status)


@cache
def _template() -> Template:
    source = resources.files("demo.security").joinpath("templates/login.html").read_text("utf-8")
    template: Template = Template(source, autoescape=True)
    return template
