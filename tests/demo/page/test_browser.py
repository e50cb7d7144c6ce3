"""The page in a real browser, served by a real server."""

import base64
import csv
import io
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from demo.page.game import photos
from geoloc.photos.decode import read_exif
from tests.browser import TIMEOUT_MS, WEBGL, Watch, launched
from tests.demo.fakes import FakeGeolocator
from tests.demo.states import check_state, check_words, keep

pytest.importorskip("gradio", reason="the demo extra is not installed")
expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect

SYDNEY, HOBART = "Sydney, New South Wales, Australia", "Hobart, Tasmania, Australia"

MAP = "document.querySelector('#world .planet')?.planet?.map"
WHERE = "What do you know about the place?"


@pytest.fixture(scope="module")
def encoder(fake):
    """Counts the photos that the page encodes."""
    return fake.encoder


@pytest.fixture(scope="module")
def fake():
    return FakeGeolocator()


@pytest.fixture(scope="module")
def address(serve, fake):
    return serve(fake)


@pytest.fixture(scope="module")
def contexts(browser, chromium_driver):
    """Browser contexts by whether they draw the map; shared, because gradio's files are cached."""
    clipboard = ["clipboard-read", "clipboard-write"]
    with launched(chromium_driver, WEBGL) as webgl_browser:
        yield {
            draws_map: chosen.new_context(permissions=clipboard, reduced_motion="reduce")
            for draws_map, chosen in ((False, browser), (True, webgl_browser))
        }


@pytest.fixture
def visit(contexts, address):
    """Opens the page; external requests and uncaught errors fail the test."""
    opened = []

    def open_page(url=address, width=1280, height=900, draws_map=False):
        page, watch = contexts[draws_map].new_page(), Watch(url)
        opened.append((page, watch))
        page.set_viewport_size({"width": width, "height": height})
        watch.add(page, console=False)
        page.goto(url)
        page.get_by_role("button", name="Choose photos").wait_for()
        return page

    yield open_page
    for page, _ in opened:
        page.close()
    for _, watch in opened:
        watch.check(ignored=lambda report: "Failed to initialize WebGL" in report)


def give(page, *files):
    """Upload photos and wait until the page has shown everything, which is the explanation."""
    page.get_by_label("Photos", exact=True).set_input_files(files)
    expect(page.get_by_role("heading", name="What the photo suggests")).to_be_visible()


def add_place(page, name):
    field = page.get_by_label(WHERE)
    field.fill(name)
    field.press("Enter")


def remove_places(page):
    for button in page.get_by_role("button", name="Remove").all()[::-1]:
        button.click()
    expect(page.get_by_role("button", name="Remove")).to_have_count(0)


def save(page, button):
    with page.expect_download() as download:
        page.get_by_role("button", name=button).click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def wait_for_zoom(page, condition):
    page.wait_for_function(f"{MAP}?.getZoom() {condition}", timeout=TIMEOUT_MS)


def start_game(page):
    page.get_by_role("button", name="Start the game").click()
    page.locator("#game-map .planet :is(svg, canvas)").first.wait_for(state="attached")


