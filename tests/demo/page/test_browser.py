"""A person uses the page: a real server, a real browser, and nothing leaves the machine.

Screenshots go to the folder that GEOLOC_SCREENSHOTS names.
"""

import base64
import csv
import io
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from demo.page.game import photos
from geoloc.photos.decode import read_exif
from tests.demo.conftest import FakeGeolocator

pytest.importorskip("gradio", reason="the demo extra is not installed")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = shutil.which("chromium")
WEBGL = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
NO_WEBGL = ["--no-sandbox", "--disable-3d-apis"]
"""Much faster without a graphics card: most tests need no map, and visitors may have none."""
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is not installed: apt-get install chromium"
)
expect = playwright.expect
expect.set_options(timeout=60_000)

SYDNEY, HOBART = "Sydney, New South Wales, Australia", "Hobart, Tasmania, Australia"


@pytest.fixture(scope="module")
def asked():
    """Who answers the page; counts what it looks at."""
    return FakeGeolocator()


@pytest.fixture(scope="module")
def address(serve, asked):
    return serve(asked)


@pytest.fixture(scope="module")
def browsers():
    """With a map, and without."""
    with playwright.sync_playwright() as running:
        started = {
            drawn: running.chromium.launch(executable_path=CHROMIUM, args=arguments)
            for drawn, arguments in ((True, WEBGL), (False, NO_WEBGL))
        }
        clipboard = ["clipboard-read", "clipboard-write"]
        yield {drawn: b.new_context(permissions=clipboard) for drawn, b in started.items()}
        for browser in started.values():
            browser.close()


