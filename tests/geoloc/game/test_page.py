"""The animated replay in a real browser: offline, by mouse and keyboard, light and dark."""

import re
from pathlib import Path

import numpy as np
import pytest

from geoloc.game.maps import make_map
from geoloc.game.page import write_page
from geoloc.game.rules import RULES
from geoloc.game.standings import standings
from geoloc.game.tournament import Tournament, hold
from tests.geoloc.game.skilled import Skilled

CHROMIUM = Path("/usr/bin/chromium")
HOSTILE = "</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM.exists():
        pytest.skip("Debian's chromium is not installed")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def held(earth, monkeypatch):
    """Holds a tournament of three, one of whom refuses now and then."""
    monkeypatch.setattr("geoloc.game.standings.REPLICATES", 10)

    def make(mode: str) -> Tournament:
        players = [Skilled("ann", 100.0), Skilled(HOSTILE, 900.0, 0.2), Skilled("cat", 3000.0)]
        return hold(
            make_map("world", earth), players, mode=mode, rules=RULES["ranked-2026"], views=1,
            places=40, games=30, seconds=15.0, seed=0,
        )  # fmt: skip

    return make


@pytest.fixture
def watch(browser, held, tmp_path):
    """Open the page of a tournament; no request but for the file, and no complaint, is allowed."""
    asked, said, contexts = [], [], []

    def open_page(
        mode: str = "duel", width: int = 1280, height: int = 800, motion: str = "reduce", **options
    ):
        tournament = held(mode)
        page = write_page(tournament, standings(tournament), tmp_path / "replay.html")
        context = browser.new_context(
            viewport={"width": width, "height": height}, reduced_motion=motion, **options
        )
        contexts.append(context)
        context.route(lambda url: url != page.as_uri(), lambda route: route.abort())
        tab = context.new_page()
        tab.clock.install()
        tab.on("request", lambda r: asked.append(r.url) if r.url != page.as_uri() else None)
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("dialog", lambda dialog: said.append(dialog.message))
        tab.goto(page.as_uri())
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert asked == []
    assert said == []


def values(tab) -> list[int]:
    return [int(text.replace(",", "")) for text in tab.locator(".value").all_inner_texts()]


def at(tab) -> int:
    return int(tab.locator("#at").input_value())


@pytest.mark.parametrize("mode", ["duel", "classic", "streak"])
def test_a_game_plays_to_its_end(watch, mode):
    tab = watch(mode)
    last = int(tab.locator("#at").get_attribute("max"))
    assert at(tab) == 0
    tab.get_by_role("button", name="Play").click()
    assert tab.locator("#play").inner_text() == "Pause"
    tab.clock.run_for(2000)
    assert 0 < at(tab) <= 2
    tab.clock.run_for(4000 * (last + 1))
    assert at(tab) == last
    assert tab.locator("#play").inner_text() == "Play"
    heading = tab.locator("#round").inner_text()
    assert re.search(
        {"duel": "wins|a draw", "classic": "points", "streak": "in a row"}[mode], heading
    )
    if mode == "duel":
        assert 0 in values(tab), "somebody has no health left"
    tab.get_by_role("button", name="Play").click()
    assert at(tab) == 0, "once more from the start"


def test_what_is_shown_is_what_was_played(watch, held):
    from geoloc.game.modes import duel_points
    from geoloc.game.rules import play_rounds
    from geoloc.game.tournament import score

    tournament = held("duel")
    points = duel_points(score(tournament), tournament.schedule[:1], 0, 1)
    tab = watch("duel")
    names = [player.name for player in tournament.players]
    assert tab.locator("#players b").all_inner_texts() == names[:2]
    assert values(tab) == [6000, 6000]
    for number, played in enumerate(play_rounds(points, tournament.rules)):
        tab.keyboard.press("ArrowRight")
        assert values(tab) == played.health[0].tolist()
        said = tab.locator("#players small").all_inner_texts()
        for text, damage, score_ in zip(said, played.damage[0], points[0, number], strict=True):
            assert (f"−{damage:,} at" in text) == (damage > 0)
            assert f"{score_:,} points" in text or "no pin" in text
        tab.keyboard.press("ArrowRight")
    assert at(tab) == 2 * number + 1, "the last round has no next one"


