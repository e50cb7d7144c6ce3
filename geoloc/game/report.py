"""Standings as text for the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from geoloc.game.standings import Interval, Standing
from geoloc.game.tournament import Tournament
from geoloc.output.text import km

PIGEON_DUELS = (("Gold", 1714.0), ("Master", 174.0), ("Champion", 151.0), ("PIGEON", 73.0))
"""Median error in km of people, by division, and of PIGEON in its 458 live matches (Haas et al.,
CVPR 2024, read from a figure)."""

PROBLEMS_SHOWN = 3


def render(tournament: Tournament, standings: Sequence[Standing]) -> RenderableType:
    """Return the headline, the table of players and the reasons for missing pins."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    special = {"classic": ["of 25,000"], "streak": ["streak", "expected", "longest"]}
    names = ["player", "rating", "95 %", "Elo", "won", "drawn", "lost", "points", "95 %", "median"]
    names += ["country", *special.get(tournament.mode, []), "no pin", "seconds"]
    for name in names:
        table.add_column(name, justify="left" if name == "player" else "right", no_wrap=True)
    for standing in standings:
        table.add_row(*_row(standing))
    lines: list[RenderableType] = [Text(headline(tournament)), Text(), table]
    lines += [Text(line) for line in _problems(tournament)]
    if tournament.mode == "pigeon":
        lines += [Text(), Text(pigeon_note())]
    return Group(*lines)


def headline(tournament: Tournament) -> str:
    """Return a description of the tournament in two lines."""
    games, rounds = tournament.schedule.shape
    what = {"classic": f"simulated games of {rounds} rounds", "streak": "simulated country streaks"}
    game = what.get(tournament.mode, f"simulated duels, rules {tournament.rules.name}")
    photos = "photo" if tournament.views == 1 else "photos"
    places = f"{len(tournament.place):,} places, {tournament.map_name}"
    return (
        f"{games:,} {game}, between every two of {len(tournament.players)} players.\n"
        f"{places}, {tournament.views} {photos} of each; scale {tournament.max_error_km:,.0f} km;"
        f" {tournament.seconds:g} s an answer; seed {tournament.seed}."
    )


def pigeon_note() -> str:
    """Return the published results of people and PIGEON, for comparison."""
    people = ", ".join(f"{name} {distance:,.0f} km" for name, distance in PIGEON_DUELS)
    return (
        f"PIGEON's live matches, median error: {people}. Their places were street views of the"
        " game's own maps; medians compare only for the same places."
    )


def _row(standing: Standing) -> list[str]:
    special = []
    if standing.game is not None:
        is_streak = standing.expected is not None
        special.append(f"{standing.game:.2f}" if is_streak else f"{standing.game:,.0f}")
    if standing.expected is not None:
        special += [f"{standing.expected:.2f}", f"{standing.longest}"]
    return [
        standing.name,
        f"{standing.rating:,.0f}",
        between(standing.rating_interval),
        f"{standing.elo:,.0f}",
        f"{standing.won:,}",
        f"{standing.drawn:,}",
        f"{standing.lost:,}",
        f"{standing.points:,.0f}",
        between(standing.points_interval),
        median(standing),
        _share(standing.country),
        *special,
        _share(standing.no_pin),
        "" if math.isnan(standing.seconds) else f"{standing.seconds:.2g}",
    ]


def between(interval: Interval) -> str:
    """Return both ends of an interval as text."""
    low, high = interval
    return f"{low:,.0f}–{high:,.0f}"


def median(standing: Standing) -> str:
    """Return the median error as text."""
    return km(standing.median_km) if math.isfinite(standing.median_km) else "no pin"


def _share(share: float) -> str:
    return f"{100 * share:.1f} %"


def _problems(tournament: Tournament) -> list[str]:
    """Return a line for each player without some pins: the most frequent reasons."""
    lines = []
    for player in tournament.players:
        reasons = [str(problem) for problem in player.problem if problem]
        ranked = sorted(set(reasons), key=lambda reason: (-reasons.count(reason), reason))
        frequent = [f"{reason} ({reasons.count(reason)})" for reason in ranked[:PROBLEMS_SHOWN]]
        if frequent:
            lines.append(f"{player.name}, no pin: {'; '.join(frequent)}")
    return ["", *lines] if lines else []
