"""The command `geoloc play`: an offline tournament between geolocation systems."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter, validators

from geoloc.cli.console import (
    Quiet,
    exit_code,
    fail,
    fail_writing,
    notice,
    prepare_page,
    table_console,
)

if TYPE_CHECKING:
    from geoloc.game.tournament import Tournament

Count = Annotated[int | None, Parameter(validator=validators.Number(gte=1))]


def play(
    places: Path,
    /,
    *,
    player: Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)] = (),
    mode: Literal["classic", "streak", "duel", "pigeon"] = "classic",
    rules: Literal["ranked-2026", "legacy", "no-multiplier"] | None = None,
    rounds: Annotated[int, Parameter(validator=validators.Number(gte=1, lte=1_000_000))] = 200,
    games: Count = None,
    views: Count = None,
    draw: Literal["places", "country", "population"] = "places",
    map: Annotated[Path | None, Parameter(name=["--map"])] = None,
    seconds: Annotated[float, Parameter(validator=validators.Number(gt=0))] = 15.0,
    bundle: str | None = None,
    seed: Annotated[int, Parameter(validator=validators.Number(gte=0))] = 0,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    html: Annotated[Path | None, Parameter(name=["--html"])] = None,
    quiet: Quiet = False,
) -> int:
    """Play GeoGuessr offline: a tournament between systems, with ratings.

    Every player is asked about every place once; games are then drawn among these places, the same
    for every pair of players. An answer that is missing, late or invalid counts as no pin and
    scores 0 points. Intervals come from resampled places: more places make them narrower, more
    games do not. The exit code is 0 if every player answered every place, 1 if answers are missing
    or photos cannot be used, and 2 if nothing could be played.

    Parameters
    ----------
    places
        A folder of photos with GPS in their EXIF; a CSV or Parquet table of photos with the columns
        file, lat, lon and optionally location (shared by views of one place), heading, group; or a
        replay (.json), which is scored again.
    player
        Two or more players, as SPEC or NAME=SPEC: a bundle (starter, my.bundle); a baseline (prior,
        centroid, nearest); a table of answers (file, lat, lon and optionally seconds, and player or
        division); a program that reads and writes JSON lines ('cmd:python bot.py'); or a server
        (http://127.0.0.1:7860), to which the photos are sent.
    mode
        classic: five rounds for 25,000 points; streak: countries until the first wrong one; duel;
        pigeon: duels as PIGEON played them (458 games, four headings, the rules of its time).
    rules
        Rules of duels. The default is that of the mode: legacy for pigeon, else ranked-2026.
    rounds
        Number of places to draw; players are asked about these.
    games
        Games per pair of players. The default is that of the mode: 458 for pigeon, else 1,000.
    views
        Photos shown of each place. The default is that of the mode: 4 for pigeon, else 1.
    draw
        Draw places uniformly, uniformly over countries, or by population.
    map
        Map file to use instead of --draw: JSON with maxErrorDistance in metres, and optionally name
        and places.
    seconds
        Time limit per answer; a program gets a minute more for its first one.
    bundle
        Bundle of the baselines. The default is the world model if it is installed, else the
        starter.
    seed
        Seed of the draw.
    out
        Write a replay: a JSON file with all answers, which can be scored again.
    html
        Write an animated replay of some games: one HTML file that works offline.
    """
    from geoloc.bundle import installed
    from geoloc.errors import GeolocError

    try:
        prepare_page("--html", html)
        if out is not None:  # fails before hours of play
            out.parent.mkdir(parents=True, exist_ok=True)
        problems: list[str] = []
        if places.suffix == ".json":
            tournament = _read_replay(places, rules)
        else:
            tournament, problems = _run(
                places, player, mode, rules, rounds=rounds, games=games, views=views, draw=draw,
                map_file=map, seconds=seconds, bundle=bundle or installed.default_name(), seed=seed,
                quiet=quiet,
            )  # fmt: skip
        _show(tournament, out, html, quiet=quiet)
    except GeolocError as error:
        return fail("geoloc", error)
    except BrokenPipeError:
        raise
    except OSError as error:
        return fail_writing("geoloc", error, out or html)
    return _exit_code(tournament, problems)


def _exit_code(tournament: Tournament, problems: list[str]) -> int:
    """Return the exit code of a tournament; an answer without a pin counts as missing."""
    pinned = sum(int((player.problem == "").sum()) for player in tournament.players)
    asked = sum(len(player.problem) for player in tournament.players)
    return exit_code(pinned, asked - pinned + len(problems))


def _read_replay(path: Path, rules: str | None) -> Tournament:
    """Return the tournament of a replay, with other rules if they are given."""
    from geoloc.game.replay import read
    from geoloc.game.rules import RULES

    tournament = read(path)
    return replace(tournament, rules=RULES[rules]) if rules else tournament


def _run(
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
    quiet: bool,
) -> tuple[Tournament, list[str]]:
    """Run a new tournament; returns it, and a line for each kind of places that are left out."""
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
    with ProgressBars(quiet=quiet) as report:
        tournament = run_tournament(
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
    return tournament, problems


def _show(tournament: Tournament, out: Path | None, html: Path | None, *, quiet: bool) -> None:
    """Print the standings; write the replay and the page."""
    from geoloc.game.report import render
    from geoloc.game.standings import standings

    ranked = standings(tournament)
    table_console(160).print(render(tournament, ranked))
    if out:
        from geoloc.game.replay import write

        notice(f"replay: {write(tournament, ranked, out)}", quiet=quiet)
    if html:
        from geoloc.game.page import write_page

        notice(f"page: {write_page(tournament, ranked, html)}", quiet=quiet)
