"""What every request passes first, page and API alike: plain ASGI, so that streams stay streams."""

from __future__ import annotations

import asyncio
import logging
import math
import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo.limits import RateLimit

REQUEST_ID = "X-Request-ID"

log = logging.getLogger("geoloc.service")


def problem(
    scope: Scope, status: int, message: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    """A refusal in one line."""
    return JSONResponse(
        {"error": " ".join(message.split()), "request_id": request_id(scope)}, status, headers
    )


def request_id(scope: Scope) -> str:
    """The id of the request, given by the client or by `RequestIds`."""
    return str(scope.get("state", {}).get("request_id", ""))


class RequestIds:
    """Gives every request an id, says it in the answer, and logs it.

    What is logged of the API are id, method, path, status and time. Names of photos, addresses of
    clients and ids of batches are not, and of the page nothing, whose paths hold names of files.
    """

    GIVEN = re.compile(r"[\w.:-]{1,64}", re.ASCII)

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID, "")
        name = given if self.GIVEN.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = name
        path, started = scope["path"], time.perf_counter()

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[REQUEST_ID] = name
                if path.startswith("/v1"):
                    shown = "/".join(path.split("/")[:3])[:40]
                    ms = 1000.0 * (time.perf_counter() - started)
                    log.info(
                        "%s %s %r %d %.0f ms", name, scope["method"], shown, message["status"], ms
                    )
            await send(message)

        await self.app(scope, receive, answer)


class Refusals:
    """Turns away what is never answered: too many posts, and gradio's ways of fetching pages."""

    FETCHING = re.compile(
        r"/gradio_api/(proxy=|file=[\s/]*[a-z+.-]+:|run-history|vibe|undo-vibe)", re.I
    )

    def __init__(self, app: ASGIApp, posts_per_minute: int) -> None:
        self.app, self._rate = app, RateLimit(posts_per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (refusal or self.app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        if self.FETCHING.match(scope["path"]):
            return problem(scope, 403, "this service fetches nothing; upload the file itself")
        if scope["method"] != "POST":
            return None
        wait_s = self._rate.wait_s((scope.get("client") or ("",))[0])
        if wait_s <= 0.0:
            return None
        after = {"Retry-After": str(math.ceil(wait_s))}
        return problem(
            scope, 429, f"too many requests; ask again in {math.ceil(wait_s)} seconds", after
        )


class BodyLimit:
    """Refuses bodies that are too large, before they are read if they say so, or too slow."""

    def __init__(self, app: ASGIApp, most_bytes: int, within_s: float) -> None:
        self.app, self._most, self._within_s = app, most_bytes, within_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdigit() and int(declared) > self._most:
            refusal = problem(scope, 413, self._too_large(), {"Connection": "close"})
            await refusal(scope, receive, send)
            return
        await self.app(scope, self._limited(receive), send)

    def _limited(self, receive: Receive) -> Receive:
        clock = asyncio.get_running_loop().time
        deadline, seen, complete = clock() + self._within_s, 0, False

        async def limited() -> Message:
            nonlocal seen, complete
            if complete:  # what is waited for now is the end of the connection
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), deadline - clock())
            except TimeoutError:
                raise HTTPException(
                    408, f"the upload took longer than {self._within_s:g} s; send less at once"
                ) from None
            seen += len(message.get("body", b""))
            if seen > self._most:
                raise HTTPException(413, self._too_large())
            complete = not message.get("more_body", False)
            return message

        return limited

    def _too_large(self) -> str:
        return f"more than {self._most // 10**6} MB in one request; send fewer or smaller photos"
