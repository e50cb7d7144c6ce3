"""`geoloc play`: a tournament of geolocation systems, offline."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter, validators

from geoloc.cli.console import fail, fail_writing

if TYPE_CHECKING:
    from geoloc.game.tournament import Tournament

Some = Annotated[int | None, Parameter(validator=validators.Number(gte=1))]


def play(
    places: Path,
    /,
    *,
    player: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    mode: Literal["classic", "streak", "duel", "pigeon"] = "classic",
    rules: Literal["ranked-2026", "legacy", "no-multiplier"] | None = None,
    rounds: Annotated[int, Parameter(validator=validators.Number(gte=1, lte=1_000_000))] = 200,
    games: Some = None,
    views: Some = None,
    draw: Literal["places", "country", "population"] = "places",
    map: Annotated[Path | None, Parameter(name=["--map"])] = None,
    seconds: Annotated[float, Parameter(validator=validators.Number(gt=0))] = 15.0,
    bundle: str | None = None,
    seed: Annotated[int, Parameter(validator=validators.Number(gte=0))] = 0,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    html: Annotated[Path | None, Parameter(name=["--html"])] = None,
) -> int:
    """Let systems play GeoGuessr against each other, offline: round robin, ratings, replay.

    Every player is asked about every place once; games are then drawn among these places, the same
    for every two players. What is missing, late or senseless is no pin, and 0 points. Places are
    resampled for the intervals, so more games do not make them narrower; more places do.

    Parameters
    ----------
    places
        A folder of photos with GPS in their EXIF; a CSV or Parquet table of photos, file,lat,lon
        and perhaps location (views of one place share it), heading, group; or a replay (.json),
        which is scored again.
    player
        Who plays, two or more, as SPEC or NAME=SPEC: a bundle (starter, my.bundle); a baseline
        (prior, centroid, nearest); a table of answers (file,lat,lon and perhaps seconds, and player
        or division); a program that speaks JSON lines ('cmd:python bot.py'); or a server
        (http://127.0.0.1:7860), to which the photos are sent.
    mode
        Five rounds for 25,000 points; countries until the first wrong one; duels; or duels as
        PIGEON played them: 458, four headings, the rules of its time.
    rules
        Of duels: ranked-2026 unless the mode says otherwise.
    rounds
        How many places are drawn, which players are asked about.
    games
        How many each two players play: 1,000 unless the mode says otherwise.
    views
        How many photos of each place are shown: 1 unless the mode says otherwise.
    draw
        Draw every place alike, every country alike, or as people are spread over the Earth.
    map
        A map file instead: JSON with maxErrorDistance in metres, and perhaps name and places.
    seconds
        For each answer; a program may take a minute more for its first.
    bundle
        What baselines know.
    seed
        Decides what is drawn.
    out
        Write a replay: JSON, complete, can be scored again.
    html
        Write an animated replay of some games: one HTML file that loads nothing.
    """
    from geoloc.bundle import installed
    from geoloc.errors import GeolocError

    try:
        for target in filter(None, (out, html)):  # not after hours of asking
            if not target.parent.is_dir():
                raise GeolocError(f"{target}: there is no folder {target.parent}; make it first")
        if places.suffix == ".json":
            tournament = _replayed(places, rules)
        else:
            tournament = _held(
                places, player, mode, rules, rounds=rounds, games=games, views=views, draw=draw,
                map_file=map, seconds=seconds, bundle=bundle or installed.best(), seed=seed,
            )  # fmt: skip
        _show(tournament, out, html)
    except GeolocError as error:
        return fail("geoloc", error)
    except BrokenPipeError:
        raise
    except OSError as error:
        return fail_writing("geoloc", error, out or html)
    return 0


def _replayed(path: Path, rules: str | None) -> Tournament:
    """A replay, by other rules if there are any."""
    from geoloc.game.replay import read
    from geoloc.game.rules import RULES

    tournament = read(path)
    return replace(tournament, rules=RULES[rules]) if rules else tournament


def _held(
    manifest: Path,
    specs: tuple[str, ...],
    mode: str,
    rules: str | None,
    *,
    rounds: int,
    games: int | None,
    views: int | None,
    draw: str,
    map_file: Path | None,
    seconds: float,
    bundle: str,
    seed: int,
) -> Tournament:
    """A new tournament, with its progress on standard error."""
    from geoloc.game.maps import make_map, read_map
    from geoloc.game.modes import MODES
    from geoloc.game.places import GameError, read_places
    from geoloc.game.players.registry import make_players
    from geoloc.game.rules import RULES
    from geoloc.game.tournament import run_tournament
    from geoloc.io.progress import ProgressBars

    defaults = MODES[mode]
    views = views or defaults.views
    available, problems = read_places(manifest, views)
    for line in problems:
        fail("geoloc", line)
    if map_file:
        game_map = read_map(map_file, available)
    else:
        game_map = make_map(manifest.stem, available, draw)
    players = make_players(specs, bundle, seed)
    if len(players) < 2:
        raise GameError(f"{len(players)} players; give two or more, as --player starter")
    with ProgressBars() as report:
        return run_tournament(
            game_map,
            players,
            mode=mode,
            rules=RULES[rules or defaults.rules],
            views=views,
            places=rounds,
            games=games or defaults.games,
            seconds=seconds,
            seed=seed,
            report=report,
        )


def _show(tournament: Tournament, out: Path | None, html: Path | None) -> None:
    """Print the table, and write what is asked for."""
    from rich.console import Console

    from geoloc.game.report import render
    from geoloc.game.standings import standings

    ranked = standings(tournament)
    Console(width=None if sys.stdout.isatty() else 160, highlight=False).print(
        render(tournament, ranked)
    )
    if out:
        from geoloc.game.replay import write

        print(f"replay: {write(tournament, ranked, out)}", file=sys.stderr)
    if html:
        from geoloc.game.page import write_page

        print(f"page: {write_page(tournament, ranked, html)}", file=sys.stderr)
