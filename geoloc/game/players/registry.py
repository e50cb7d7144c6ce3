"""Players from command-line specs: bundles, baselines, tables, programs and servers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from geoloc.game.places import GameError
from geoloc.game.protocol import Player
from geoloc.photos.tabular.rows import is_table

BASELINES = ("prior", "centroid", "nearest")
"""Specs of players that use parts of a bundle; see `METHODS` and `PriorPlayer`."""


def make_players(specs: Sequence[str], bundle: str, seed: int) -> list[Player]:
    """Create players from specs, each `SPEC` or `NAME=SPEC`.

    Args:
        specs: a bundle (name or path); a baseline (prior, centroid or nearest); a CSV or Parquet
            table of answers, which may hold several players; `cmd:COMMAND`; or the address of a
            server.
        bundle: name or path of the bundle that baselines use.
        seed: picks among several answers of one log for one place.

    Raises:
        GameError: two players have the same name.
        TableError: a table of answers cannot be read.
        CommandError: a command cannot be parsed.
        MissingExtraError: httpx is not installed, which a server needs.
    """
    from geoloc.game.players.bundle import BundleAnswers, BundlePlayer, PriorPlayer
    from geoloc.game.players.command import CommandPlayer
    from geoloc.game.players.http import HttpPlayer
    from geoloc.game.players.log import read_log

    @cache  # players of one bundle share its answers
    def answers_of(bundle_name: str) -> BundleAnswers:
        return BundleAnswers(bundle_name)

    players: list[Player] = []
    for typed in specs:
        name, spec = _name_and_spec(typed)
        if spec == "prior":
            players.append(PriorPlayer(name or spec, answers_of(bundle)))
        elif spec in BASELINES:
            players.append(BundlePlayer(name or spec, answers_of(bundle), spec))
        elif spec.startswith("cmd:"):
            command = spec.removeprefix("cmd:")
            players.append(CommandPlayer(name or command.strip(), command))
        elif spec.startswith(("http://", "https://")):
            host = re.split("[/?#]", spec)[2].rsplit("@", 1)[-1]
            players.append(HttpPlayer(name or host, spec))
        elif is_table(spec):
            players += read_log(Path(spec), name, seed)
        else:
            players.append(BundlePlayer(name or Path(spec).name, answers_of(spec), "full"))
    names = [player.name for player in players]
    for name in names:
        if names.count(name) > 1:
            raise GameError(f"two players are called {name!r}; call one of them NAME=…")
    return players


def _name_and_spec(spec: str) -> tuple[str, str]:
    """Split `NAME=SPEC`; the name is "" if there is none, for a spec may contain `=` itself."""
    named = re.fullmatch(r"([\w .-]+)=(.+)", spec)
    return (named[1], named[2]) if named else ("", spec)
