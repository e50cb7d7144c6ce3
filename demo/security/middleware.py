"""ASGI middleware of page and API: request ids, blocked paths, limits of rate and number.

Plain ASGI classes are used because starlette's `BaseHTTPMiddleware` buffers streamed responses.
"""

from __future__ import annotations

import logging
import math
import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo.api.limits import RETRY_SOON, RateLimit

REQUEST_ID = "X-Request-ID"

log = logging.getLogger("geoloc.service")


def error_response(
    scope: Scope, status: int, message: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    """Return an error as JSON: one line of text and the request id."""
    return JSONResponse(
        {"error": " ".join(message.split()), "request_id": request_id(scope)}, status, headers
    )


def request_id(scope: Scope) -> str:
    """Return the id of a request, given by the client or made by `RequestIds`."""
    return str(scope.get("state", {}).get("request_id", ""))


def path_of(scope: Scope) -> str:
    """Return the path of a request without the prefix that a proxy takes away."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    inside = root and path.startswith(root) and path[len(root) : len(root) + 1] in ("", "/")
    return path[len(root) :] if inside else path


class RequestIds:
    """Gives every request an id, in the log and in the response header X-Request-ID.

    A valid id of the client is kept. The log line of an API request holds id, method, path, status
    and duration, but no file names, client addresses or batch ids. Requests of the page are not
    logged, because their paths contain file names.
    """

    VALID_ID = re.compile(r"[\w.:-]{1,64}", re.ASCII)

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        client_id = Headers(scope=scope).get(REQUEST_ID, "")
        id_ = client_id if self.VALID_ID.fullmatch(client_id) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = id_
        path, started = path_of(scope), time.perf_counter()

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[REQUEST_ID] = id_
                if path.startswith("/v1"):
                    endpoint = "/".join(path.split("/")[:3])[:40]
                    ms = 1000.0 * (time.perf_counter() - started)
                    log.info(
                        "%s %s %r %d %.0f ms",
                        id_,
                        scope["method"],
                        endpoint,
                        message["status"],
                        ms,
                    )
            await send(message)

        await self.app(scope, receive, send_with_id)


class HeadAsGet:
    """Answers HEAD requests of the API as GET requests without a body."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        is_head = scope["type"] == "http" and scope["method"] == "HEAD"
        if not is_head or not path_of(scope).startswith("/v1"):
            await self.app(scope, receive, send)
            return

        async def send_headers(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self.app({**scope, "method": "GET"}, receive, send_headers)


class RequestFilter:
    """Refuses requests above the rate limit, and to what the page does not use of gradio.

    Gradio has addresses that download, read or run something: its queue would bypass `PageLimit`, a
    deep link writes a file, a listener to reloads holds a connection, and a description of the
    events is kept with the address that its first reader claims to see.
    """

    USED = re.compile(
        r"/(v1(/.*)?|map/.*|progress/[\w-]+|login|config|theme\.css|favicon\.ico|robots\.txt|manifest\.json"
        r"|(assets|static|svelte)/[^?]*"
        r"|gradio_api/(upload|run/predict|component_server|startup-events|heartbeat/\w+)/?)?",
        re.DOTALL,
    )
    """Paths of page and API."""

    def __init__(self, app: ASGIApp, posts_per_minute: int) -> None:
        self.app, self._rate = app, RateLimit(posts_per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (refusal or self.app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        if not self.USED.fullmatch(path_of(scope)):
            message = "this page does not use this address; /v1/openapi.json lists those of the API"
            return error_response(scope, 404, message)
        if scope["method"] != "POST":
            return None
        wait_s = self._rate.wait_s((scope.get("client") or ("",))[0])
        if wait_s <= 0.0:
            return None
        seconds = math.ceil(wait_s)
        return error_response(
            scope,
            429,
            f"too many requests; try again in {seconds} seconds",
            {"Retry-After": str(seconds)},
        )


class PageLimit:
    """Refuses uploads and events of the page while too many others are handled or waiting."""

    def __init__(self, app: ASGIApp, max_requests: int) -> None:
        self.app, self._free = app, max_requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        is_post = scope["type"] == "http" and scope["method"] == "POST"
        if not is_post or not path_of(scope).startswith("/gradio_api/"):
            await self.app(scope, receive, send)
            return
        if not self._free:
            message = "the service is busy; try again in a few seconds"
            await error_response(scope, 503, message, RETRY_SOON)(scope, receive, send)
            return
        self._free -= 1
        try:
            await self.app(scope, receive, send)
        finally:
            self._free += 1
