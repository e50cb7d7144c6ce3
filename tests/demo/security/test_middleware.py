import asyncio
import json

import pytest

pytest.importorskip("fastapi", reason="the demo extra is not installed")

from demo.security.middleware import PageLimit


async def answer(app, method, path):
    """Send a request to an ASGI application; return status and body."""
    messages = []

    async def send(message):
        messages.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": []}
    await app(scope, None, send)
    return messages[0]["status"], messages[1]["body"]


def test_events_of_the_page_are_refused_while_too_many_others_are_handled():
    async def scenario():
        may_end, started = asyncio.Event(), asyncio.Semaphore(0)

        async def slow(scope, receive, send):
            started.release()
            if scope["method"] == "POST":
                await may_end.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"done"})

        limited = PageLimit(slow, 2)
        event = "POST", "/gradio_api/run/predict"
        handled = [asyncio.create_task(answer(limited, *event)) for _ in range(2)]
        for _ in handled:
            await started.acquire()
        status, body = await answer(limited, *event)
        assert (status, json.loads(body)["error"]) == (
            503,
            "the service is busy; try again in a few seconds",
        )
        assert await answer(limited, "GET", "/gradio_api/heartbeat/x") == (200, b"done")
        may_end.set()
        assert await answer(limited, "POST", "/v1/locate") == (200, b"done")
        assert await asyncio.gather(*handled) == [(200, b"done")] * 2
        assert await answer(limited, *event) == (200, b"done")

    asyncio.run(scenario())
