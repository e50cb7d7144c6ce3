"""Events of the page are read and checked before gradio sees them, and its paths stay private.

Gradio answers an event whose values have the wrong type with 500, and writes a traceback. It
answers an upload with the path of the file on the server.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, MutableMapping
from typing import Any

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo.security.middleware import error_response, path_of, request_id
from geoloc.errors import GeolocError

MAX_EVENT_BYTES = 1_000_000

log = logging.getLogger("geoloc.service")


class CheckedEvents:
    """Passes requests of some paths on with a body that was checked."""

    def __init__(
        self, app: ASGIApp, paths: tuple[str, ...], check: Callable[[str, bytes], bytes]
    ) -> None:
        """Wrap an application.

        Args:
            app: the application.
            paths: of the requests that are checked.
            check: gets path and body, and returns the body to pass on; it raises GeolocError for
                one that is refused.
        """
        self.app, self._paths, self._check = app, paths, check

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        path = path_of(scope).rstrip("/") if scope["type"] == "http" else ""
        if path not in self._paths or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        try:
            body = self._check(path, await _body(scope, receive))
        except HTTPException as error:
            headers = dict(error.headers or {})
            refusal = error_response(scope, error.status_code, str(error.detail), headers)
            await refusal(scope, receive, send)
            return
        except GeolocError as error:
            await error_response(scope, 422, str(error))(scope, receive, send)
            return
        waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive_checked() -> Message:
            return waiting.pop() if waiting else await receive()

        await self.app(_with_length(scope, len(body)), receive_checked, send)


class Uploads:
    """Names uploads without the folder in which the server keeps them; refuses other forms."""

    def __init__(self, app: ASGIApp, path: str, name: Callable[[str], str]) -> None:
        """Wrap an application.

        Args:
            app: the application.
            path: of uploads, which are answered with a list of paths.
            name: returns what the browser is told of a path.
        """
        self.app, self._path, self._name = app, path, name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http" or path_of(scope).rstrip("/") != self._path:
            await self.app(scope, receive, send)
            return
        start: Message = {}
        body = b""

        async def hold(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
                return
            body += message.get("body", b"")

        try:
            await self.app(scope, receive, hold)
            if start["status"] == 200:
                body = json.dumps([self._name(path) for path in json.loads(body)]).encode()
        except Exception as error:  # gradio raises TypeError for a form without files, and others
            log.warning("%s: no upload: %s", request_id(scope), type(error).__name__)
            message = "the form cannot be read; send files in the field 'files'"
            await error_response(scope, 400, message)(scope, receive, send)
            return
        await send(_with_length(start, len(body)))
        await send({"type": "http.response.body", "body": body})


async def _body(scope: Scope, receive: Receive) -> bytes:
    """Return the whole body of a request.

    Raises:
        HTTPException: it is no JSON, too large, or does not arrive.
    """
    if Headers(scope=scope).get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HTTPException(422, "send the event as application/json; reload the page")
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise HTTPException(400, "the request was broken off")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAX_EVENT_BYTES:
            raise HTTPException(413, f"more than {MAX_EVENT_BYTES // 10**6} MB in one event")
    return body


def _with_length(scope: MutableMapping[str, Any], size: int) -> dict[str, Any]:
    """Return a scope, or the start of an answer, whose body has another size."""
    replaced = (b"content-length", b"transfer-encoding")
    headers = [each for each in scope["headers"] if each[0] not in replaced]
    return {**scope, "headers": [*headers, (b"content-length", str(size).encode())]}
