"""The page of a batch in Chromium: groups, list, search, keyboard, and no external request."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geocells.sphere import haversine_km
from geoloc.output import photo_page
from geoloc.output.formats import Record
from geoloc.output.map import base, outlines
from tests.geoloc.output.records import make_guess, many, written

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&\"'"


@pytest.fixture(autouse=True)
def few_tiles(monkeypatch):
    """Few tiles with detailed borders, which take most of the time of writing a page."""
    monkeypatch.setattr(base, "MAX_TILES", 3)


@pytest.fixture
def show(visit, tmp_path):
    """Opens the page of some records."""

    def open_page(answers, width: int = 1100, height: int = 750, **options):
        path = written(tmp_path / "photos.html", answers)
        return visit(path.as_uri(), width, height, **options)

    return open_page


@pytest.fixture
def pictures(tmp_path):
    """Records of five photos with existing files."""
    answers = []
    for i in range(5):
        path = tmp_path / f"{i}.jpg"
        Image.new("RGB", (640, 480), (50 * i, 90, 120)).save(path)
        guess = make_guess(48.0 + i, 2.0, photo=str(path), radius_80_km=30.0)
        answers.append(Record(guess, {}, str(path)))
    return answers


def counts(tab) -> list[int]:
    """Return the number of photos of each mark on the screen."""
    return tab.evaluate("[...marks.keys()].map(group => group.photos.length)")


def rows(tab):
    return tab.locator("#list button")


def names(tab) -> list[str]:
    return tab.locator("#list button > span > span").all_text_contents()


def test_every_photo_is_on_the_map_and_in_the_list(show):
    tab = show(many(250))
    expect(tab.locator("h1")).to_have_text("250 photos on the map")
    assert sum(counts(tab)) == 250
    assert len(counts(tab)) < 100
    expect(tab.locator("#shown")).to_have_text("250 photos")
    expect(rows(tab)).to_have_count(100)
    tab.get_by_role("button", name="Show more").click()
    expect(rows(tab)).to_have_count(200)
    tab.get_by_role("button", name="Show more").click()
    expect(rows(tab)).to_have_count(250)
    assert sorted(names(tab)) == [f"{i:05}.jpg" for i in range(250)]
    expect(tab.locator("#more")).to_be_hidden()


EARLY = """document.addEventListener("DOMContentLoaded", () => {
    document.querySelector("#more").click();
    document.querySelectorAll("#list button")[120].click();
});"""


def test_list_is_complete_after_the_earliest_possible_click(show):
    """No timer started by the load may replace the rows that a click has added."""

    def prepare(tab):
        tab.clock.install()
        tab.add_init_script(EARLY)

    tab = show(many(250), prepare=prepare)
    tab.clock.run_for(10_000)
    expect(rows(tab)).to_have_count(200)
    expect(tab.locator("#card h2")).to_have_text("00120.jpg")
    tab.locator("#more").click()
    tab.clock.run_for(10_000)
    expect(rows(tab)).to_have_count(250)


@pytest.mark.parametrize("size", [(500, 400), (1600, 900), (360, 740)])
def test_list_is_kept_when_the_window_is_resized_after_a_choice(show, size):
    tab = show(many(60), prepare=lambda tab: tab.clock.install())
    rows(tab).nth(3).click()
    tab.set_viewport_size({"width": size[0], "height": size[1]})
    tab.clock.run_for(10_000)
    expect(rows(tab)).to_have_count(60)


def test_search_is_applied_when_the_map_moves_at_once(show):
    tab = show(many(60), prepare=lambda tab: tab.clock.install())
    tab.evaluate("""() => {
        $("search").value = "coast";
        $("search").dispatchEvent(new Event("input"));
        document.querySelector(".map-home").click();
    }""")
    tab.clock.run_for(10_000)
    expect(rows(tab)).to_have_count(20)


def test_groups_open_until_a_photo_is_chosen(show):
    tab = show(many(250))
    largest = []
    for _ in range(20):
        largest.append(max(counts(tab)))
        if tab.locator("#card").is_visible():
            break
        mark = tab.evaluate("""() => {
            const [, top, , bottom] = map.extent(map.view);
            const inside = [...marks.keys()].filter(g => g.y > top && g.y < bottom);
            const group = inside.reduce((a, b) => a.photos.length >= b.photos.length ? a : b);
            marks.get(group).dispatchEvent(new MouseEvent("click", {bubbles: true}));
        }""")
        assert mark is None
    assert largest[0] > largest[-1] == 1
    assert tab.locator("#card h2").inner_text().endswith(".jpg")


def test_mark_can_be_clicked_and_the_map_dragged_from_it(show):
    tab = show([Record(make_guess(), {}, None)])
    mark = tab.get_by_role("button", name="photo.jpg, Paris (sure of the city)").and_(
        tab.locator(".mark")
    )
    box = mark.locator("circle").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    tab.mouse.move(x, y)
    tab.mouse.down()
    tab.mouse.move(x - 90, y + 60, steps=5)
    tab.mouse.up()
    moved = mark.locator("circle").bounding_box()
    assert (moved["x"] - box["x"], moved["y"] - box["y"]) == pytest.approx((-90, 60), abs=2)
    assert not tab.locator("#card").is_visible(), "dragging is not clicking"
    mark.locator("circle").click()
    assert tab.locator("#card").is_visible()


@pytest.mark.parametrize("place", [(48.9, 2.35, 30.0), (-17.0, 179.9, 300.0), (70.0, 10.0, 1500.0)])
def test_circle_is_drawn_at_the_radius(show, place):
    lat, lon, radius_km = place
    tab = show([Record(make_guess(lat, lon, radius_80_km=radius_km), {}, None)])
    rows(tab).click()
    path = tab.locator(".map-circle").first.get_attribute("d")
    assert path.count("M") == 1
    points = re.findall(r"[ML](-?[\d.]+),(-?[\d.]+)", path)
    lonlat = outlines.lonlat_of(np.array(points, float))
    drawn = np.abs(lonlat[:, 1]) < outlines.NORTHERNMOST_DEG - 0.01
    distance = haversine_km([lat, lon], lonlat[drawn, ::-1])
    assert drawn.sum() > 100
    assert distance == pytest.approx(radius_km, rel=2e-3)
    screen = tab.locator("#map").bounding_box()
    pin = tab.locator(".map-pin.answer").bounding_box()
    assert screen["x"] < pin["x"] < screen["x"] + screen["width"]


def test_search_filter_and_order(show):
    tab = show(many(60))
    for search, count in (("WALK 00003", 1), ("Coast", 20), ("", 60)):
        tab.get_by_label("Search names and places").fill(search)
        expect(rows(tab)).to_have_count(count)
        assert sum(counts(tab)) == count
        if count == 1:
            assert names(tab) == ["00003.jpg"]
            expect(tab.locator("#shown")).to_contain_text("1 of 60 photos match")
    for name in ("region", "country", "not sure"):
        tab.get_by_label(f"{name} (15)").uncheck()
    assert names(tab) == [f"{i:05}.jpg" for i in range(0, 60, 4)]
    tab.get_by_label("Order").select_option("smallest radius first")
    radii = tab.evaluate("inView.map(photo => photo.radius_80_km)")
    assert radii == sorted(radii)
    assert len(radii) == 15


def test_list_follows_the_map_but_not_the_choice(show):
    tab = show(many(60), prepare=lambda tab: tab.clock.install())
    rows(tab).nth(3).click()
    tab.clock.run_for(10_000)
    expect(rows(tab)).to_have_count(60)
    expect(tab.locator("#list [aria-current=true] > span > span")).to_have_text("00003.jpg")
    tab.get_by_role("button", name="Zoom out").click()
    expect(tab.locator("#shown")).to_contain_text("in view")
    shown = rows(tab).count()
    assert 0 < shown < 60
    expect(tab.locator("#shown")).to_contain_text(f"{shown} in view")
    tab.get_by_role("button", name="Show all photos").click()
    expect(rows(tab)).to_have_count(60)


def test_everything_can_be_done_by_keyboard(show):
    tab = show(many(30))
    tab.keyboard.press("/")
    tab.keyboard.type("bush")
    expect(rows(tab)).to_have_count(10)
    rows(tab).first.focus()
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("Enter")
    expect(tab.locator("#card h2")).to_have_text("00004.jpg")
    expect(rows(tab).nth(1)).to_be_focused()
    tab.keyboard.press("Escape")
    expect(tab.locator("#card")).to_be_hidden()
    tab.locator("#map > svg").focus()
    tab.keyboard.press("0")
    for _ in range(12):
        tab.keyboard.press("Enter")
        if tab.locator("#card").is_visible():
            break
    assert tab.locator("#card").is_visible(), "Enter opens the group nearest to the centre"
    tab.keyboard.press("Tab")
    expect(tab.locator(".map-pin.answer")).to_be_focused()
    tab.keyboard.press("Tab")
    expect(tab.get_by_role("button", name="Zoom in")).to_be_focused()


def test_hostile_names_and_columns_are_shown_as_text(show):
    guess = make_guess(photo=HOSTILE, within=HOSTILE)
    tab = show([Record(guess, {HOSTILE: HOSTILE, "lat": "1", "nothing": None}, None)])
    short = HOSTILE.split("/")[-1]
    assert names(tab) == [short]
    rows(tab).click()
    assert tab.locator("#card h2").inner_text() == short
    terms = tab.locator("#card dt").all_inner_texts()
    assert terms == ["best guess", "coordinates", "within 25 km", "file", HOSTILE, "input_lat"]
    assert tab.locator("#card dd").nth(4).inner_text() == HOSTILE
    assert tab.locator("img").count() == 0


def test_pictures_are_small_and_regions_are_drawn(show, pictures):
    tab = show(pictures)
    tab.wait_for_function("() => [...document.images].every(image => image.complete)")
    assert tab.evaluate("[...document.images].map(image => image.naturalWidth)") == [128] * 5
    assert tab.locator(".mark image").count() > 0
    rows(tab).first.click()
    assert tab.locator(".map-region").count() == 3
    assert tab.locator(".map-region").first.get_attribute("d").startswith("M")
    assert tab.locator("#card img").is_visible()


def test_photos_beyond_the_limit_of_pictures_are_dots_and_the_legend_says_so(
    show, pictures, monkeypatch
):
    monkeypatch.setattr(photo_page, "MAX_PICTURES", 2)
    tab = show(pictures)
    assert tab.locator("#list img").count() == 2
    assert sum(counts(tab)) == 5
    assert "Of 5 photos, 2 are shown with pictures and areas" in tab.locator("#legend").inner_text()


def test_bytes_of_pictures_are_limited(tmp_path, pictures, monkeypatch):
    whole = written(tmp_path / "all.html", pictures).read_text().count("data:image/jpeg")
    size = max(
        map(len, re.findall(r'"(data:image/jpeg[^"]+)"', (tmp_path / "all.html").read_text()))
    )
    monkeypatch.setattr(photo_page, "MAX_PICTURE_BYTES", 3 * size)
    few = written(tmp_path / "few.html", pictures).read_text().count("data:image/jpeg")
    assert (whole, few) == (5, 3)


def test_deleted_photo_has_no_picture(tmp_path, pictures):
    Path(pictures[0].source).unlink()
    assert written(tmp_path / "a.html", pictures).read_text().count("data:image/jpeg") == 4


def test_photos_on_both_sides_of_the_antimeridian_are_neighbours(show):
    fiji = [Record(make_guess(-17.0, lon, photo=f"{lon}"), {}, None) for lon in (179.0, -179.0)]
    tab = show(fiji)
    side = float(tab.locator("#map > svg").get_attribute("viewBox").split()[2])
    assert side < 10
    assert tab.locator("#shown").inner_text() == "2 photos"
    screen = tab.locator("#map").bounding_box()
    boxes = [mark.bounding_box() for mark in tab.locator(".mark .dot").all()]
    assert len(boxes) == 2
    assert all(screen["x"] <= box["x"] < screen["x"] + screen["width"] for box in boxes)


PHONE = {"has_touch": True, "is_mobile": True}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_fits_a_phone(show, scheme):
    tab = show(many(40), 360, 740, color_scheme=scheme, **PHONE)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    rows(tab).nth(2).tap()
    expect(tab.locator("#card h2")).to_be_visible()
    assert tab.locator("#map").bounding_box()["height"] > 240
    panel = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = np.mean([int(part) for part in re.findall(r"\d+", panel)[:3]])
    assert (brightness > 128) == (scheme == "light")


@pytest.mark.parametrize("height", [560, 740])
@pytest.mark.parametrize("font_px", [13, 20, 30])
def test_card_is_below_the_map_at_any_font_size(show, height, font_px):
    def enlarge(tab):
        tab.add_init_script(f"""document.addEventListener("DOMContentLoaded", () => {{
            const style = document.createElement("style");
            style.textContent = "aside, aside * {{ font-size:{font_px}px !important }}";
            document.head.append(style);
        }})""")

    tab = show(many(40), 360, height, prepare=enlarge, **PHONE)
    for number in (2, 30):
        rows(tab).nth(number).tap()
        title = tab.locator("#card h2")
        expect(title).to_have_text(f"{number:05}.jpg")
        chart, box = tab.locator("#map").bounding_box(), title.bounding_box()
        assert chart["y"] == 0
        assert chart["height"] - 1 <= box["y"] < height
        assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    expect(rows(tab)).to_have_count(40)


@pytest.mark.parametrize("height", [300, 420, 750])
def test_list_can_be_reached_on_a_low_screen(show, height):
    tab = show(many(40), 1100, height)
    rows(tab).nth(39).click()
    expect(tab.locator("#card h2")).to_be_in_viewport()
    rows(tab).nth(0).click()
    expect(tab.locator("#card h2")).to_have_text("00000.jpg")


def test_every_control_has_an_accessible_name(show, pictures):
    tab = show(pictures)
    assert tab.get_by_role("status").inner_text() == "5 photos"
    rows(tab).first.click()
    unnamed = tab.evaluate("""() =>
        [...document.querySelectorAll("button, input, select, [role=button]")]
        .filter(node => !(node.getAttribute("aria-label") || node.title || node.textContent.trim()
                          || node.closest("label")?.textContent.trim()))
        .map(node => node.outerHTML)""")
    assert unnamed == []
    assert tab.get_by_role("complementary", name="Photos").is_visible()
    assert (
        tab.get_by_role("application").get_attribute("aria-label").startswith("Map of the photos")
    )
    assert tab.get_by_role("region", name="Chosen photo").get_attribute("aria-live") == "polite"


def test_page_contains_no_external_address(tmp_path):
    html = written(tmp_path / "a.html", many(20)).read_text(encoding="utf-8")
    assert "http" not in html.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")
    rows = json.loads(re.search(r'id="photos">(.*?)</script>', html, re.DOTALL)[1])
    assert len(rows) == 20
    assert len(html) < 4_000_000


def test_page_without_photos_opens(show):
    tab = show([])
    assert tab.locator("h1").inner_text() == "0 photos on the map"


def test_a_circle_around_a_pole_is_not_drawn_as_a_wave(show):
    tab = show([Record(make_guess(80.0, 10.0, radius_80_km=1500.0), {}, None)])
    rows(tab).click()
    assert tab.locator(".map-circle").get_attribute("d") == ""


def test_regions_are_those_of_the_answer_and_take_little_room(tmp_path, pictures):
    html = written(tmp_path / "a.html", pictures[:1]).read_text()
    (values,) = json.loads(re.search(r'id="photos">(.*?)</script>', html, re.DOTALL)[1])
    regions, _has_circle = values[-2:]
    assert len(regions) == 3
    assert all(region.startswith("M") for region in regions)
    assert sum(map(len, regions)) < 12_000
