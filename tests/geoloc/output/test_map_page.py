"""The map page: its geometry, and its use by pointer, touch and keyboard in Chromium."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocells.sphere import haversine_km
from geoloc.guess import Candidate, Evidence, Exif, Guess, Place
from geoloc.output import map_page
from geoloc.output.map import outlines, shown
from tests.geoloc.output.records import CELLS


def guess_at(lat: float, lon: float, radius_km: float, other=(41.9, 12.5), **changes) -> Guess:
    place = Place("FR", "France", "Île-de-France", "Paris", 1.0)
    values = {
        "photo": "photo.jpg", "lat": lat, "lon": lon, "radius_50_km": radius_km / 2,
        "radius_80_km": radius_km, "radius_95_km": 1.5 * radius_km,
        "confidence": "city", "place": place,
        "chance_200km": 0.9, "probability": 0.7,
        "evidence": Evidence(("FR", "", "paris"), (), 0.1, 0.5, 0.4),
        "candidates": (Candidate(lat, lon, 0.7, "paris", place),
                       Candidate(*other, 0.2, "rome", place)),
        "region": (),
        "neighbours": (), "exif": Exif(48.9, 2.4), "exif_distance_km": 6.7, "bundle": "test",
    }  # fmt: skip
    return Guess(**values | changes)


def page_data(path: Path) -> dict:
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r"const data = (\{.*\});\n", text)[1])


@settings(max_examples=100, deadline=None)
@given(st.floats(-80, 80), st.floats(-180, 180), st.floats(1, 19_000))
def test_every_point_of_the_circle_lies_at_the_radius(lat, lon, radius_km):
    ring = np.array(shown.circle(guess_at(lat, lon, radius_km)))
    distance = haversine_km([lat, lon], ring[:, ::-1])
    assert distance == pytest.approx(radius_km, rel=1e-5, abs=0.005)
    assert np.abs(ring[:, 0] - lon).max() <= 180.001


@pytest.mark.parametrize("place", [(48.9, 2.35), (-17.0, 179.9), (80.0, 10.0)])
def test_page_has_the_borders_around_its_answers_and_is_small(tmp_path, place):
    path = map_page.write_map([guess_at(*place, 30.0)], CELLS, tmp_path / "map.html")
    data = page_data(path)
    x, y = outlines.mercator(np.array([place]))[0]
    boxes = [tile["box"] for tile in data["base"]["tiles"]]
    assert any(box[0] <= x <= box[2] and box[1] <= y <= box[3] for box in boxes)
    assert {name[3] for name in data["base"]["names"]} >= {"country", "town"}
    assert path.stat().st_size < 900_000


def test_page_shows_what_the_page_of_the_demo_shows(tmp_path):
    guess = guess_at(48.9, 2.35, 9.0)
    (photo,) = page_data(map_page.write_map([guess], CELLS, tmp_path / "map.html"))["photos"]
    assert photo["map"] == json.loads(json.dumps(shown.map_data(guess, CELLS)))


def test_failed_write_keeps_the_old_file_and_leaves_no_partial_one(tmp_path, monkeypatch):
    target = tmp_path / "map.html"
    map_page.write_map([guess_at(48.9, 2.35, 9.0)], CELLS, str(target))
    before = target.read_bytes()

    def full_disk(file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match=r"No space left.*map.html"):
        map_page.write_map([guess_at(41.9, 12.5, 9.0)], CELLS, target)
    assert target.read_bytes() == before
    assert list(tmp_path.iterdir()) == [target]


@pytest.fixture
def open_map(visit, tmp_path):
    """Opens the map of a guess."""

    def open_page(guess: Guess, width: int = 1000, height: int = 700, **options):
        page = map_page.write_map([guess], CELLS, tmp_path / "map.html")
        return visit(page.as_uri(), width, height, **options)

    return open_page


def view_of(tab) -> list[float]:
    return [float(value) for value in tab.locator("#map > svg").get_attribute("viewBox").split()]


@pytest.mark.parametrize(("width", "height"), [(1400, 600), (1000, 700), (390, 800)])
@pytest.mark.parametrize("place", [(48.9, 2.35, 30.0), (-17.0, 179.9, 300.0)])
def test_circle_and_answer_are_on_the_screen(open_map, width, height, place):
    tab = open_map(guess_at(*place), width, height)
    screen = tab.locator("#map").bounding_box()
    circle = tab.locator(".map-circle").first.bounding_box()
    assert circle["x"] >= screen["x"]
    assert circle["y"] >= screen["y"]
    assert circle["x"] + circle["width"] <= screen["x"] + screen["width"]
    assert circle["y"] + circle["height"] <= screen["y"] + screen["height"]
    assert circle["width"] > 0.3 * min(screen["width"], screen["height"])
    pin = tab.locator(".map-pin.answer").bounding_box()
    assert pin["width"] == pytest.approx(28, abs=3), "pins keep their size on the screen"
    assert pin["x"] + 14 == pytest.approx(circle["x"] + circle["width"] / 2, abs=3)


def test_scale_bar_has_the_right_length(open_map):
    tab = open_map(guess_at(60.0, 25.0, 50.0))
    bar = tab.locator(".maplibregl-ctrl-scale").bounding_box()["width"]
    km = float(tab.locator(".maplibregl-ctrl-scale").inner_text().removesuffix(" km"))
    circle = tab.locator(".map-circle").first.bounding_box()["width"]
    assert 40 <= bar <= 125
    assert bar / km == pytest.approx(circle / 100.0, rel=0.04)


def test_wheel_zooms_at_the_pointer_and_dragging_moves(open_map):
    tab = open_map(guess_at(48.9, 2.35, 30.0))
    pin = tab.locator(".map-pin.answer")

    def position():
        box = pin.bounding_box()
        return np.array([box["x"] + box["width"] / 2, box["y"] + box["height"]])  # its tip

    side, start = view_of(tab)[2], position()
    tab.mouse.move(*start)
    tab.mouse.wheel(0, -400)
    tab.wait_for_function("side => map.view[2] < .8 * side", arg=side)
    assert position() == pytest.approx(start, abs=2), "the pointer has whole pixels"
    offset = np.array([-80, 50])
    tab.mouse.down()
    tab.mouse.move(*(start + offset), steps=4)
    tab.mouse.up()
    assert position() == pytest.approx(start + offset, abs=2)


def test_pinch_zooms_between_the_fingers(open_map):
    tab = open_map(guess_at(48.9, 2.35, 30.0), 390, 800, has_touch=True)
    pin = tab.locator(".map-pin.answer").bounding_box()
    x, y = pin["x"] + pin["width"] / 2 + 50, pin["y"] + pin["height"] + 60
    side = view_of(tab)[2]
    fingers = tab.context.new_cdp_session(tab)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        touching = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(points)]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touching})

    touch("touchStart", (x - 40, y), (x + 40, y))
    for spread in range(41, 81):
        touch("touchMove", (x - spread, y), (x + spread, y))
    touch("touchEnd")
    assert view_of(tab)[2] == pytest.approx(side / 2, rel=0.05)
    moved = tab.locator(".map-pin.answer").bounding_box()
    assert moved["x"] - pin["x"] == pytest.approx(-50, abs=10), "twice as far from the fingers"
    assert moved["y"] - pin["y"] == pytest.approx(-60, abs=10)


def test_everything_can_be_done_by_keyboard(open_map):
    tab = open_map(guess_at(48.9, 2.35, 30.0))
    home = view_of(tab)
    tab.locator("#list button").nth(1).focus()
    tab.keyboard.press("Enter")
    x, y, width, height = view_of(tab)
    rome = outlines.mercator(np.array([[41.9, 12.5]]))[0]
    assert (x + width / 2, y + height / 2) == pytest.approx(rome.tolist(), abs=1e-3)
    tab.locator("#map > svg").focus()
    for key, factor in (("+", 0.6), ("-", 1 / 0.6)):
        before = view_of(tab)[2]
        tab.keyboard.press(key)
        assert view_of(tab)[2] == pytest.approx(before * factor)
    tab.keyboard.press("0")
    assert view_of(tab) == home


def test_moving_east_comes_round_to_the_start(open_map):
    tab = open_map(guess_at(10.0, 170.0, 15_000.0))
    tab.locator("#map > svg").focus()
    start = view_of(tab)
    middles = []
    for _ in range(10):
        tab.keyboard.press("ArrowRight")
        x, _, width, _ = view_of(tab)
        middles.append(x + width / 2)
    assert all(0.0 <= middle <= outlines.WORLD_PX for middle in middles)
    assert view_of(tab) == pytest.approx(start, abs=0.01), "ten steps of a tenth are one turn"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(open_map, scheme):
    tab = open_map(guess_at(48.9, 2.35, 30.0), color_scheme=scheme)

    def colour(selector: str, name: str) -> np.ndarray:
        text = tab.locator(selector).first.evaluate(f"node => getComputedStyle(node)['{name}']")
        return np.array([int(part) for part in re.findall(r"\d+", text)[:3]])

    def contrast(a: np.ndarray, b: np.ndarray) -> float:
        """Ratio of luminances, WCAG 2."""
        linear = [np.where(c <= 10, c / 3294.6, ((c / 255 + 0.055) / 1.055) ** 2.4) for c in (a, b)]
        dark, light = sorted(float(c @ [0.2126, 0.7152, 0.0722]) for c in linear)
        return (light + 0.05) / (dark + 0.05)

    for kind in ("answer", "other"):
        pin = tab.locator(
            f".map-pin.{kind}"
        ).first  # its colour fills the span, or what lies behind
        pin.evaluate(
            "node => node.style.setProperty('background-color', 'var(--pin)', 'important')"
        )
        filled = colour(f".map-pin.{kind}", "backgroundColor")
        assert contrast(colour(f".map-pin.{kind} span", "color"), filled) > 4.5
    panel = colour("body", "backgroundColor")
    assert (panel.mean() < 128) == (scheme == "dark")
    for selector in ("h1", "#sentence", "#list small", ".legend li"):
        assert contrast(colour(selector, "color"), panel) > 4.5
