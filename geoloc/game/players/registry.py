"""Who plays: anything that can be shown a place and answers with a coordinate, or does not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from geoloc.game.places import GameError
from geoloc.game.protocol import Player

BASELINES = ("prior", "centroid", "nearest")


def make_players(specs: Sequence[str], bundle: str, seed: int) -> list[Player]:
    """Players from what was typed: `SPEC` or `NAME=SPEC`.

    Args:
        specs: the name or path of a bundle; prior, centroid or nearest (of `bundle`); a CSV or
            Parquet table of answers, which may hold those of several players; `cmd:COMMAND`; or the
            address of a server.
        bundle: what baselines know.
        seed: picks among several answers of one log to one place.

    Raises:
        GameError: a table of answers is none, or two players have one name.
        BundleError: a bundle is missing or damaged.
    """
    from geoloc.game.players.bundle import BundleAnswers, BundlePlayer, PriorPlayer
    from geoloc.game.players.command import CommandPlayer
    from geoloc.game.players.http import HttpPlayer
    from geoloc.game.players.log import read_log

    opened: dict[str, BundleAnswers] = {}

    def answers_of(name: str) -> BundleAnswers:
        return opened.setdefault(name, opened.get(name) or BundleAnswers(name))

    players: list[Player] = []
    for spec in specs:
        given, what = _name_and_spec(spec)
        if what == "prior":
            players.append(PriorPlayer(given or what, answers_of(bundle)))
        elif what in BASELINES:
            players.append(BundlePlayer(given or what, answers_of(bundle), what))
        elif what.startswith("cmd:"):
            players.append(CommandPlayer(given or what[4:].strip(), what[4:]))
        elif what.startswith(("http://", "https://")):
            players.append(HttpPlayer(given or re.split("[/?#]", what)[2].rsplit("@", 1)[-1], what))
        elif Path(what).suffix in (".csv", ".parquet"):
            players += read_log(Path(what), given, seed)
        else:
            players.append(BundlePlayer(given or Path(what).name, answers_of(what), "full"))
    names = [player.name for player in players]
    for name in names:
        if names.count(name) > 1:
            raise GameError(f"two players are called {name!r}; call one of them NAME=…")
    return players


def _name_and_spec(spec: str) -> tuple[str, str]:
    """`NAME=SPEC` in two; "" for no name. Addresses and commands may hold `=` themselves."""
    named = re.fullmatch(r"([\w .-]+)=(.+)", spec)
    return (named[1], named[2]) if named else ("", spec)
