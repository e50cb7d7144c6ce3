"""The page of a batch in a real browser: clusters, list, search, keys, and nothing from outside."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geocells.sphere import haversine_km
from geoloc.guess import RegionCell
from geoloc.output import photo_page, svg_map
from geoloc.output.formats import Record
from tests.geoloc.output.records import CELLS, make_guess, many, written

CHROMIUM = Path("/usr/bin/chromium")
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&\"'"


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM.exists():
        pytest.skip("Debian's chromium is not installed")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(autouse=True)
def few_fine_borders(monkeypatch):
    """Most of what a page costs, and the same everywhere."""
    monkeypatch.setattr(photo_page, "MOST_TILES", 3)


@pytest.fixture
def show(browser, tmp_path):
    """Open the page of some records; no request but for the file, and no complaint, is allowed."""
    asked, said, contexts = [], [], []

    def open_page(answers, width: int = 1100, height: int = 750, **options):
        path = written(tmp_path / "photos.html", answers)
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        tab = context.new_page()
        tab.on("request", lambda r: None if r.url.startswith("data:") else asked.append(r.url))
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        tab.goto(path.as_uri())
        tab.wait_for_function("() => $('shown').textContent !== ''")
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert set(asked) == {(tmp_path / "photos.html").as_uri()}
    assert said == []


@pytest.fixture
def pictures(tmp_path):
    """Answers about five photos that are really there."""
    answers = []
    for i in range(5):
        path = tmp_path / f"{i}.jpg"
        Image.new("RGB", (640, 480), (50 * i, 90, 120)).save(path)
        guess = make_guess(48.0 + i, 2.0, photo=str(path), radius_km=30.0)
        answers.append(Record(guess, {}, str(path)))
    return answers


def counts(tab) -> list[int]:
    """How many photos each mark on the screen stands for."""
    return tab.evaluate("[...marks.keys()].map(group => group.photos.length)")


def listed(tab) -> list[str]:
    return tab.locator("#list button > span > span").all_inner_texts()


def settle(tab) -> None:
    """Let the list follow the map."""
    tab.wait_for_timeout(250)


def test_every_photo_is_on_the_map_and_in_the_list(show):
    tab = show(many(250))
    assert tab.locator("h1").inner_text() == "250 photos on the map"
    assert sum(counts(tab)) == 250
    assert len(counts(tab)) < 100
    assert tab.locator("#shown").inner_text() == "250 photos"
    assert len(listed(tab)) == 100
    tab.get_by_role("button", name="Show more").click()
    tab.get_by_role("button", name="Show more").click()
    assert sorted(listed(tab)) == [f"{i:05}.jpg" for i in range(250)]
    assert not tab.locator("#more").is_visible()


def test_clusters_open_until_a_photo_is_chosen(show):
    tab = show(many(250))
    seen = []
    for _ in range(20):
        seen.append(max(counts(tab)))
        if tab.locator("#card").is_visible():
            break
        mark = tab.evaluate("""() => {
            const [left, top, right, bottom] = seen();
            const inside = [...marks.keys()].filter(g => g.y > top && g.y < bottom);
            const largest = inside.reduce((a, b) => a.photos.length >= b.photos.length ? a : b);
            marks.get(largest).dispatchEvent(new MouseEvent("click", {bubbles: true}));
        }""")
        assert mark is None
    assert seen[0] > seen[-1] == 1
    assert tab.locator("#card h2").inner_text().endswith(".jpg")


def test_a_mark_can_be_clicked_and_the_map_dragged_from_it(show):
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


@pytest.mark.parametrize("place", [(48.9, 2.35, 30.0), (-17.0, 179.9, 300.0), (80.0, 10.0, 1500.0)])
def test_the_circle_is_drawn_at_the_radius(show, place):
    lat, lon, radius_km = place
    tab = show([Record(make_guess(lat, lon, radius_km=radius_km), {}, None)])
    tab.locator("#list button").click()
    points = re.findall(r"[ML](-?[\d.]+),(-?[\d.]+)", tab.locator("#circle").get_attribute("d"))
    lonlat = svg_map.lonlat_of(np.array(points, float))
    drawn = np.abs(lonlat[:, 1]) < svg_map.NORTHERNMOST_DEG - 0.01
    distance = haversine_km([lat, lon], lonlat[drawn, ::-1])
    assert drawn.sum() > 100
    assert distance == pytest.approx(radius_km, rel=2e-3)
    screen = tab.locator("#map").bounding_box()
    pin = tab.locator(".pin.first circle").bounding_box()
    assert screen["x"] < pin["x"] < screen["x"] + screen["width"]


def test_search_filter_and_order(show):
    from playwright.sync_api import expect

    tab = show(many(60))
    tab.get_by_label("Search names and places").fill("WALK 00003")
    tab.locator("#list button").nth(1).wait_for(state="detached")
    assert listed(tab) == ["00003.jpg"]
    assert tab.locator("#shown").inner_text().startswith("1 of 60 photos match")
    assert sum(counts(tab)) == 1
    for search, count in (("Coast", 20), ("", 60)):
        tab.get_by_label("Search names and places").fill(search)
        expect(tab.locator("#list button")).to_have_count(count)
    for name in ("region", "country", "not sure"):
        tab.get_by_label(f"{name} (15)").uncheck()
    assert listed(tab) == [f"{i:05}.jpg" for i in range(0, 60, 4)]
    tab.get_by_label("Order").select_option("smallest radius first")
    radii = tab.evaluate("inView.map(photo => photo.radius_km)")
    assert radii == sorted(radii)
    assert len(radii) == 15


def test_the_list_follows_the_map_but_not_the_choice(show):
    tab = show(many(60))
    tab.locator("#list button").nth(3).click()
    settle(tab)
    assert len(listed(tab)) == 60, "the list stays, to go on with"
    assert tab.locator("#list [aria-current=true] > span > span").inner_text() == "00003.jpg"
    tab.locator("#out").click()
    settle(tab)
    assert 0 < len(listed(tab)) < 60
    assert tab.locator("#shown").inner_text().endswith(f"{len(listed(tab))} in view")
    tab.locator("#home").click()
    settle(tab)
    assert len(listed(tab)) == 60


def test_everything_can_be_done_by_keyboard(show):
    tab = show(many(30))
    tab.keyboard.press("/")
    tab.keyboard.type("bush")
    tab.locator("#list button").nth(10).wait_for(state="detached")
    assert len(listed(tab)) == 10
    tab.locator("#list button").first.focus()
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("Enter")
    assert tab.locator("#card h2").inner_text() == "00004.jpg"
    settle(tab)
    focused = "document.activeElement.photo?.short"
    assert tab.evaluate(focused) == "00004.jpg"
    tab.keyboard.press("Escape")
    assert not tab.locator("#card").is_visible()
    tab.locator("svg").focus()
    tab.keyboard.press("0")
    for _ in range(12):
        tab.keyboard.press("Enter")
        if tab.locator("#card").is_visible():
            break
    assert tab.locator("#card").is_visible(), "Enter opens what is nearest to the middle"
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.id") == "in"


def test_names_and_columns_are_shown_as_they_are(show):
    guess = make_guess(photo=HOSTILE, within=HOSTILE)
    tab = show([Record(guess, {HOSTILE: HOSTILE, "lat": "1", "nothing": None}, None)])
    short = HOSTILE.split("/")[-1]
    assert listed(tab) == [short]
    tab.locator("#list button").click()
    assert tab.locator("#card h2").inner_text() == short
    told = tab.locator("#card dt").all_inner_texts()
    assert told == ["first place", "coordinates", "belief", "file", HOSTILE, "input_lat"]
    assert tab.locator("#card dd").nth(4).inner_text() == HOSTILE
    assert tab.locator("img").count() == 0


def test_pictures_are_small_and_cells_are_drawn(show, pictures):
    tab = show(pictures)
    tab.wait_for_function("() => [...document.images].every(image => image.complete)")
    assert tab.evaluate("[...document.images].map(image => image.naturalWidth)") == [128] * 5
    assert tab.locator(".mark image").count() > 0
    tab.locator("#list button").first.click()
    assert tab.locator("#cells path").count() == 3
    assert tab.locator("#cells path").first.get_attribute("d").startswith("M")
    assert tab.locator("#card img").is_visible()


def test_beyond_the_limit_photos_are_dots_and_the_page_says_so(show, pictures, monkeypatch):
    monkeypatch.setattr(photo_page, "MOST_PICTURES", 2)
    tab = show(pictures)
    assert tab.locator("#list img").count() == 2
    assert sum(counts(tab)) == 5
    assert "Of 5 photos, 2 are shown with pictures and cells" in tab.locator("#legend").inner_text()


def test_the_bytes_of_pictures_are_limited_too(tmp_path, pictures, monkeypatch):
    whole = written(tmp_path / "all.html", pictures).read_text().count("data:image/jpeg")
    size = max(
        map(len, re.findall(r'"(data:image/jpeg[^"]+)"', (tmp_path / "all.html").read_text()))
    )
    monkeypatch.setattr(photo_page, "MOST_PICTURE_BYTES", 3 * size)
    few = written(tmp_path / "few.html", pictures).read_text().count("data:image/jpeg")
    assert (whole, few) == (5, 3)


def test_a_photo_that_has_gone_is_a_dot(tmp_path, pictures):
    Path(pictures[0].source).unlink()
    assert written(tmp_path / "a.html", pictures).read_text().count("data:image/jpeg") == 4


def test_photos_on_both_sides_of_the_antimeridian_are_neighbours(show):
    fiji = [Record(make_guess(-17.0, lon, photo=f"{lon}"), {}, None) for lon in (179.0, -179.0)]
    tab = show(fiji)
    side = float(tab.locator("svg").get_attribute("viewBox").split()[2])
    assert side < 10
    assert tab.locator("#shown").inner_text() == "2 photos"
    screen = tab.locator("#map").bounding_box()
    boxes = [mark.bounding_box() for mark in tab.locator(".mark .dot").all()]
    assert len(boxes) == 2
    assert all(screen["x"] <= box["x"] < screen["x"] + screen["width"] for box in boxes)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(show, scheme):
    tab = show(many(40), 360, 740, color_scheme=scheme, has_touch=True, is_mobile=True)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    tab.locator("#list button").nth(2).tap()
    settle(tab)
    card, chart = tab.locator("#card h2"), tab.locator("#map").bounding_box()
    assert card.is_visible()
    assert card.bounding_box()["y"] >= chart["y"] + chart["height"] - 1
    assert card.bounding_box()["y"] < 740
    assert chart["height"] > 240
    panel = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    light = np.mean([int(part) for part in re.findall(r"\d+", panel)[:3]])
    assert (light > 128) == (scheme == "light")


def test_everything_has_a_name_for_screen_readers(show, pictures):
    tab = show(pictures)
    assert tab.get_by_role("status").inner_text() == "5 photos"
    tab.locator("#list button").first.click()
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


def test_a_page_is_one_file_without_addresses(tmp_path):
    html = written(tmp_path / "a.html", many(20)).read_text(encoding="utf-8")
    assert "http" not in html.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")
    rows = json.loads(re.search(r'id="photos">(.*?)</script>', html, re.DOTALL)[1])
    assert len(rows) == 20
    assert len(html) < 4_000_000


def test_no_photos_make_a_page_that_says_so(show):
    tab = show([])
    assert tab.locator("h1").inner_text() == "0 photos on the map"


def test_cells_of_a_level_are_those_of_the_answer(tmp_path, pictures):
    guess = replace(pictures[0].guess, region=(RegionCell("rome", 0.9, 0.5),))
    html = written(tmp_path / "a.html", [replace(pictures[0], guess=guess)]).read_text()
    rows = json.loads(re.search(r'id="photos">(.*?)</script>', html, re.DOTALL)[1])
    assert rows[0][-1] == [[CELLS.cell_id.tolist().index("rome")], [], []]
