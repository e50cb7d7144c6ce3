import shutil
from pathlib import Path

import pytest
from services import mounted

gradio_client = pytest.importorskip("gradio_client", reason="the demo extra is not installed")

CHROMIUM = shutil.which("chromium")
WEBGL = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


@pytest.fixture
def address(geolocator):
    """The real server on a free port."""
    with mounted({"fake": geolocator}) as (address, _):
        yield address


def ask(address: str, photo: Path):
    client = gradio_client.Client(address, verbose=False, analytics_enabled=False)
    gallery = [{"image": gradio_client.handle_file(str(photo)), "caption": None}]
    return client.predict(gallery, api_name="/locate")


def test_the_server_answers_an_uploaded_photo(address, photo):
    summary, figure, table, note = ask(address, photo)
    assert summary.startswith("### Sydney, New South Wales, Australia")
    assert figure["type"] == "plotly"
    assert [row[1].split(",")[0] for row in table["data"]] == ["Sydney", "Hobart"]
    assert "1,057 km" in note  # the original file arrived, with what it says about itself


def test_uploads_are_kept_privately_and_deleted(geolocator, photo, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    with mounted({"fake": geolocator}) as (address, page):
        ask(address, photo)
        (upload,) = tmp_path.glob("uploads/**/holiday.jpg")
    assert not upload.exists()
    assert page.delete_cache[1] <= 300


def test_an_unreadable_upload_is_named_and_the_server_lives_on(address, photo, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_text("not a picture")
    summary, figure, table, _ = ask(address, broken)
    assert "broken.jpg: not a picture" in summary
    assert str(tmp_path) not in summary
    assert figure is None
    assert table["data"] == []
    assert ask(address, photo)[0].startswith("### Sydney")


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium")
def test_a_person_drops_a_photo_and_nothing_leaves_the_machine(address, photo, tmp_path):
    from playwright.sync_api import expect, sync_playwright

    outside = []
    with sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=CHROMIUM, args=WEBGL)
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.on("request", lambda r: outside.append(r.url) if not local(r.url, address) else None)
        page.goto(address)
        page.locator("input[type=file]").first.set_input_files(photo)
        expect(page.get_by_role("heading", name="Sydney, New South Wales")).to_be_visible()
        page.locator(".maplibregl-canvas").wait_for(timeout=30_000)
        page.wait_for_timeout(1500)  # the map draws itself in frames
        page.screenshot(path=tmp_path / "page.png")
        expect(page.get_by_role("link", name="OpenStreetMap").first).to_be_visible()
        browser.close()
    assert outside == []


def local(url: str, address: str) -> bool:
    return url.startswith((address, "data:", "blob:"))