def test_a_chosen_photo_is_answered_with_all_details(visit, photo):
    page = visit(draws_map=True)
    give(page, photo)
    expect(page.get_by_role("heading", name=SYDNEY)).to_be_visible()
    expect(page.get_by_text("8 of 10 photos like this lie within 12 km")).to_be_visible()
    rows = page.locator("table.places tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("62.0 %")
    link = rows.first.get_by_role("link", name=f"{SYDNEY} in OpenStreetMap")
    assert "mlat=-33.87000&mlon=151.21000" in link.get_attribute("href")
    assert link.get_attribute("rel") == "noopener noreferrer"
    expect(page.get_by_text("This file contains a GPS position.")).to_be_visible()
    expect(page.get_by_text("1,057 km from the best guess (not used)")).to_be_visible()
    expect(page.get_by_text("A Known Author, CC BY 4.0")).to_be_visible()
    expect(page.get_by_text("From map data, not from the photo.")).to_be_visible()
    expect(page.get_by_text("Which parts of the photo count")).to_have_count(0)
    own = page.get_by_role("img", name="Your photo holiday.jpg")
    assert own.get_attribute("src").startswith("blob:")  # the server does not send it back
    assert own.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    wait_for_zoom(page, "> 4")
    check_state(page, "answer")


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
    sent = page.get_by_role("img", name="Your photo phone.heic")
    expect(sent).to_be_visible()
    small = base64.b64decode(sent.get_attribute("src").partition(",")[2])  # no browser shows HEIC
    assert max(Image.open(io.BytesIO(small)).size) <= 480
    assert read_exif(small).lat is None
    expect(page.get_by_role("heading", name=SYDNEY)).to_be_visible()


def test_several_photos_one_of_them_unreadable(visit, encoder, photo, broken, plain):
    page = visit()
    with page.expect_response(re.compile("/progress/")) as progress:
        give(page, broken, photo, plain)
    assert progress.value.json().keys() == {"photos", "read"}
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
    before = encoder.encoded
    page.get_by_role("radio", name="The same place").check()
    expect(page.get_by_text("One answer for 2 photos.")).to_be_visible()
    expect(page.get_by_text("Left out, because it cannot be read: broken.jpg.")).to_be_visible()
    check_state(page, "several")
    _, content = save(page, "Save as JSON")
    assert [guess["photos"] for guess in json.loads(content)] == [["holiday.jpg", "plain.png"]]
    assert encoder.encoded == before
    page.get_by_role("radio", name="Different places").check()
    expect(page.get_by_text("One answer for 2 photos.")).to_have_count(0)


def test_the_last_of_several_quick_choices_wins(visit, photo, plain, heic):
    page = visit()
    give(page, photo, plain, heic)
    tiles = page.get_by_role("group", name="Your photos").get_by_role("button")
    for index in (1, 0, 2):
        tiles.nth(index).click()
    expect(page.get_by_role("img", name="Your photo phone.heic")).to_be_visible()
    expect(tiles.nth(2)).to_have_attribute("aria-pressed", "true")


def test_every_one_of_many_quick_choices_is_answered(visit, photo, plain, heic):
    page = visit()
    give(page, photo, plain, heic)
    page.evaluate(
        """async () => {
          const tile = number => document.querySelectorAll(".strip [data-index]")[number % 3];
          for (let number = 1; number <= 12; number++) {
            tile(number).click();
            while (tile(number).getAttribute("aria-pressed") !== "true")
              await new Promise(requestAnimationFrame);
          }
        }"""
    )
    expect(page.get_by_role("img", name="Your photo holiday.jpg")).to_be_visible()


def test_without_webgl_the_map_is_lighter_and_says_so(visit, plain):
    page = visit()
    give(page, plain)
    expect(page.get_by_text("This browser draws no WebGL")).to_be_visible()
    world = page.locator("#world .planet")
    expect(world.locator(".map-pin.answer")).to_be_visible()
    expect(world.locator(".map-region")).to_have_count(3)
    expect(world.locator(".map-name", has_text="Sydney")).to_be_visible()
    page.get_by_role("button", name="Whole world").click()
    expect(world.locator(".map-name", has_text="Brazil")).to_be_visible()
    keep(page, "without-webgl")
    draw(page, "Draw a box", (140, -36), (155, -48))
    expect(page.get_by_role("heading", name=HOBART)).to_be_visible()


def test_only_unreadable_photos(visit, broken):
    page = visit()
    page.get_by_label("Photos", exact=True).set_input_files(broken)
    expect(page.get_by_role("heading", name="This photo cannot be read")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("give a JPEG, PNG, WebP, HEIC or TIFF")
    expect(page.get_by_role("button", name="Save as CSV")).to_be_hidden()


def test_places_are_searched_without_encoding_again(visit, encoder, plain):
    page = visit()
    add_place(page, "Tasmania, Australia")  # before the photo: no error, and it applies
    expect(page.get_by_role("list", name="Places to search in")).to_contain_text("Tasmania")
    expect(page.get_by_role("alert")).to_have_count(0)
    give(page, plain)
    expect(page.get_by_role("heading", name=HOBART)).to_be_visible()
    encoded = encoder.encoded
    add_place(page, "Lilliput")
    expect(page.get_by_role("alert").first).to_contain_text("no country, region or town")
    expect(page.get_by_role("heading", name=HOBART)).to_be_visible()
    remove_places(page)
    expect(page.get_by_role("heading", name=SYDNEY)).to_be_visible()
    add_place(page, "-42.9, 147.3, 80 km")
    expect(page.get_by_text("Within 80 km of -42.9000, 147.3000, as given")).to_be_visible()
    expect(page.get_by_role("heading", name=HOBART)).to_be_visible()
    check_state(page, "constraint")
    assert encoder.encoded == encoded


def test_a_place_is_found_by_its_local_name_with_the_keyboard(visit, plain):
    page = visit()
    give(page, plain)
    field = page.get_by_label(WHERE)
    field.press_sequentially("Austral")
    option = page.get_by_role("option", name="Australia", exact=False).first
    expect(option).to_be_visible()
    expect(field).to_have_attribute("aria-expanded", "true")
    field.press("ArrowDown")
    expect(option).to_have_attribute("aria-selected", "true")
    field.press("Enter")
    expect(page.get_by_text("In Australia, as given.")).to_be_visible()
    expect(field).to_have_attribute("aria-expanded", "false")


def draw(page, name, *corners, drag=True):
    """Draw with the mouse on the map, at corners (longitude, latitude)."""
    button = page.get_by_role("button", name=name)
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    points = page.evaluate(
        """corners => {
          const planet = document.querySelector('#world .planet').planet;
          const box = planet.surface.getBoundingClientRect();
          return corners.map(([lng, lat]) => {
            const at = planet.pixel({lng, lat});
            return [box.left + at.x, box.top + at.y];
          });
        }""",
        corners,
    )
    if drag:
        page.mouse.move(*points[0])
        page.mouse.down()
        page.mouse.move(*points[1], steps=8)
        page.mouse.up()
    else:
        for point in points:
            page.mouse.click(*point)
    expect(button).to_have_attribute("aria-pressed", "false")


def test_the_map_zooms_and_areas_are_drawn_on_it(visit, plain):
    page = visit(height=1200, draws_map=True)  # the whole map is on the screen
    give(page, plain)
    wait_for_zoom(page, "> 7")  # an answer of 12 km is seen as such
    page.get_by_role("button", name="Whole world").click()
    wait_for_zoom(page, "< 2")
    save(page, "Save as CSV")  # an event on the page does not move the map
    wait_for_zoom(page, "< 2")
    draw(page, "Draw a box", (140, -36), (155, -48))
    places = page.get_by_role("list", name="Places to search in")
    expect(places).to_contain_text("the box -4")
    expect(page.get_by_role("heading", name=HOBART)).to_be_visible()
    remove_places(page)
    expect(page.get_by_role("heading", name=SYDNEY)).to_be_visible()
    page.get_by_role("button", name="Whole world").click()
    wait_for_zoom(page, "< 2")
    draw(page, "Draw a circle", (147, -42.5), (150, -42.5))
    expect(places).to_contain_text("within 2")
    expect(page.get_by_role("heading", name=HOBART)).to_be_visible()
    expect(page.get_by_role("list", name="Legend")).to_contain_text("where was searched")
    remove_places(page)
    expect(page.get_by_role("heading", name=SYDNEY)).to_be_visible()
    page.get_by_role("button", name="Whole world").click()
    wait_for_zoom(page, "< 2")
    corners = ((135, -37.5), (160, -37.5), (147, -55), (135, -37.5))
    draw(page, "Draw a polygon", *corners, drag=False)
    expect(places).to_contain_text("the area drawn")
    expect(page.get_by_role("heading", name=HOBART)).to_be_visible()


def test_the_wheel_zooms_the_map_only_after_a_click(visit, plain):
    page = visit(height=1200, draws_map=True)
    give(page, plain)
    wait_for_zoom(page, "> 7")
    zoom = page.evaluate(f"{MAP}.getZoom()")
    world = page.locator("#world .planet")
    world.hover()
    page.mouse.wheel(0, 200)
    page.wait_for_function("scrollY > 0")
    assert page.evaluate(f"{MAP}.getZoom()") == zoom
    world.click(position={"x": 40, "y": 200})
    page.mouse.wheel(0, 300)
    wait_for_zoom(page, f"< {zoom - 0.1}")


def test_a_link_holds_the_answer_and_the_visit_has_a_list(visit, address, plain, photo):
    page = visit(draws_map=True)
    give(page, photo)
    page.get_by_role("button", name="Copy a link to this answer").click()
    expect(page.get_by_text("Link copied.")).to_be_visible()
    link = page.evaluate("navigator.clipboard.readText()")
    assert link.partition("#")[0] == address
    assert len(link) < 8_000
    give(page, plain)
    answers = page.get_by_role("region", name="Answers of this visit").or_(page.locator(".earlier"))
    expect(answers.first).to_contain_text("plain.png: Sydney")
    other = visit(url=link, draws_map=True)
    shared = other.get_by_role("region", name="Answer of a link")
    expect(shared.get_by_role("heading", name=SYDNEY)).to_be_visible()
    expect(shared.get_by_text("8 of 10 photos like this lie within 12 km")).to_be_visible()
    expect(shared.locator(".map-pin.answer")).to_be_visible()
    keep(other, "link")
    forged = visit(url=address + "#answer=abc")
    expect(forged.get_by_role("heading", name="This link holds no answer")).to_be_visible()


def test_a_correction_is_saved_in_a_file_of_the_visitor(visit, photo):
    page = visit(height=1200, draws_map=True)
    give(page, photo)
    wait_for_zoom(page, "> 7")
    page.get_by_role("button", name="It was here").click()
    page.locator("#world .planet").click(position={"x": 200, "y": 150})
    expect(page.get_by_text("Noted in this browser: holiday.jpg was taken at")).to_be_visible()
    name, content = save(page, "Save 1 correction")
    assert name == "corrections.csv"
    (row,) = csv.DictReader(io.StringIO(content.decode()))
    assert row["file"] == "holiday.jpg"
    assert float(row["lat"]) == pytest.approx(-33.87, abs=1)
    assert float(row["lon"]) == pytest.approx(151.2, abs=1)


def test_answers_are_saved_as_files(visit, photo, plain):
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
    (upload,) = Path(os.environ["GRADIO_TEMP_DIR"]).rglob("holiday.jpg")
    upload.unlink()
    page.get_by_role("button", name="Download without metadata").click()
    expect(page.get_by_role("alert")).to_contain_text("already been deleted from the server")


def test_an_example_is_located(visit):
    page = visit()
    examples = page.get_by_role("button", name="Try example photo")
    expect(examples).to_have_count(4)
    examples.nth(3).click()
    expect(page.get_by_role("img", name="Your photo granite.jpg")).to_be_visible()
    expect(page.get_by_role("heading", name=SYDNEY)).to_be_visible()


def test_another_bundle_answers_and_shows_its_attribution(visit, serve, plain):
    patches = np.linspace(-1, 1, 16, dtype=np.float32).reshape(4, 4)
    first, second = FakeGeolocator("first"), FakeGeolocator("second", patches)
    page = visit(serve(first, second))
    give(page, plain)
    expect(page.get_by_text("Which parts of the photo count")).to_have_count(0)
    page.get_by_label("Model").click()
    page.get_by_role("option", name="second").click()
    expect(page.get_by_role("heading", name="Which parts of the photo count")).to_be_visible()
    assert (first.encoder.encoded, second.encoder.encoded) == (1, 0)  # the encoder is the same
    _, content = save(page, "Save as JSON")
    assert json.loads(content)[0]["bundle"] == "second"


def test_a_game_by_click_by_numbers_and_by_keyboard(visit):
    page = visit()
    expect(page.get_by_label("Model")).to_be_hidden()  # there is only one bundle
    page.get_by_role("tab", name="Play").click()
    page.get_by_label("Game number").fill("7")
    start_game(page)
    board = page.locator("#game-map .planet")
    world = board.locator("> svg")
    submit, next_round = (
        page.get_by_role("button", name=name) for name in ("This is my guess", "Next round")
    )
    latitude, longitude = (page.get_by_label(name).last for name in ("Latitude", "Longitude"))
    rows = page.locator("table.scores tbody tr")
    submit.click()
    expect(page.get_by_text("Click the map first")).to_be_visible()

    world.click(position={"x": 300, "y": 200})  # by click
    expect(board.locator(".map-pin.yours")).to_have_count(1)
    expect(longitude).not_to_have_value("")
    submit.click()
    expect(board.locator(".map-line")).to_have_count(2)
    expect(rows).to_have_count(1)
    expect(rows.first).to_be_visible()
    keep(page, "game")

    next_round.click()  # by numbers
    expect(page.get_by_role("heading", name="Round 2 of 5")).to_be_visible()
    latitude.fill("-33.87")
    longitude.fill("151.21")
    expect(board.locator(".map-pin.yours")).to_have_count(1)
    submit.click()
    scores = rows.nth(1).locator("td")
    expect(scores.nth(0)).not_to_be_empty()
    assert scores.nth(0).inner_text() == scores.nth(1).inner_text()  # where the bundle guesses

    for number in (3, 4, 5):  # by keyboard alone
        next_round.press("Enter")
        expect(page.get_by_role("heading", name=f"Round {number} of 5")).to_be_visible()
        world.focus()
        for key in ("ArrowRight", "ArrowDown", "+", "Enter"):
            world.press(key)
        expect(board.locator(".map-pin.yours")).to_have_count(1)
        expect(longitude).not_to_have_value("")
        submit.press("Enter")
        expect(rows).to_have_count(number)
    ended = re.compile("You win|The model wins|A draw")
    expect(page.get_by_role("heading", name=ended)).to_be_visible()
    expect(next_round).to_be_hidden()
    expect(board.locator(".map-line")).to_have_count(10)  # of all rounds
    centres = np.array(board.locator(".map-pin:not([hidden]) span").evaluate_all(
        "marks => marks.map(mark => mark.getBoundingClientRect())"
        ".map(at => [at.x + at.width / 2, at.y + at.height / 2])"
    ))  # fmt: skip
    between = np.hypot(*(centres[:, None] - centres).transpose(2, 0, 1)) + 99 * np.eye(len(centres))
    assert between.min() > 20  # no number hides another, although most guesses are one place
    page.get_by_role("button", name="Show round 2 again").click()
    expect(board.locator(".map-line")).to_have_count(2)
    expect(page.get_by_text(f"at {SYDNEY}").first).to_be_visible()
    check_state(page, "game-replay")
    page.get_by_role("button", name="Map of all rounds").click()
    expect(board.locator(".map-line")).to_have_count(10)
    check_state(page, "game-over")
    page.get_by_role("button", name="Copy", exact=True).last.click()
    page.wait_for_function(
        "navigator.clipboard.readText().then(text => text.includes('Game 7: I got'))"
    )
    page.get_by_role("button", name="Next game").click()
    expect(page.get_by_role("heading", name="Round 1 of 5")).to_be_visible()
    expect(page.get_by_label("Game number")).to_have_value("8")
    expect(page.get_by_role("button", name="Next game")).to_be_hidden()


def test_a_streak_of_countries_ends_with_the_first_wrong_one(visit):
    page = visit(width=820)
    page.get_by_role("tab", name="Play").click()
    page.get_by_role("radio", name="Countries until the first wrong one").check()
    start_game(page)
    expect(page.get_by_text("In which country was this photo taken?")).to_be_visible()
    for name, degrees in (("Latitude", "-42"), ("Longitude", "147")):
        page.get_by_label(name).last.fill(degrees)
    page.get_by_role("button", name="This is my guess").click()
    expect(page.get_by_role("heading", name="A draw: 0 to 0 countries in a row")).to_be_visible()
    expect(page.get_by_role("button", name="Next round")).to_be_hidden()
    expect(page.get_by_role("button", name="Next game")).to_be_visible()


def test_on_a_phone_nothing_scrolls_sideways(visit, photo, broken):
    page = visit(width=360, height=740, draws_map=True)

    def fits():
        return page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    assert fits()
    give(page, photo, broken, photo, broken, photo)
    assert fits()
    drop, several = page.locator(".drop"), page.get_by_text("These photos show")
    assert several.bounding_box()["y"] > drop.bounding_box()["y"]
    heading = page.get_by_role("heading", name=SYDNEY)
    expect(heading).to_be_in_viewport()  # scrolled into view
    wait_for_zoom(page, "> 6")
    assert fits()
    answer, world = heading.bounding_box(), page.locator("#world").bounding_box()
    assert answer["y"] < world["y"]
    keep(page, "phone")
    page.get_by_role("tab", name="Play").click()
    start_game(page)
    assert fits()
    keep(page, "phone-game")


def test_keyboard_alone(visit, photo, plain):
    page = visit()
    # registered early: playwright does not wait until it intercepts the dialog
    page.on("filechooser", lambda chooser: chooser.set_files([photo, plain]))

    def tab_to(target):
        for _ in range(60):
            page.keyboard.press("Tab")
            if target.evaluate("node => node === document.activeElement"):
                return
        raise AssertionError("the Tab key does not reach the element")

    tab_to(page.get_by_role("button", name="Choose photos"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="What the photo suggests")).to_be_visible()
    tab_to(page.get_by_label(WHERE))
    page.keyboard.type("Tasmania, Australia")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=HOBART)).to_be_visible()
    second = page.get_by_role("group", name="Your photos").get_by_role("button").nth(1)
    tab_to(second)
    page.keyboard.press("Enter")
    expect(page.get_by_role("img", name="Your photo plain.png")).to_be_visible()
    expect(second).to_be_focused()  # although the page has been updated
    tab_to(page.get_by_role("button", name="Save as CSV"))
    with page.expect_download():
        page.keyboard.press("Enter")


