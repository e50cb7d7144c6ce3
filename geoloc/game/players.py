"""Who plays: anything that can be shown a place and answers with a coordinate, or does not."""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from geoloc.game.manifest import GameError, Places
from geoloc.photo import strip

BASELINES = ("prior", "centroid", "nearest")


@dataclass(frozen=True)
class Answer:
    """What a player said of one place."""

    lat: float = math.nan
    """Degrees; NaN for no pin."""
    lon: float = math.nan
    seconds: float = math.nan
    """How long it took; NaN where nobody knows."""
    problem: str = ""
    """Why there is no pin, in a few words."""


class Player(Protocol):
    """One player of a tournament."""

    name: str
    kind: str
    """ "bundle", "baseline", "log", "command" or "http"."""

    def ask(self, places: Places, seconds: float) -> Iterator[Answer]:
        """Answer about every place, in their order.

        Whatever goes wrong with one place is an answer without a pin.

        Args:
            places: what to show.
            seconds: an answer that takes longer has no pin.
        """
        ...


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
    from geoloc.game.bundle_players import BundleAnswers, BundlePlayer, PriorPlayer
    from geoloc.game.command_player import CommandPlayer
    from geoloc.game.http_player import HttpPlayer
    from geoloc.game.log_players import read_log

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


@contextmanager
def shown(views: Sequence[Path]) -> Iterator[list[Path]]:
    """Copies of photos for players whose code is not ours: neutral names, and no metadata.

    Raises:
        PhotoError: one of them cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="geoloc-") as folder:
        copies = [Path(folder) / f"view-{i}{view.suffix.lower()}" for i, view in enumerate(views)]
        for view, copy in zip(views, copies, strict=True):
            copy.write_bytes(strip(view))
        yield copies


def to_answer(reply: Any, seconds: float) -> Answer:  # noqa: ANN401
    """The answer in a JSON object of somebody else's program: finite `lat` and `lon` in range."""
    if not isinstance(reply, dict) or "lat" not in reply or "lon" not in reply:
        return Answer(seconds=seconds, problem="the reply is no JSON object with lat and lon")
    if reply["lat"] is None or reply["lon"] is None:
        return Answer(seconds=seconds, problem=str(reply.get("problem", "refused"))[:100])
    if any(isinstance(reply[key], bool | str | list | dict) for key in ("lat", "lon")):
        return Answer(seconds=seconds, problem="lat and lon are no numbers")
    try:
        lat, lon = float(reply["lat"]), float(reply["lon"])
    except OverflowError:  # an integer of a thousand digits
        lat = lon = math.inf
    if not (abs(lat) <= 90.0 and abs(lon) <= 180.0):  # NaN neither
        return Answer(seconds=seconds, problem=f"{lat:g}, {lon:g} is no place on Earth")
    return Answer(lat, lon, seconds)
