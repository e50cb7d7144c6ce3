"""The review page in Chromium: mouse, keyboard, phone, undo, and the decisions that it saves."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geocells.sphere import haversine_km
from geoloc.output.map import base
from geoloc.trips.outputs import write_trip
from geoloc.trips.review.decisions import read_decisions
from tests.geoloc.trips.made import LYON, NICE, PARIS, make_trip, write_photos

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&\"'.jpg"
PHONE = {"width": 390, "height": 844}


@pytest.fixture(autouse=True)
def few_tiles(monkeypatch):
    """Few tiles with detailed borders, which take most of the time of writing a page."""
    monkeypatch.setattr(base, "MAX_TILES", 1)


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    write_photos(folder)
    return folder


@pytest.fixture
def show(visit, tmp_path, library):
    """Opens the page of a trip."""

    def open_page(trip=None, width: int = 1100, height: int = 800, **options):
        path = write_trip(trip or make_trip(library), tmp_path / "review.html", library)
        return visit(path.as_uri(), width, height, **options)

    return open_page


def saved(tab, tmp_path: Path) -> list[dict]:
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Export decisions").click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    assert path.name == "decisions.json"
    assert read_decisions(path).problems == ()
    return json.loads(path.read_text())["photos"]


def row(tab, text: str):
    return tab.locator("#list button", has_text=text)


def progress(tab):
    return tab.locator("#progress")


def centre(locator) -> tuple[float, float]:
    box = locator.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(tab, mark, dx: float, dy: float) -> None:
    x, y = centre(mark)
    tab.mouse.move(x, y)
    tab.mouse.down()
    tab.mouse.move(x + dx / 2, y + dy / 2)
    tab.mouse.move(x + dx, y + dy)
    tab.mouse.up()


def km_between(a: dict, b: tuple[float, float]) -> float:
    return float(haversine_km([a["lat"], a["lon"]], b))


def test_groups_are_listed_with_pictures_times_kinds_and_radii(show):
    tab = show()
    expect(tab.locator("h1")).to_have_text("10 photos in 5 groups")
    expect(progress(tab)).to_have_text("0 of 3 groups decided, 0 photos")
    expect(tab.locator("#list button")).to_have_count(5)
    expect(tab.locator("#list img")).to_have_count(5)
    expect(row(tab, "Lyon")).to_contain_text("7 May 2024, 09:00 – 09:02")
    expect(row(tab, "Lyon")).to_contain_text("3 photos, by sight, within 60 km")
    expect(tab.locator(".mark")).to_have_count(4)
    expect(tab.locator(".lines .journey")).to_have_count(1)
    expect(tab.locator(".lines .track")).to_have_count(1)
    expect(tab.locator("#notes li")).to_have_text(
        [
            re.compile(r"clock of Canon EOS: corrected by \+62.0 min ± 2.0 min"),
            re.compile("bad.jpg: not a pict"),
        ]
    )


def test_all_sure_groups_are_accepted_by_one_button_and_saved(show, tmp_path, library):
    tab = show()
    tab.get_by_role("button", name="Accept all within").click()
    expect(progress(tab)).to_have_text("2 of 3 groups decided, 4 photos")
    expect(tab.locator("#message")).to_have_text("2 groups accepted, 4 photos.")
    photos = saved(tab, tmp_path)
    assert [each["photo"] for each in photos] == [f"day/0{i}.jpg" for i in (2, 3, 4, 8)]
    trip = make_trip(library)
    assert photos[0] == {
        "photo": "day/02.jpg", "sha256": trip.photos[2].sha256, "lat": PARIS[0], "lon": PARIS[1],
        "radius_80_km": 1.2, "kind": "interpolated", "decision": "accepted",
        "how": "between two geotagged photos 11 minutes apart",
    }  # fmt: skip


def test_the_radius_of_the_button_can_be_chosen(show):
    tab = show()
    tab.get_by_label("Kilometres").fill("0.9")
    tab.keyboard.press("Enter")
    expect(progress(tab)).to_have_text("1 of 3 groups decided, 1 photo")


def test_a_dragged_pin_corrects_its_group_and_neighbours_follow(show, tmp_path):
    trip = make_trip()
    nice = replace(trip.photos[8], kind="interpolated", radius_80_km=30.0)
    tab = show(replace(trip, photos=(*trip.photos[:8], nice, trip.photos[9])))
    row(tab, "Lyon").click()
    drag(tab, tab.locator(".mark.chosen"), 100, 0)
    expect(progress(tab)).to_have_text("1 of 3 groups decided, 3 photos")
    expect(tab.locator("#list button").nth(2).locator(".state")).to_have_text("placed ✓")
    expect(tab.locator("#message")).to_have_text("1 group moved along; accept or undo.")
    expect(tab.locator("#list button").nth(3).locator(".state")).to_have_text("moved")
    photos = saved(tab, tmp_path)
    assert [each["decision"] for each in photos] == ["corrected"] * 3
    east = photos[0]
    assert east["lat"] == pytest.approx(LYON[0], abs=1e-3)
    assert east["lon"] > LYON[1] + 0.05
    assert 0 < east["radius_80_km"] < km_between(east, LYON)
    tab.locator("#list button").nth(3).click()
    tab.get_by_role("button", name="Accept", exact=True).click()
    *_, nice = saved(tab, tmp_path)
    assert nice["decision"] == "moved"
    assert nice["lon"] - NICE[1] == pytest.approx(east["lon"] - LYON[1], abs=1e-4)


def test_places_by_sight_follow_only_from_the_same_wrong_place(show):
    trip = make_trip()
    nice = replace(trip.photos[8], kind="guessed", radius_80_km=30.0)
    tab = show(replace(trip, photos=(*trip.photos[:8], nice, trip.photos[9])))
    tab.evaluate("place(groups[2], groups[2].lat, groups[2].lon + 1, 1)")
    assert tab.evaluate("groups[3].by") == "estimate", "300 km away: no common error of 80 km"
    tab.evaluate("undo(); place(groups[2], groups[2].lat, groups[2].lon + 50, 1)")
    assert tab.evaluate("groups[3].by") == "moved"


def test_a_town_is_typed_to_place_a_group(show, tmp_path):
    tab = show()
    row(tab, "Lyon").click()
    tab.keyboard.press("t")
    tab.keyboard.type("greno")
    expect(tab.locator("#towns option").first).to_have_text("Grenoble, FR")
    tab.keyboard.type("ble")
    tab.keyboard.press("Enter")
    expect(tab.locator("#card h2")).to_have_text("Grenoble, FR")
    photos = saved(tab, tmp_path)
    assert {each["decision"] for each in photos} == {"corrected"}
    assert km_between(photos[0], (45.17, 5.72)) < 5
    assert photos[0]["radius_80_km"] == 5
    tab.keyboard.press("t")
    tab.keyboard.type("saint etienne")
    assert tab.evaluate("coordinates('saint etienne')") is None
    tab.keyboard.press("Enter")
    expect(tab.locator("#message")).to_contain_text("is no town that this page knows")


def test_typed_coordinates_are_as_accurate_as_their_digits(show):
    tab = show()
    row(tab, "Lyon").click()
    tab.get_by_label("latitude, longitude").fill("45.76, 4.835")
    tab.keyboard.press("Enter")
    expect(tab.locator("#card")).to_contain_text("Placed by hand. To about 1.1 km.")


def test_photos_of_a_days_way_that_are_placed_by_hand_are_not_all_said_to_be_at_the_pin(
    show, tmp_path
):
    trip = make_trip()
    way = [replace(photo, lat=LYON[0] + i / 10) for i, photo in enumerate(trip.photos[5:8])]
    tab = show(replace(trip, photos=(*trip.photos[:5], *way, *trip.photos[8:])))
    row(tab, "Lyon").click()
    tab.get_by_label("latitude, longitude").fill("45.864, 4.8357")
    tab.keyboard.press("Enter")
    radii = [each["radius_80_km"] for each in saved(tab, tmp_path)]
    assert radii == [pytest.approx(11.1, abs=0.1), 0.111, pytest.approx(11.1, abs=0.1)]


def test_least_sure_groups_come_first_and_the_rest_is_accepted_at_once(show, tmp_path):
    tab = show()
    tab.get_by_label("Order of the groups").select_option("Least sure first")
    expect(tab.locator("#list button").first).to_contain_text("Lyon")
    expect(tab.locator("#near-count")).to_have_text("2 groups, 4 photos")
    tab.keyboard.press("n")
    expect(tab.locator("#card h2")).to_contain_text("Lyon")
    tab.get_by_role("button", name="Accept all 3 groups that are left").click()
    expect(progress(tab)).to_have_text("3 of 3 groups decided, 7 photos")
    expect(tab.locator("#rest")).to_be_hidden()
    assert len(saved(tab, tmp_path)) == 7


def test_groups_that_are_much_surer_do_not_follow(show):
    tab = show()
    row(tab, "Lyon").click()
    drag(tab, tab.locator(".mark.chosen"), 100, 0)
    expect(progress(tab)).to_have_text("1 of 3 groups decided, 3 photos")
    assert tab.evaluate("groups.map(group => group.by)") == [
        "estimate", "estimate", "hand", "estimate", "estimate",
    ]  # fmt: skip


def test_measured_and_accepted_groups_do_not_follow(show):
    tab = show()
    row(tab, "between known places").click()
    tab.get_by_role("button", name="Accept", exact=True).click()
    row(tab, "Lyon").click()
    drag(tab, tab.locator(".mark.chosen"), 60, 40)
    expect(row(tab, "placed")).to_have_count(1)
    places = tab.evaluate("groups.map(group => [group.by, group.lat])")
    assert places[0] == ["estimate", PARIS[0]]
    assert places[1] == ["estimate", PARIS[0]]


def test_neighbours_follow_less_the_closer_in_time_the_next_known_place_is(show, library):
    """Guessed groups an hour apart between two measured ones: a Brownian bridge."""
    trip = make_trip(library)
    kinds = ["measured", *["guessed"] * 5, "measured"]
    photos = tuple(
        replace(trip.photos[6], photo=f"{i}.jpg", sha256=f"{i:064}", kind=kind, stay=0,
                lat=47.0 + i / 10, lon=5.0, radius_80_km=0.4,
                taken_at=f"2024-05-06T{10 + i}:00:00+02:00")
        for i, kind in enumerate(kinds)
    )  # fmt: skip
    tab = show(replace(trip, photos=photos))
    expect(tab.locator("#list button")).to_have_count(7)
    tab.locator("#list button").nth(2).click()
    tab.get_by_label("Latitude, longitude").fill("47.2, 6")
    tab.keyboard.press("Enter")
    expect(tab.locator("#message")).to_contain_text("4 groups moved along")
    lon = tab.evaluate("groups.map(group => group.lon)")
    assert lon == pytest.approx([5, 5.5, 6, 5.75, 5.5, 5.25, 5])


def test_each_step_can_be_undone(show):
    tab = show()
    start = tab.evaluate(
        "JSON.stringify(groups.map(group => [group.lat, group.by, group.accepted]))"
    )
    tab.get_by_role("button", name="Accept all within").click()
    row(tab, "Lyon").click()
    drag(tab, tab.locator(".mark.chosen"), 30, 30)
    expect(progress(tab)).to_have_text("3 of 3 groups decided, 7 photos")
    tab.get_by_role("button", name="Reset").click()
    expect(progress(tab)).to_have_text("2 of 3 groups decided, 4 photos")
    for shown in ("3 of 3 groups decided, 7 photos", "2 of 3 groups decided, 4 photos"):
        tab.get_by_role("button", name="Undo").click()
        expect(progress(tab)).to_have_text(shown)
    tab.keyboard.press("Control+z")
    expect(progress(tab)).to_have_text("0 of 3 groups decided, 0 photos")
    expect(tab.get_by_role("button", name="Undo")).to_be_disabled()
    expect(tab.get_by_role("button", name="Export decisions")).to_be_disabled()
    state = "JSON.stringify(groups.map(group => [group.lat, group.by, group.accepted]))"
    assert tab.evaluate(state) == start


def test_the_whole_review_works_with_the_keyboard(show, tmp_path):
    tab = show()
    tab.keyboard.press("n")
    expect(tab.locator("#card h2")).to_contain_text("Paris")
    tab.keyboard.press("a")
    expect(tab.locator("#card h2")).to_contain_text("Lyon")
    tab.locator("#map > svg").focus()
    for key in ("ArrowRight", "ArrowRight", "+", "p"):
        tab.keyboard.press(key)
    expect(tab.locator("#list button").nth(2).locator(".state")).to_have_text("placed ✓")
    tab.keyboard.press("n")
    expect(tab.locator("#card h2")).to_contain_text("Nice")
    tab.keyboard.press("a")
    expect(progress(tab)).to_have_text("3 of 3 groups decided, 7 photos")
    tab.locator("#list button").first.focus()
    tab.keyboard.press("ArrowDown")
    expect(tab.locator("#list button").nth(1)).to_be_focused()
    tab.keyboard.press("Escape")
    expect(tab.locator("#card")).to_be_hidden()
    photos = saved(tab, tmp_path)
    assert {each["decision"] for each in photos} == {"accepted", "corrected"}


def test_typing_coordinates_is_not_taken_for_keys(show):
    tab = show()
    row(tab, "Lyon").click()
    field = tab.get_by_label("Latitude, longitude")
    field.fill("")
    field.press_sequentially("a r u 91, 200")
    tab.keyboard.press("Enter")
    expect(tab.locator("#message")).to_contain_text("give latitude and longitude")
    expect(progress(tab)).to_have_text("0 of 3 groups decided, 0 photos")


def test_photos_without_a_place_get_one_by_hand(show, tmp_path):
    tab = show()
    row(tab, "not a place").click()
    expect(tab.get_by_role("button", name="Accept", exact=True)).to_be_disabled()
    tab.get_by_role("button", name="Put it in the middle of the map").click()
    (photo,) = saved(tab, tmp_path)
    assert (photo["photo"], photo["decision"]) == ("day/09.jpg", "corrected")


def test_saved_decisions_are_opened_again(show, tmp_path):
    tab = show()
    tab.get_by_role("button", name="Accept all within").click()
    row(tab, "Lyon").click()
    drag(tab, tab.locator(".mark.chosen"), 30, 30)
    first = saved(tab, tmp_path)
    again = show()
    again.locator("#open").set_input_files(tmp_path / "decisions.json")
    expect(progress(again)).to_have_text("3 of 3 groups decided, 7 photos")
    assert saved(again, tmp_path) == first
    (tmp_path / "other.json").write_text("{}")
    again.locator("#open").set_input_files(tmp_path / "other.json")
    expect(again.locator("#message")).to_contain_text("other.json: no decisions could be read")


def test_only_what_is_to_be_decided(show):
    tab = show()
    tab.get_by_label("Show only what is to be decided").check()
    expect(tab.locator("#list button")).to_have_count(3)
    tab.get_by_role("button", name="Accept all within").click()
    expect(tab.locator("#list button")).to_have_count(1)


def test_timeline_plays_the_journey_and_shows_moments(show):
    tab = show()
    expect(tab.locator("#when")).to_have_text("6 May 2024, 09:00")
    expect(tab.locator("#dates span")).to_have_text(["6 May 2024", "7 May 2024", "8 May 2024"])
    tab.get_by_role("button", name="Play").click()
    expect(tab.locator("#moment")).to_have_value("9")
    expect(tab.get_by_role("button", name="Play")).to_be_visible()
    tab.get_by_role("button", name="Play").click()
    tab.get_by_role("button", name="Pause").click()
    assert tab.evaluate("playing") == 0
    tab.locator("#moment").fill("5")
    expect(tab.locator("#when")).to_have_text("7 May 2024, 09:00")
    x, y = centre(tab.locator("#bars"))
    tab.mouse.click(x, y)
    expect(tab.locator("#card h2")).to_contain_text("Lyon")


def test_phone_width(show, tmp_path):
    tab = show(**PHONE, has_touch=True, is_mobile=True)
    assert tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    row(tab, "Lyon").tap()
    expect(tab.locator("#card h2")).to_contain_text("Lyon")
    drag(tab, tab.locator(".mark.chosen"), 40, 20)
    expect(progress(tab)).to_have_text("1 of 3 groups decided, 3 photos")
    tab.get_by_role("button", name="Accept all within").tap()
    assert len(saved(tab, tmp_path)) == 7


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1100, 390])
def test_axe_finds_nothing_serious(show, scheme, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    tab = show(width=width, color_scheme=scheme)
    row(tab, "Lyon").click()
    found = axe.Axe().run(tab).response["violations"]
    serious = [v for v in found if v["impact"] in ("serious", "critical")]
    assert [(v["id"], v["nodes"][0]["html"]) for v in serious] == []


def test_names_cannot_inject_anything(show, library):
    trip = make_trip(library)
    photo = trip.photos[5]
    odd = replace(photo, photo=HOSTILE, how=HOSTILE, place=replace(photo.place, town=HOSTILE))
    trip = replace(trip, photos=(*trip.photos[:5], odd), library=HOSTILE, problems=(HOSTILE,))
    tab = show(trip)
    row(tab, "alert(1)").click()
    expect(tab.locator("#card h2")).to_contain_text("</script><script>alert(1)")


def test_a_library_around_the_antimeridian_fits_on_the_screen(show):
    trip = make_trip()
    sides = ((-17.7, 179.5), (-17.8, -179.6))
    photos = tuple(
        replace(photo, lat=sides[i % 2][0], lon=sides[i % 2][1])
        for i, photo in enumerate(trip.photos[:9])
    )
    tab = show(replace(trip, photos=photos, tracks=(sides,)))
    assert tab.evaluate("map.view[2] < 20")
    path = tab.locator(".lines .journey").get_attribute("d")
    x = [float(point.split(",")[0]) for point in re.split("[ML]", path)[1:]]
    assert np.ptp(x) < 10


def test_a_library_without_places_or_times_opens(show):
    trip = make_trip()
    nowhere = tuple(
        replace(p, kind="not a place", lat=None, lon=None, radius_80_km=None, radius_95_km=None,
                place=None, taken_at=None, stay=None)
        for p in trip.photos
    )  # fmt: skip
    tab = show(replace(trip, photos=nowhere, stays=(), tracks=()))
    expect(progress(tab)).to_have_text("0 of 0 groups decided, 0 photos")
    row(tab, "day/00.jpg").click()
    expect(tab.locator("#card")).to_contain_text("no time")


def test_thousands_of_photos_are_reviewed_in_one_page(show):
    trip = make_trip()
    stays = tuple(replace(trip.stays[2], photos=10) for _ in range(500))
    photos = tuple(
        replace(trip.photos[6], photo=f"{i}.jpg", sha256=f"{i:064}", stay=i // 10,
                lat=40.0 + (i // 10) / 50, radius_80_km=0.5, radius_95_km=4.0)
        for i in range(5_000)
    )  # fmt: skip
    tab = show(replace(trip, photos=photos, stays=stays))
    expect(tab.locator("h1")).to_have_text("5,000 photos in 500 groups")
    expect(tab.locator("#list button")).to_have_count(100)
    tab.get_by_role("button", name="Show more").click()
    expect(tab.locator("#list button")).to_have_count(200)
    tab.get_by_role("button", name="Accept all within").click()
    expect(progress(tab)).to_have_text("500 of 500 groups decided, 5,000 photos")