def test_all_other_states_are_accessible(visit, photo, broken):
    page = visit()
    check_state(page, "empty")
    give(page, photo, broken)
    page.get_by_label(WHERE).press_sequentially("Austral")
    expect(page.get_by_role("option").first).to_be_visible()
    check_state(page, "places")
    page.get_by_label(WHERE).fill("")
    page.get_by_role("button", name="More clues").click()
    expect(page.get_by_label("Taken at")).to_be_visible()
    check_state(page, "clues")
    add_place(page, "Portugal")  # where the model knows nothing
    expect(page.get_by_text("Portugal: the model has no place there")).to_be_visible()
    remove_places(page)
    add_place(page, "Lilliput")
    expect(page.get_by_role("alert").first).to_be_visible()
    check_state(page, "problem")
    remove_places(page)
    page.get_by_role("button", name="broken.jpg").click()
    expect(page.get_by_role("heading", name="This photo cannot be read")).to_be_visible()
    check_state(page, "unreadable")
    page.get_by_role("tab", name="Play").click()
    check_state(page, "game-start")
    start_game(page)
    check_state(page, "game-round")
    page.locator("#game-map svg").click(position={"x": 300, "y": 200})
    expect(page.get_by_label("Longitude").last).not_to_have_value("")
    page.get_by_role("button", name="This is my guess").click()
    expect(page.get_by_role("button", name="Next round")).to_be_visible()
    check_state(page, "game")


def test_the_starter_bundle_answers_an_example(visit, serve):
    pytest.importorskip("faiss", reason="the cpu extra is not installed")
    from geoloc.geolocator import Geolocator

    page = visit(serve(Geolocator.from_bundle("starter")))
    give(page, photos.read(photos.EXAMPLES)[0].file)
    expect(page.locator("table.places tbody tr").first).to_contain_text("Paris")
    expect(page.locator(".known img").first).to_be_visible()  # with the credit of its licence
    expect(page.locator(".known li", has=page.locator("img")).first).to_contain_text("(Commons)")
    check_words(page)
    assert page.locator("body").inner_text().lower().count("not sure") <= 1
    add_place(page, "Australia")
    expect(page.get_by_text("In Australia, as given")).to_be_visible()
    expect(page.locator("table.places tbody tr").first).to_contain_text("Australia")
