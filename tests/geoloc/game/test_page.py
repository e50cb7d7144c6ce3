"""The animated replay in Chromium: offline, by pointer and keyboard, light and dark."""

import re

import numpy as np
import pytest

from geoloc.game.maps import make_map
from geoloc.game.page import write_page
from geoloc.game.rules import RULES
from geoloc.game.standings import standings
from geoloc.game.tournament import Tournament, run_tournament
from tests.geoloc.game.skilled import Skilled

HOSTILE = "</script><img src=x onerror=alert(1)>"


@pytest.fixture
def play_tournament(earth, monkeypatch):
    """Plays a tournament of three players, one of whom sometimes refuses."""
    monkeypatch.setattr("geoloc.game.standings.REPLICATES", 10)

    def make(mode: str) -> Tournament:
        players = [Skilled("ann", 100.0), Skilled(HOSTILE, 900.0, 0.2), Skilled("cat", 3000.0)]
        return run_tournament(
            make_map("world", earth), players, mode=mode, rules=RULES["ranked-2026"], views=1,
            places=40, games=30, seconds=15.0, seed=0,
        )  # fmt: skip

    return make


@pytest.fixture
def replay(visit, play_tournament, tmp_path):
    """Opens the replay of a tournament, with a clock that the test drives."""

    def open_page(
        mode: str = "duel", width: int = 1280, height: int = 800, motion: str = "reduce", **options
    ):
        tournament = play_tournament(mode)
        page = write_page(tournament, standings(tournament), tmp_path / "replay.html")
        return visit(
            page.as_uri(),
            width,
            height,
            prepare=lambda tab: tab.clock.install(),
            reduced_motion=motion,
            **options,
        )

    return open_page


def values(tab) -> list[int]:
    return [int(text.replace(",", "")) for text in tab.locator(".value").all_inner_texts()]


def at(tab) -> int:
    return int(tab.locator("#at").input_value())


@pytest.mark.parametrize("mode", ["duel", "classic", "streak"])
def test_game_plays_to_its_end(replay, mode):
    tab = replay(mode)
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
        assert 0 in values(tab), "one player has no health left"
    tab.get_by_role("button", name="Play").click()
    assert at(tab) == 0, "playing again starts from the beginning"


def test_replay_shows_the_played_rounds(replay, play_tournament):
    from geoloc.game.modes import duel_points
    from geoloc.game.rules import play_rounds
    from geoloc.game.tournament import score

    tournament = play_tournament("duel")
    points = duel_points(score(tournament), tournament.schedule[:1], 0, 1)
    tab = replay("duel")
    names = [player.name for player in tournament.players]
    assert tab.locator("#players b").all_inner_texts() == names[:2]
    assert values(tab) == [6000, 6000]
    for number, played in enumerate(play_rounds(points, tournament.rules)):
        tab.keyboard.press("ArrowRight")
        assert values(tab) == played.health[0].tolist()
        results = tab.locator("#players small").all_inner_texts()
        for text, damage, score_ in zip(results, played.damage[0], points[0, number], strict=True):
            assert (f"−{damage:,} at" in text) == (damage > 0)
            assert f"{score_:,} points" in text or "no pin" in text
        tab.keyboard.press("ArrowRight")
    assert at(tab) == 2 * number + 1, "the last round has no next one"


def test_true_place_is_shown_after_the_pins(replay):
    tab = replay("classic", motion="no-preference")
    assert tab.locator(".map-pin.truth").count() == 0
    assert tab.locator(".map-line").count() == 0
    tab.keyboard.press("ArrowRight")
    tab.clock.run_for(1000)
    pins = tab.locator(".map-pin.other").count()
    assert tab.locator(".map-line").count() == pins > 0
    screen = tab.locator("#map").bounding_box()
    box = tab.locator(".map-pin.truth").bounding_box()
    assert screen["x"] < box["x"] < screen["x"] + screen["width"] - box["width"]
    assert screen["y"] < box["y"] < screen["y"] + screen["height"]


def test_keyboard_shortcuts(replay):
    tab = replay("duel")
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
    tab.locator("#map > svg").focus()
    before = at(tab)
    tab.keyboard.press("ArrowRight")
    assert at(tab) == before, "on the map, arrows move the map"


def test_game_can_be_chosen_and_scrubbed(replay):
    tab = replay("duel")
    options = tab.locator("#choose option").all_inner_texts()
    assert len(options) == 60
    assert options[-1] == "ann – cat, duel 20" or "cat" in options[-1]
    tab.locator("#choose").select_option("25")
    tab.locator("#at").fill("3")
    assert at(tab) == 3
    assert tab.locator("#round").inner_text().startswith("Round 2 of")


@pytest.mark.parametrize("width", [1280, 390])
def test_page_fits_the_screen(replay, width):
    tab = replay("streak", width, 844)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    for control in ("#play", "#step", "#back", "#at", "#choose"):
        box = tab.locator(control).bounding_box()
        assert 0 <= box["x"] <= box["x"] + box["width"] <= width
        assert box["y"] + box["height"] <= 844
        assert box["height"] >= 16


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(replay, scheme):
    tab = replay("classic", color_scheme=scheme)

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
        pin = ".map-pin span"
        tab.evaluate(
            f"document.querySelector('.map-pin').style.setProperty('--pin', 'var(--p{number})')"
        )
        assert contrast(colour(pin, "color"), colour(pin, "backgroundColor")) > 4.5


def test_failed_write_leaves_no_partial_page(play_tournament, tmp_path):
    tournament = play_tournament("duel")
    (tmp_path / "no").write_text("a file where a folder is needed")
    with pytest.raises(OSError, match=r"replay|no"):
        write_page(tournament, standings(tournament), tmp_path / "no" / "replay.html")
    assert [each.name for each in tmp_path.iterdir()] == ["no"]
