import asyncio
import json
from dataclasses import replace

import pytest

pytest.importorskip("fastapi", reason="the demo extra is not installed")

from starlette.exceptions import HTTPException

from demo.api.limits import Limits
from demo.security.uploads import BUSY, FULL, PAGE_UPLOAD, BodyLimit

MB = 10**6
LIMITS = Limits(upload_mb=3, receiving_mb=4, kept_mb=5, keep_s=3600.0)


class Upload:
    """A request to an ASGI application, whose body is sent step by step."""

    def __init__(self, app, path="/v1/locate", declared=None):
        length = [] if declared is None else [(b"content-length", str(declared).encode())]
        headers = length or [(b"transfer-encoding", b"chunked")]
        scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
        self._parts, self._answer = asyncio.Queue(), []
        self._task = asyncio.create_task(app(scope, self._parts.get, self._send))

    async def _send(self, message):
        self._answer.append(message)

    async def send(self, size, last=False):
        self._parts.put_nowait({"type": "http.request", "body": bytes(size), "more_body": not last})
        for _ in range(20):  # turns of the event loop, until the application waits again
            await asyncio.sleep(0)

    async def answer(self):
        """Return status, error and the time after which to try again."""
        await self._task
        start, *bodies = self._answer
        content = b"".join(body.get("body", b"") for body in bodies)
        retry = dict(start["headers"]).get(b"retry-after")
        return start["status"], json.loads(content).get("error"), retry


async def read(scope, receive, send):
    """Read the whole body, then answer; errors are answered as the service does."""
    status, content, headers = 200, {}, []
    try:
        while (await receive())["more_body"]:
            pass
    except HTTPException as error:
        status, content = error.status_code, {"error": error.detail}
        headers = [(k.lower().encode(), v.encode()) for k, v in (error.headers or {}).items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(content).encode()})


def test_all_bodies_together_are_limited_and_room_returns_with_the_answers():
    async def scenario():
        app = BodyLimit(read, LIMITS)
        app.LINGER_S = 0.0
        first, second = Upload(app, declared=3 * MB), Upload(app)
        await first.send(2 * MB)
        await second.send(2 * MB)
        assert app.receiving.held == 4 * MB
        assert await Upload(app, declared=2 * MB).answer() == (503, BUSY, b"5")  # before it is read
        app.LINGER_S = 60.0
        await second.send(1)  # refused, and its room is free before its answer has ended
        assert app.receiving.held == 2 * MB
        await second.send(0, last=True)
        assert await second.answer() == (503, BUSY, b"5")
        app.LINGER_S = 0.0
        await first.send(1 * MB, last=True)
        assert await first.answer() == (200, None, None)
        assert app.receiving.held == 0

    asyncio.run(scenario())


def test_a_length_that_is_only_declared_takes_no_room():
    async def scenario():
        app = BodyLimit(read, LIMITS)
        idle = [Upload(app, declared=3 * MB) for _ in range(50)]
        good = Upload(app, declared=3 * MB)
        await good.send(3 * MB, last=True)
        assert await good.answer() == (200, None, None)
        for upload in idle:
            await upload.send(0, last=True)
            await upload.answer()

    asyncio.run(scenario())


def test_uploads_of_the_page_count_while_their_files_are_kept():
    async def scenario():
        app = BodyLimit(read, LIMITS)
        kept = Upload(app, PAGE_UPLOAD, declared=3 * MB)
        await kept.send(3 * MB, last=True)
        assert await kept.answer() == (200, None, None)
        assert app.kept.held == 3 * MB
        assert await Upload(app, PAGE_UPLOAD, declared=3 * MB).answer() == (503, FULL, b"60")
        other = Upload(app, declared=3 * MB)  # the API keeps nothing
        await other.send(3 * MB, last=True)
        assert await other.answer() == (200, None, None)
        assert app.kept.held == 3 * MB

    asyncio.run(scenario())


def test_room_returns_when_the_files_of_the_page_are_deleted():
    async def scenario():
        app = BodyLimit(read, replace(LIMITS, keep_s=0.0))
        for _ in range(3):
            kept = Upload(app, PAGE_UPLOAD, declared=3 * MB)
            await kept.send(3 * MB, last=True)
            assert await kept.answer() == (200, None, None)
            while app.kept.held:
                await asyncio.sleep(0)

    asyncio.run(scenario())


@pytest.mark.parametrize("declared", [3 * MB + 1, "9" * 5000])
def test_a_body_that_is_too_large_is_refused_before_it_is_read(declared):
    async def scenario():
        app = BodyLimit(read, LIMITS)
        app.LINGER_S = 0.0
        status, error, _ = await Upload(app, declared=declared).answer()
        assert (status, error) == (
            413, "more than 3 MB in one request; send fewer or smaller photos",
        )  # fmt: skip

    asyncio.run(scenario())
