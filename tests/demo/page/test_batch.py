"""The tab "Batch": many photos, or a zip file, become a table, a map and files of all formats."""

import csv
import io
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="the demo extra is not installed")

from demo.api.limits import Limits
from demo.page.many.batch import FORMATS
from geoloc.output.sinks import SINKS
from tests.browser import TIMEOUT_MS, Watch
from tests.demo.fake_service import ColourGeolocator, photo_of, place_of
from tests.demo.services import jpeg
from tests.demo.states import check_state

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect

LIMITS = Limits(batch_photos=5, batches=4, upload_mb=1)
"""Batches of at most five photos, so that a dozen are sent in groups."""


class Listening(ColourGeolocator):
    """Keeps the constraints that it is asked with."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = []

    def parse(self, within):
        self.asked.append(within)
        return super().parse(within)


@pytest.fixture(scope="module")
def listening():
    return Listening()


@pytest.fixture(scope="module")
def address(serve, listening):
    return serve(listening, limits=LIMITS)


@pytest.fixture
def numbered(tmp_path) -> list[Path]:
    """A dozen photos, one of them unreadable."""
    for i in range(12):
        content = b"no photo" if i == 7 else jpeg(photo_of(20 * i))
        (tmp_path / f"{i:02}.jpg").write_bytes(content)
    return sorted(tmp_path.glob("*.jpg"))


@pytest.fixture
def visit(address, browser, webgl_browser):
    """Opens the tab; external requests and uncaught errors fail the test."""
    opened = []

    def open_tab(width=1440, height=900, draws_map=False, **options):
        watch = Watch(address)
        context = (webgl_browser if draws_map else browser).new_context(
            viewport={"width": width, "height": height}, reduced_motion="reduce", **options
        )
        opened.append((context, watch))
        page = context.new_page()
        watch.add(page, console=False)
        page.goto(address)
        page.get_by_role("tab", name="Batch").click()
        page.get_by_role("button", name="Choose photos or a zip file").wait_for()
        return page

    yield open_tab
    for context, watch in opened:
        context.close()
        watch.check()


def give(page, *files):
    page.get_by_label("Many photos, or a zip file").set_input_files(files)


def state(page):
    return page.locator(".batch .state")


def rows(page):
    return page.locator(".batch tbody tr")


def saved(page, name: str) -> bytes:
    with page.expect_download() as download:
        page.locator(".batch").get_by_role("button", name=name, exact=True).click()
    return Path(download.value.path()).read_bytes()


def zipped(path: Path, files: list[Path]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for i, file in enumerate(files):
            way = zipfile.ZIP_STORED if i % 2 else zipfile.ZIP_DEFLATED
            out.write(file, f"holiday/day {i % 3}/{file.name}", way)
        out.writestr("__MACOSX/holiday/._00.jpg", b"x")
        out.writestr("holiday/notes.txt", "no photo")
    return path


def test_the_tab_offers_every_format_of_batch():
    assert {f".{ending}" for ending in FORMATS} == SINKS.keys()


def test_photos_are_sent_in_groups_and_answered_in_a_table(visit, numbered):
    page = visit()
    give(page, *numbered)
    expect(state(page)).to_have_text("11 photos answered, 1 could not be read.")
    expect(rows(page)).to_have_count(12)
    expect(rows(page).nth(3)).to_contain_text("03.jpg")
    lat, lon = place_of(60)
    shown = rows(page).nth(3).locator("td").last.inner_text().split(", ")
    assert [float(each) for each in shown] == pytest.approx([lat, lon], abs=1.0)
    expect(rows(page).nth(7)).to_contain_text("not a picture this program can read")
    expect(page.locator(".batch progress")).to_be_hidden()
    table = list(csv.DictReader(io.StringIO(saved(page, "CSV").decode())))
    assert [each["photo"] for each in table] == [f.name for f in numbered if f.name != "07.jpg"]
    assert saved(page, "KML").startswith(b"<?xml")
    assert saved(page, "GeoParquet").startswith(b"PAR1")
    expect(page.locator(".batch .saver")).to_have_text("Saved answers.parquet")


def test_a_zip_file_is_unpacked_in_the_browser(visit, numbered, tmp_path):
    page = visit(390, 844)
    give(page, zipped(tmp_path / "holiday.zip", numbered))
    expect(state(page)).to_have_text("11 photos answered, 1 could not be read.")
    names = page.locator(".batch tbody th").all_inner_texts()
    assert [name.strip() for name in names] == [file.name for file in numbered]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_photos_in_a_zip_that_are_larger_than_it_says_are_named(visit, numbered, tmp_path):
    """The table of contents of the zip file is changed after it was written."""
    (tmp_path / "large.jpg").write_bytes(bytes(3_000_000))
    path = zipped(tmp_path / "holiday.zip", [tmp_path / "large.jpg", numbered[0]])
    content = path.read_bytes().replace((3_000_000).to_bytes(4, "little"), b"\x10\0\0\0")
    path.write_bytes(content)
    page = visit()
    give(page, path)
    expect(state(page)).to_have_text("1 photo answered, 1 could not be read.")
    expect(rows(page).first).to_contain_text("too large")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK no zip", "holiday.zip is no zip file; choose another one"),
        (None, "holiday.zip has no photos in it; choose another one"),
    ],
)
def test_a_zip_without_photos_is_told_in_one_line(visit, tmp_path, content, message):
    path = zipped(tmp_path / "holiday.zip", [])
    if content is not None:
        path.write_bytes(content)
    page = visit()
    give(page, path)
    expect(state(page)).to_have_text(message)


def test_more_photos_than_the_server_takes_are_refused_before_they_are_sent(visit, numbered):
    page = visit()
    many = [
        {"name": f"{i}.jpg", "mimeType": "image/jpeg", "buffer": numbered[0].read_bytes()}
        for i in range(21)
    ]
    page.get_by_label("Many photos, or a zip file").set_input_files(many)
    expect(state(page)).to_contain_text("the first 20 photos would do")
    expect(rows(page)).to_have_count(0)


def test_new_photos_replace_the_answers_and_their_batches_on_the_server(visit, numbered):
    page = visit()
    give(page, *numbered[:3])
    expect(state(page)).to_have_text("3 photos answered.")
    with page.expect_response(lambda response: response.request.method == "DELETE") as deleted:
        give(page, numbered[4])
    assert deleted.value.status == 204
    expect(state(page)).to_have_text("1 photo answered.")
    expect(rows(page)).to_have_count(1)


def test_all_answers_are_pins_of_one_map_that_lead_to_their_rows(visit, numbered):
    page = visit(draws_map=True)
    give(page, *numbered)
    expect(state(page)).to_have_text("11 photos answered, 1 could not be read.")
    pins = page.locator(".batch .map-pin")
    expect(pins).to_have_count(11, timeout=TIMEOUT_MS)
    page.get_by_role("button", name="11.jpg: ").click()
    expect(rows(page).nth(11)).to_be_focused()


def test_places_to_search_in_are_named_and_drawn_as_for_one_photo(visit, numbered, listening):
    page = visit(draws_map=True)
    tab = page.get_by_role("tabpanel").filter(has=page.locator(".batch"))
    field = tab.get_by_label("What do you know about the place?")
    field.fill("Tasmania, Australia")
    field.press("Enter")
    chosen = tab.get_by_role("list", name="Places to search in")
    expect(chosen).to_contain_text("Tasmania")
    field.fill("Lilliput")
    field.press("Enter")
    expect(tab.get_by_role("alert")).to_contain_text("no country, region or town")
    give(page, *numbered[:2])
    expect(state(page)).to_have_text("2 photos answered.")
    assert listening.asked[-1] == ["Tasmania, Australia"]
    tool = tab.get_by_role("button", name="Draw a box")
    tool.click()
    expect(tool).to_have_attribute("aria-pressed", "true")
    surface = tab.locator(".planet")
    surface.scroll_into_view_if_needed()
    box = surface.bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 90, box["y"] + box["height"] - 60, steps=4)
    page.mouse.up()
    expect(chosen).to_contain_text("the box")
    page.get_by_role("tab", name="Locate").click()
    expect(
        page.get_by_role("list", name="Places to search in").locator("visible=true li")
    ).to_have_count(0)
    page.get_by_role("tab", name="Batch").click()
    with page.expect_response(
        lambda reply: reply.request.method == "POST" and "batch" in reply.url
    ):
        tab.get_by_role("button", name="Answer these photos again").click()
    expect(state(page)).to_have_text("2 photos answered.")
    assert len(listening.asked[-1]) == 2


@pytest.mark.parametrize("width", [1440, 390])
def test_every_state_is_accessible_and_in_plain_words(visit, numbered, width):
    page = visit(width)
    check_state(page, "batch-empty")
    give(page, *numbered[5:8])
    expect(state(page)).to_have_text("2 photos answered, 1 could not be read.")
    check_state(page, "batch")


def test_the_tab_works_with_the_keyboard(visit, numbered):
    page = visit()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose photos or a zip file").focus()
        page.keyboard.press("Enter")
    chooser.value.set_files(numbered[:2])
    expect(state(page)).to_have_text("2 photos answered.")
    with page.expect_download() as download:
        page.locator(".batch").get_by_role("button", name="JSON lines").focus()
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == "answers.jsonl"
