"""Limits on the bodies of requests: each one's size and time, and the bytes of all together."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo.api.limits import RETRY_SOON, Limits
from demo.security.middleware import error_response, path_of

BUSY = "the service is receiving as many photos as it has room for; try again in a few seconds"
FULL = "the service keeps as many photos as it has room for; try again in a minute"

RETRY_LATER = {"Retry-After": "60"}

PAGE_UPLOAD = "/gradio_api/upload"
"""Its files are kept after the answer, for the events of the page."""


class ByteBudget:
    """Bytes that are held at present, and how many may be."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes, self.held = max_bytes, 0

    def fits(self, size: int) -> bool:
        """Return whether so many more bytes may be held."""
        return self.held + size <= self._max_bytes

    def take(self, size: int) -> None:
        """Count bytes that are held from now on."""
        self.held += size

    def give_back(self, size: int) -> None:
        """Count bytes no longer."""
        self.held -= size


class BodyLimit:
    """Refuses request bodies that are too large, arrive too slowly, or find no room.

    Received bytes count until the request is answered, and those of the page's uploads for as long
    as their files are kept. A length that is only declared takes no room: clients that declare much
    and send little keep nobody out.

    If the header declares a length above the limit, the body is not read. A client that is still
    sending would not receive the response if the connection were closed at once, so the rest of the
    body is read and discarded for up to `LINGER_S`.
    """

    LINGER_S = 2.0

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self.app, self._limits = app, limits
        self.receiving = ByteBudget(max(limits.receiving_mb, limits.upload_mb) * 10**6)
        self.kept = ByteBudget(max(limits.kept_mb, limits.upload_mb) * 10**6)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        body = _LimitedBody(receive, self._limits, self.receiving)
        body.complete = "content-length" not in headers and "transfer-encoding" not in headers

        async def send_after_body(message: Message) -> None:
            last = message["type"] == "http.response.body" and not message.get("more_body")
            if last and not body.complete:
                await send({**message, "more_body": True})
                await body.discard(self.LINGER_S)
                message = {"type": "http.response.body"}
            await send(message)

        refusal = self._refusal(scope, headers.get("content-length", "0"), body.too_large)
        try:
            await (refusal or self.app)(scope, body.receive, send_after_body)
        finally:
            self.receiving.give_back(body.received)
            if path_of(scope) == PAGE_UPLOAD and not refusal:
                self._keep(body.received)

    def _refusal(self, scope: Scope, declared: str, too_large: str) -> JSONResponse | None:
        """Return the answer to a body that is too large by its declared length."""
        size = int(declared) if declared.isdigit() and len(declared) < 20 else 0
        if size > self._limits.upload_mb * 10**6 or len(declared) >= 20:
            return error_response(scope, 413, too_large)
        if not self.receiving.fits(size):
            return error_response(scope, 503, BUSY, RETRY_SOON)
        if path_of(scope) == PAGE_UPLOAD and not self.kept.fits(size):
            return error_response(scope, 503, FULL, RETRY_LATER)
        return None

    def _keep(self, size: int) -> None:
        """Count the files of an upload until they are deleted."""
        self.kept.take(size)
        loop = asyncio.get_running_loop()
        loop.call_later(self._limits.keep_s, self.kept.give_back, size)


class _LimitedBody:
    """The body of one request, with limits of size and time."""

    def __init__(self, receive: Receive, limits: Limits, budget: ByteBudget) -> None:
        self._receive, self._limits, self._budget = receive, limits, budget
        self._clock = asyncio.get_running_loop().time
        self._deadline = self._clock() + limits.receive_s
        self.received = 0
        self.complete = False
        self.too_large = (
            f"more than {limits.upload_mb} MB in one request; send fewer or smaller photos"
        )

    async def receive(self) -> Message:
        """Return the next ASGI message.

        Raises:
            HTTPException: 408, 413 or 503, a limit is exceeded.
        """
        if self.complete:  # the next message is the disconnection, which has no deadline
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), self._deadline - self._clock())
        except TimeoutError:
            raise HTTPException(
                408,
                f"the upload took longer than {self._limits.receive_s:g} s;"
                " send fewer photos at once",
            ) from None
        size = len(message.get("body", b""))
        if self.received + size > self._limits.upload_mb * 10**6:
            raise HTTPException(413, self.too_large)
        if not self._budget.fits(size):
            # at once, and not after the answer: else those who arrive together are all refused
            self._budget.give_back(self.received)
            self.received = 0
            raise HTTPException(503, BUSY, RETRY_SOON)
        self._budget.take(size)
        self.received += size
        self.complete = not message.get("more_body", False)
        return message

    async def discard(self, timeout_s: float) -> None:
        """Read and drop the rest of the body, for at most `timeout_s`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not self.complete:
                    self.complete = not (await self._receive()).get("more_body", False)
