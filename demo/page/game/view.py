"""A game as the page shows it: score table, result, pins for the map. Pure functions."""

from __future__ import annotations

from typing import Any

from demo.page.game.rounds import MOST_POINTS, Game, LatLon, Round
from geoloc.output import text

INTRO = """<div class="answer"><h2>Can you do better?</h2><p>Five photos. Say where each was taken;
the bundle guesses too. The same game number deals the same photos.</p></div>"""

MAP = """
<div class="game-map">
  <svg tabindex="0" role="application" aria-label="World map. Click to place your guess.
    Arrow keys move the map, plus and minus zoom, Enter places the guess in its middle.">
    <use href="#turn" x="-1000"/><use href="#turn" x="1000"/>
    <g id="turn"><path class="land"/></g>
    <g class="marks"></g>
  </svg>
  <span class="cross" aria-hidden="true"></span>
  <div class="zoom">
    <button type="button" data-zoom="in" aria-label="Zoom in">+</button>
    <button type="button" data-zoom="out" aria-label="Zoom out">−</button>
  </div>
</div>
"""


def open_map(yours: LatLon | None) -> dict[str, Any]:
    """The map while a round is played, with the guess so far."""
    pins = [] if yours is None else [_pin(yours, "yours", "you")]
    return {"open": True, "pins": pins, "lines": []}


def closed_map(over: Round) -> dict[str, Any]:
    """The map after a round: both guesses, the truth, and lines between them."""
    pins = [
        _pin(over.yours, "yours", "you"),
        _pin(over.bundle, "bundle", "bundle"),
        _pin((over.photo.lat, over.photo.lon), "truth", "taken here"),
    ]
    return {"open": False, "pins": pins, "lines": [[0, 2], [1, 2]]}


def _pin(at: LatLon, kind: str, label: str) -> dict[str, Any]:
    return {"lat": at[0], "lon": at[1], "kind": kind, "label": label}


def picture(address: str) -> str:
    """The photo that is to be placed."""
    return f'<img class="photo" src="{address}" alt="Where was this photo taken?">'


def task(game: Game) -> str:
    """What to do now, or how the last round went."""
    return (
        f'<div class="answer"><h2>Round {len(game.rounds) + 1} of {len(game.photos)}</h2>'
        "<p>Where was this photo taken? Click the map.</p></div>"
    )


def result(game: Game) -> str:
    """How the round that is just over went."""
    over = game.rounds[-1]
    (yours_km, bundle_km), (yours, bundle) = over.distances_km, over.points
    if game.photo is None:
        mine, its = game.total
        won = "You win" if mine > its else "The bundle wins" if its > mine else "A draw"
        title = f"{won}: {mine:,} to {its:,}"
    else:
        title = f"{yours:,} points for you, {bundle:,} for the bundle"
    return (
        f'<div class="answer"><h2>{title}</h2><p>You were {text.km(yours_km)} off, '
        f"the bundle {text.km(bundle_km)}.</p></div>"
    )


def scores(game: Game) -> str:
    """All rounds so far, as a table."""
    rows = "".join(
        f'<tr><th scope="row">{number}</th>' + "".join(_cells(over)) + "</tr>"
        for number, over in enumerate(game.rounds, start=1)
    )
    yours, bundle = game.total
    return (
        f'<table class="scores"><caption>Up to {MOST_POINTS:,} points a round</caption><thead><tr>'
        '<th scope="col">Round</th><th scope="col">You</th><th scope="col">Bundle</th></tr></thead>'
        f'<tbody>{rows}</tbody><tfoot><tr><th scope="row">Total</th><td>{yours:,}</td>'
        f"<td>{bundle:,}</td></tr></tfoot></table>"
    )


def _cells(over: Round) -> list[str]:
    return [
        f"<td>{points:,} <small>{text.km(km)}</small></td>"
        for points, km in zip(over.points, over.distances_km, strict=True)
    ]