@pytest.fixture
def visit(browsers, address):
    """Opens the page; whatever it asks the network for is watched, and every error."""
    outside, wrong, pages = [], [], []

    def start(url=address, width=1280, height=900, scheme="light", drawn=False):
        page = browsers[drawn].new_page()
        pages.append(page)
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        page.set_default_timeout(60_000)
        page.on("request", lambda r: None if local(r.url, url) else outside.append(r.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(url)
        page.get_by_role("button", name="Choose photos").wait_for()
        return page

    yield start
    for page in pages:
        page.close()
    assert outside == []
    assert [error for error in wrong if "Failed to initialize WebGL" not in error] == []


def local(url, address):
    return url.startswith((address, "data:", "blob:"))


def give(page, *files):
    page.locator("input[type=file]").set_input_files(files)
    page.locator("table.places tbody tr").first.wait_for()


def save(page, button):
    with page.expect_download() as download:
        page.get_by_role("button", name=button).click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def keep(page, name):
    folder = os.environ.get("GEOLOC_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


ZOOM = (
    "document.querySelector('#world .js-plotly-plot')?._fullLayout?.map?._subplot?.map?.getZoom()"
)


def zoomed(page, condition):
    """Wait until the map itself has been moved, and stays; it follows in frames of its own."""
    for _ in range(2):
        page.wait_for_function(f"{ZOOM} {condition}")
        page.wait_for_timeout(1500)  # what is explained after the answer may give the map again


def drawn(page):
    zoomed(page, "> 4")
    page.wait_for_timeout(1000)


def test_a_photo_is_chosen_and_everything_about_it_is_shown(visit, photo):
    page = visit(drawn=True)
    keep(page, "empty")
    give(page, photo)
    expect(page.get_by_role("heading", name=SYDNEY)).to_be_visible()
    expect(page.get_by_text("8 of 10 photos like this lie within 12 km")).to_be_visible()
    rows = page.locator("table.places tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("62.0 %")
    link = rows.first.get_by_role("link", name=f"{SYDNEY} in OpenStreetMap")
    assert "mlat=-33.87000&mlon=151.21000" in link.get_attribute("href")
    assert link.get_attribute("rel") == "noopener noreferrer"
    expect(page.get_by_text("This file holds a GPS position.")).to_be_visible()
    expect(page.get_by_text("1,057 km from the first place (not used)")).to_be_visible()
    expect(page.get_by_text("A Known Author, CC BY 4.0")).to_be_visible()
    expect(page.get_by_text("From maps, not read from the photo.")).to_be_visible()
    expect(page.get_by_role("img", name="Your photo holiday.jpg")).to_be_visible()
    expect(page.get_by_text("Which parts speak")).to_have_count(0)
    drawn(page)
    keep(page, "answer")


def test_the_map_leads_to_the_answer_and_around_the_world(visit, plain):
    page = visit(drawn=True)
    give(page, plain)
    zoomed(page, "> 4")
    close = page.evaluate(ZOOM)
    page.get_by_role("button", name="Whole world").click()
    zoomed(page, "< 2")
    page.get_by_role("button", name="Zoom to the answer").click()
    zoomed(page, "> 4")
    assert page.evaluate(ZOOM) == pytest.approx(close, abs=1e-6)


def test_a_picture_is_pasted_and_another_dropped(visit, heic):
    page = visit()
    page.evaluate(
        """async () => {
          const canvas = new OffscreenCanvas(64, 64);
          canvas.getContext("2d").fillRect(0, 0, 30, 50);
          const png = await canvas.convertToBlob({type: "image/png"});
          await navigator.clipboard.write([new ClipboardItem({"image/png": png})]);
        }"""
    )
    page.keyboard.press("Control+V")
    expect(page.get_by_role("img", name="Your photo image.png")).to_be_visible()
    dropped = base64.b64encode(heic.read_bytes()).decode()
    page.evaluate(
        """bytes => {
          const files = new DataTransfer();
          const content = Uint8Array.from(atob(bytes), letter => letter.charCodeAt(0));
          files.items.add(new File([content], "phone.heic", {type: "image/heic"}));
          for (const type of ["dragenter", "dragover", "drop"])
            document.body.dispatchEvent(new DragEvent(type, {dataTransfer: files, bubbles: true}));
        }""",
        dropped,
    )
    expect(page.get_by_role("img", name="Your photo phone.heic")).to_be_visible()
    expect(page.get_by_role("heading", name=SYDNEY)).to_be_visible()


def test_several_photos_one_of_them_unreadable(visit, asked, photo, broken, plain):
    page = visit()
    give(page, broken, photo, plain)
    tiles = page.get_by_role("group", name="Your photos").get_by_role("button")
    expect(tiles).to_have_count(3)
    expect(tiles.nth(0)).to_contain_text("cannot be read")
    expect(tiles.nth(1)).to_have_attribute("aria-pressed", "true")  # the first readable one
    tiles.nth(0).click()
    expect(page.get_by_role("alert")).to_contain_text("broken.jpg: not a picture")
    expect(page.locator("table.places")).to_be_hidden()
    keep(page, "unreadable")
    tiles.nth(2).click()
    expect(page.get_by_role("img", name="Your photo plain.png")).to_be_visible()
    expect(page.get_by_text("No GPS position in this file.")).to_be_visible()
    before = asked.encoder.looked
    page.get_by_role("radio", name="One place").check()
    expect(page.get_by_text("One answer for 2 photos.")).to_be_visible()
    _, content = save(page, "Save as JSON")
    assert [guess["photos"] for guess in json.loads(content)] == [2]
    assert asked.encoder.looked == before
    page.get_by_role("radio", name="Separate photos").check()
    expect(page.get_by_text("One answer for 2 photos.")).to_have_count(0)


def test_without_webgl_the_answer_is_whole(visit, plain):
    page = visit()
    give(page, plain)
    expect(page.get_by_text("This browser draws no map: WebGL is switched off.")).to_be_visible()
    expect(page.locator("#world")).to_be_hidden()


def test_only_unreadable_photos(visit, broken):
    page = visit()
    page.locator("input[type=file]").set_input_files(broken)
    expect(page.get_by_role("heading", name="This photo cannot be read")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("give a JPEG, PNG, WebP, HEIC or TIFF photo")
    expect(page.get_by_role("button", name="Save as CSV")).to_be_hidden()


def test_what_is_known_counts_at_once_without_looking_again(visit, asked, plain):
    page = visit()
    page.get_by_role("radio", name="Country or region").check()
    country = page.get_by_label("Which country or region")
    country.fill("Tasmania, Australia")
    country.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("There is no photo here")
    give(page, plain)
    expect(page.get_by_role("heading", name=HOBART)).to_be_visible()  # known before the photo
    looked = asked.encoder.looked
    country.fill("Atlantis")
    country.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("no country or region")
    expect(page.get_by_role("heading", name=HOBART)).to_be_visible()
    page.get_by_role("radio", name="Nothing").check()
    expect(page.get_by_role("heading", name=SYDNEY)).to_be_visible()
    page.get_by_role("radio", name="Circle").check()
    page.get_by_role("button", name="Ask again with this").click()
    expect(page.get_by_role("alert")).to_contain_text("Fill in latitude, longitude and radius")
    for label, text in (("Latitude", "−42,9"), ("Longitude", "147.3"), ("Radius, km", "80")):
        page.get_by_label(label).first.fill(text)
    page.get_by_label("Radius, km").press("Enter")
    expect(page.get_by_text("Known beforehand: within 80 km of -42.9000, 147.3")).to_be_visible()
    expect(page.get_by_role("heading", name=HOBART)).to_be_visible()
    keep(page, "known")
    assert asked.encoder.looked == looked


def draw_a_box(page, first, last):
    """Drag from one corner, (longitude, latitude), to the other as a hand does."""
    corners = page.evaluate(
        """corners => {
          const plot = document.querySelector("#world .js-plotly-plot");
          const box = plot.getBoundingClientRect(), map = plot._fullLayout.map._subplot.map;
          return corners.map(corner => {
            const at = map.project(corner);
            return [box.left + at.x, box.top + at.y];
          });
        }""",
        [first, last],
    )
    middle = np.mean(corners, axis=0)
    for at, act in ((corners[0], page.mouse.down), (middle, None), (corners[1], page.mouse.up)):
        page.mouse.move(*at)
        page.wait_for_timeout(500)  # plotly looks at where the hand is now and then
        if act:
            act()


def test_a_box_is_drawn_on_the_map(visit, plain):
    page = visit(height=1200, drawn=True)  # all of the map is on the screen
    give(page, plain)
    zoomed(page, "> 4")
    page.get_by_role("button", name="Whole world").click()
    zoomed(page, "< 2")
    draw = page.get_by_role("button", name="Draw a box")
    draw.click()
    expect(draw).to_have_attribute("aria-pressed", "true")
    draw_a_box(page, (144, -40), (150, -45))
    expect(page.get_by_role("heading", name=HOBART)).to_be_visible()
    south, west, north, east = (
        float(page.get_by_label(name, exact=True).input_value())
        for name in ("South", "West", "North", "East")
    )
    assert (south, west) == pytest.approx((-45, 144), abs=1.5)
    assert (north, east) == pytest.approx((-40, 150), abs=1.5)
    expect(draw).to_have_attribute("aria-pressed", "false")


def test_answers_are_taken_home(visit, photo, plain):
    page = visit()
    give(page, photo, plain)
    name, content = save(page, "Save as JSON")
    assert name == "places.json"
    assert [guess["photo"] for guess in json.loads(content)] == ["holiday.jpg", "plain.png"]
    expect(page.get_by_text("Saved places.json")).to_be_visible()
    _, content = save(page, "Save as CSV")
    assert [row["town"] for row in csv.DictReader(io.StringIO(content.decode()))] == ["Sydney"] * 2
    _, content = save(page, "Save as GeoJSON")
    assert len(json.loads(content)["features"]) == 4
    name, content = save(page, "Save as KML")
    assert content.startswith(b"<?xml")
    assert save(page, "Save as KML") == (name, content)  # a second time too
    name, content = save(page, "Download without metadata")
    assert name == "holiday-clean.jpg"
    assert read_exif(photo).lat is not None
    assert read_exif(content).lat is None


def test_coordinates_are_copied(visit, plain):
    page = visit()
    give(page, plain)
    page.get_by_role("button", name=f"Copy the coordinates of {SYDNEY}").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "-33.8700, 151.2100"


def test_examples_can_be_tried(visit):
    page = visit()
    pictures = page.get_by_role("button", name="Try example photograph")
    expect(pictures).to_have_count(5)
    pictures.nth(3).click()
    expect(page.get_by_role("img", name="Your photo terraces.jpg")).to_be_visible()
    expect(page.get_by_role("heading", name=SYDNEY)).to_be_visible()


def test_bundles_are_chosen_and_those_that_see_patches_show_them(visit, serve, plain):
    patches = np.linspace(-1, 1, 16, dtype=np.float32).reshape(4, 4)
    first, second = FakeGeolocator("first"), FakeGeolocator("second", patches)
    page = visit(serve(first, second))
    give(page, plain)
    expect(page.get_by_text("Which parts speak")).to_have_count(0)
    page.get_by_label("Answers come from").click()
    page.get_by_role("option", name="second").click()
    expect(page.get_by_role("heading", name="Which parts speak for the answer")).to_be_visible()
    assert (first.encoder.looked, second.encoder.looked) == (1, 1)
    _, content = save(page, "Save as JSON")
    assert json.loads(content)[0]["bundle"] == "second"


def test_a_game_by_click_by_numbers_and_by_keyboard(visit):
    page = visit()
    expect(page.get_by_label("Answers come from")).to_be_hidden()  # there is only one bundle
    page.get_by_role("tab", name="Play").click()
    page.get_by_label("Game number").fill("7")
    page.get_by_role("button", name="Start the game").click()
    world = page.locator("#game-map svg")
    world.locator(".land[d]").wait_for(state="attached")
    guess, following = (
        page.get_by_role("button", name=name) for name in ("This is my guess", "Next round")
    )
    guess.click()
    expect(page.get_by_text("Click the map first")).to_be_visible()

    world.click(position={"x": 300, "y": 200})  # by click
    expect(world.locator("circle.yours")).to_have_count(1)
    guess.click()
    expect(world.locator("line")).to_have_count(2)
    expect(page.locator("table.scores tbody tr")).to_have_count(1)
    keep(page, "game")

    following.click()  # by numbers
    expect(page.get_by_role("heading", name="Round 2 of 5")).to_be_visible()
    page.get_by_label("Latitude").last.fill("-33.87")
    page.get_by_label("Longitude").last.fill("151.21")
    expect(world.locator("circle.yours")).to_have_count(1)
    guess.click()
    scores = page.locator("table.scores tbody tr").nth(1).locator("td")
    expect(scores.nth(0)).not_to_be_empty()
    assert scores.nth(0).inner_text() == scores.nth(1).inner_text()  # where the bundle guessed

    for number in (3, 4, 5):  # by keyboard alone
        following.press("Enter")
        expect(page.get_by_role("heading", name=f"Round {number} of 5")).to_be_visible()
        world.focus()
        for key in ("ArrowRight", "ArrowDown", "+", "Enter"):
            world.press(key)
        expect(world.locator("circle.yours")).to_have_count(1)
        guess.press("Enter")
        expect(page.locator("table.scores tbody tr")).to_have_count(number)
    ended = re.compile("You win|The bundle wins|A draw")
    expect(page.get_by_role("heading", name=ended)).to_be_visible()
    expect(following).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_scrolls_sideways(visit, photo, broken, scheme):
    page = visit(width=360, height=740, scheme=scheme, drawn=True)

    def fits():
        return page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    assert fits()
    give(page, photo, broken)
    page.get_by_role("radio", name="Box").check()
    expect(page.get_by_label("South", exact=True)).to_be_visible()
    drawn(page)
    assert fits()
    keep(page, f"phone-{scheme}")
    page.get_by_role("tab", name="Play").click()
    page.get_by_role("button", name="Start the game").click()
    page.locator("#game-map svg .land[d]").wait_for(state="attached")
    assert fits()
    keep(page, f"phone-game-{scheme}")


def test_keyboard_alone(visit, photo, plain):
    page = visit()

    def tab_to(target):
        for _ in range(60):
            page.keyboard.press("Tab")
            if target.evaluate("node => node === document.activeElement"):
                return
        raise AssertionError("the keyboard does not get there")

    choose = page.get_by_role("button", name="Choose photos")
    tab_to(choose)
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files([photo, plain])
    expect(page.get_by_role("heading", name=SYDNEY)).to_be_visible()
    tab_to(page.get_by_role("radio", name="Country or region"))
    page.keyboard.press("Space")
    place = page.get_by_label("Which country or region")
    expect(place).to_be_visible()
    tab_to(place)
    page.keyboard.type("Tasmania, Australia")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=HOBART)).to_be_visible()
    tab_to(page.get_by_role("group", name="Your photos").get_by_role("button").nth(1))
    page.keyboard.press("Enter")
    expect(page.get_by_role("img", name="Your photo plain.png")).to_be_visible()
    tab_to(page.get_by_role("button", name="Save as CSV"))
    with page.expect_download():
        page.keyboard.press("Enter")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_bars_people_with_disabilities(visit, photo, broken, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = visit(scheme=scheme, drawn=True)

    def check(state):
        found = axe.run(page).response["violations"]
        grave = [v for v in found if v["impact"] in ("serious", "critical")]
        assert [(state, v["id"], v["nodes"][0]["html"]) for v in grave] == []

    check("empty")
    give(page, photo, broken)
    drawn(page)
    check("answer")
    keep(page, f"answer-{scheme}")
    for kind in ("Country or region", "Circle", "Box"):
        page.get_by_role("radio", name=kind).check()
        page.wait_for_timeout(400)
        check(kind)
    page.get_by_role("button", name="Ask again with this").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_role("button", name="broken.jpg").click()
    expect(page.get_by_role("heading", name="This photo cannot be read")).to_be_visible()
    check("unreadable")
    page.get_by_role("tab", name="Play").click()
    page.get_by_role("button", name="Start the game").click()
    page.locator("#game-map svg .land[d]").wait_for(state="attached")
    page.locator("#game-map svg").click(position={"x": 300, "y": 200})
    page.get_by_role("button", name="This is my guess").click()
    expect(page.get_by_role("button", name="Next round")).to_be_visible()
    check("game")
    keep(page, f"game-{scheme}")


def test_the_starter_bundle_answers_an_example(visit, serve):
    pytest.importorskip("faiss", reason="the cpu extra is not installed")
    from geoloc.geolocator import Geolocator

    page = visit(serve(Geolocator.from_bundle("starter")))
    give(page, photos.read(photos.EXAMPLES)[0].file)
    expect(page.locator("table.places tbody tr").first).to_contain_text("Paris")
    page.get_by_role("radio", name="Country or region").check()
    country = page.get_by_label("Which country or region")
    country.fill("Australia")
    country.press("Enter")
    expect(page.get_by_text("Known beforehand: Australia")).to_be_visible()
    expect(page.locator("table.places tbody tr").first).to_contain_text("Australia")


def test_the_picture_that_is_shown_says_nothing_of_its_place(visit, photo):
    page = visit()
    give(page, photo)
    shown = page.get_by_role("img", name="Your photo holiday.jpg").get_attribute("src")
    small = base64.b64decode(shown.partition(",")[2])
    assert max(Image.open(io.BytesIO(small)).size) <= 480
    assert read_exif(small).lat is None