def test_the_truth_is_shown_after_the_pins(watch):
    tab = watch("classic", motion="no-preference")
    assert tab.locator(".truth").count() == 0
    assert tab.locator("#lines path").count() == 0
    tab.keyboard.press("ArrowRight")
    tab.clock.run_for(1000)
    pins = tab.locator(".pin").count()
    assert tab.locator("#lines path").count() == pins > 0
    screen = tab.locator("#map").bounding_box()
    for number in range(3):  # of three worlds beside each other one is in view
        box = tab.locator(".truth").nth(number).bounding_box()
        if screen["x"] < box["x"] < screen["x"] + screen["width"] - box["width"]:
            assert screen["y"] < box["y"] < screen["y"] + screen["height"]
            return
    pytest.fail("the truth is out of view")


def test_keys(watch):
    tab = watch("duel")
    last = int(tab.locator("#at").get_attribute("max"))
    for key, expected in (("ArrowRight", 1), ("ArrowLeft", 0), ("ArrowLeft", 0), ("End", last)):
        tab.keyboard.press(key)
        assert at(tab) == expected
    tab.keyboard.press("Home")
    first = tab.locator("#choose").input_value()
    tab.keyboard.press("n")
    assert tab.locator("#choose").input_value() != first
    tab.keyboard.press("p")
    tab.keyboard.press("p")
    assert int(tab.locator("#choose").input_value()) == tab.locator("#choose option").count() - 1
    tab.keyboard.press(" ")
    assert tab.locator("#play").inner_text() == "Pause"
    tab.keyboard.press(" ")
    assert tab.locator("#play").inner_text() == "Play"
    tab.locator("svg").focus()
    before = at(tab)
    tab.keyboard.press("ArrowRight")
    assert at(tab) == before, "on the map, arrows move the map"


def test_a_game_is_chosen_and_scrubbed(watch):
    tab = watch("duel")
    options = tab.locator("#choose option").all_inner_texts()
    assert len(options) == 60
    assert options[-1] == "ann – cat, duel 20" or "cat" in options[-1]
    tab.locator("#choose").select_option("25")
    tab.locator("#at").fill("3")
    assert at(tab) == 3
    assert tab.locator("#round").inner_text().startswith("Round 2 of")


@pytest.mark.parametrize("width", [1280, 390])
def test_everything_fits(watch, width):
    tab = watch("streak", width, 844)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    for control in ("#play", "#step", "#back", "#at", "#choose"):
        box = tab.locator(control).bounding_box()
        assert 0 <= box["x"] <= box["x"] + box["width"] <= width
        assert box["y"] + box["height"] <= 844
        assert box["height"] >= 16


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(watch, scheme):
    tab = watch("classic", color_scheme=scheme)

    def colour(selector: str, name: str) -> np.ndarray:
        text = tab.locator(selector).first.evaluate(f"node => getComputedStyle(node)['{name}']")
        return np.array([int(part) for part in re.findall(r"\d+", text)[:3]])

    def luminance(rgb: np.ndarray) -> float:
        linear = np.where(rgb <= 10, rgb / 3294.6, ((rgb / 255 + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    def contrast(a: np.ndarray, b: np.ndarray) -> float:
        dark, light = sorted([luminance(a), luminance(b)])
        return (light + 0.05) / (dark + 0.05)

    panel = colour("body", "backgroundColor")
    assert (panel.mean() < 128) == (scheme == "dark")
    for selector in ("h1", "#about", "#players small", "th", "td"):
        assert contrast(colour(selector, "color"), panel) > 4.5
    for number in range(8):
        tab.evaluate(
            f"document.querySelector('.pin').style.setProperty('--mine', 'var(--p{number})')"
        )
        assert contrast(colour(".pin text", "fill"), colour(".pin circle", "fill")) > 4.5


def test_a_failed_write_leaves_no_half_page(held, tmp_path):
    tournament = held("duel")
    with pytest.raises(OSError, match="replay"):
        write_page(tournament, standings(tournament), tmp_path / "no" / "replay.html")
    assert list(tmp_path.iterdir()) == []
