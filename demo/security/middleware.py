"""What every request passes first, page and API alike: plain ASGI, so that streams stay streams."""

from __future__ import annotations

import asyncio
import logging
import math
import re
import time
import uuid
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo.api.limits import RateLimit

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
    """Refuses bodies that are too large, before they are read if they say so, or too slow.

    A refusal reaches a client only if the connection is not closed while it still sends: for a
    moment what comes is thrown away.
    """

    LINGER_S = 2.0

    def __init__(self, app: ASGIApp, most_bytes: int, within_s: float) -> None:
        self.app, self._most, self._within_s = app, most_bytes, within_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        body = _Body(receive, self._most, self._within_s)
        body.complete = "content-length" not in headers and "transfer-encoding" not in headers

        async def answer(message: Message) -> None:
            last = message["type"] == "http.response.body" and not message.get("more_body")
            if last and not body.complete:
                await send({**message, "more_body": True})
                await body.discard(self.LINGER_S)
                message = {"type": "http.response.body"}
            await send(message)

        declared = headers.get("content-length", "0")
        too_large = declared.isdigit() and int(declared) > self._most
        refusal = problem(scope, 413, body.too_large) if too_large else None
        await (refusal or self.app)(scope, body.receive, answer)


class _Body:
    """What is received of a request, within limits."""

    def __init__(self, receive: Receive, most_bytes: int, within_s: float) -> None:
        self._receive, self._most, self._within_s = receive, most_bytes, within_s
        self._clock = asyncio.get_running_loop().time
        self._deadline, self._seen = self._clock() + within_s, 0
        self.complete = False
        self.too_large = (
            f"more than {most_bytes // 10**6} MB in one request; send fewer or smaller photos"
        )

    async def receive(self) -> Message:
        """See ASGI; HTTPException where a limit is passed."""
        if self.complete:  # what is waited for now is the end of the connection
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), self._deadline - self._clock())
        except TimeoutError:
            raise HTTPException(
                408, f"the upload took longer than {self._within_s:g} s; send less at once"
            ) from None
        self._seen += len(message.get("body", b""))
        if self._seen > self._most:
            raise HTTPException(413, self.too_large)
        self.complete = not message.get("more_body", False)
        return message

    async def discard(self, within_s: float) -> None:
        """Throw the rest away, for some time at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not self.complete:
                    self.complete = not (await self._receive()).get("more_body", False)
