"""The page behind a proxy that takes a prefix away, under a name that the server does not know."""

import httpx
import pytest

pytest.importorskip("gradio", reason="the demo extra is not installed")

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from tests.browser import WEBGL, Watch, launched
from tests.demo.services import fake, in_thread

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect

NAME = "planet.example"
PREFIX = "/geoloc"


def proxy_of(address: str):
    """Return an application that passes on what comes below PREFIX, as nginx does by default.

    The server sees its own address in the header Host.
    """
    client = httpx.AsyncClient(base_url=address, timeout=60)

    async def proxy(scope, receive, send):
        request = Request(scope, receive)
        if not scope["path"].startswith(f"{PREFIX}/"):
            await Response(status_code=404)(scope, receive, send)
            return
        below = f"{scope['raw_path'].decode().removeprefix(PREFIX)}?{request.url.query}"
        headers = [each for each in request.headers.raw if each[0] != b"host"]
        asked = client.build_request(
            request.method, below, headers=headers, content=await request.body()
        )
        reply = await client.send(asked, stream=True)
        answer = StreamingResponse(reply.aiter_raw(), reply.status_code)
        answer.raw_headers = reply.headers.raw
        await answer(scope, receive, send)
        await reply.aclose()

    return proxy


@pytest.fixture
def site():
    access = {"root_path": PREFIX, "api_key": "key"}
    with (
        fake(page=True, access=access) as server,
        in_thread(proxy_of(server.address), lifespan="off") as port,
    ):
        yield f"http://{NAME}:{port}{PREFIX}/"


def test_login_answer_map_and_batch_work_behind_a_prefix(chromium_driver, site, photo):
    arguments = [*WEBGL, f"--host-resolver-rules=MAP {NAME} 127.0.0.1"]
    with launched(chromium_driver, arguments) as browser:
        page, watch = browser.new_page(), Watch(site)
        watch.add(page, console=False)
        page.goto(site)
        page.get_by_label("Key").fill("key")
        page.keyboard.press("Enter")
        page.get_by_label("Photos", exact=True).set_input_files(photo)
        expect(page.get_by_role("heading", name="Sydney")).to_be_visible()
        page.wait_for_function("document.querySelector('#world .planet')?.planet?.map")
        page.get_by_role("tab", name="Batch").click()
        page.get_by_label("Many photos, or a zip file").set_input_files(photo)
        expect(page.locator(".batch tbody tr")).to_have_count(1)
        watch.check()
