"""Photos with known places from which the set of a game is chosen, with their credits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from geoloc.errors import TableError
from geoloc.game.places import GameError, Places, read_located
from geoloc.game.players.log import read_log
from geoloc.photos.columns import column, to_texts
from geoloc.photos.tables import folder_of, resolve
from geoloc.types import Float64Array, StrArray

CREDITS = ("author", "licence", "source")
"""Columns of a table that a credit needs."""

WHOLE = "full"
"""Player whose answers are taken from a table of several: that of the whole model in the answers
that `geoloc-train learn --held-out` writes."""


@dataclass(frozen=True, eq=False)
class Pool:
    """N photos to choose from."""

    name: StrArray
    """(N,) as the table or the folder calls them."""
    file: tuple[Path, ...]
    """(N,)"""
    latlon: Float64Array
    """(N, 2) degrees."""
    collection: StrArray
    """(N,) collection, or group, or folder of each."""
    credit: StrArray
    """(N, 3) what the table says under CREDITS; "" for what it does not say."""
    answer: Float64Array
    """(N, 2) degrees: held-out answers, NaN without one."""

    def __len__(self) -> int:
        return len(self.file)

    @property
    def has_answers(self) -> bool:
        """Whether held-out answers were given."""
        return bool(np.isfinite(self.answer).any())


def read_pool(path: Path, answers: Path | None = None) -> tuple[Pool, list[str]]:
    """Read photos with known places.

    Args:
        path: a folder of photos with GPS coordinates in their EXIF; or a table with the columns
            file, lat, lon, and optionally collection or group, author, licence and source.
        answers: table of answers by models that never saw the photos that they answer, with the
            columns file, lat, lon.

    Returns:
        The photos, and a line for each kind of rows that are left out.

    Raises:
        GameError: no photo is left, or the table of answers has several players.
        TableError: a table cannot be read.
    """
    table, name, latlon, problems = read_located(path, ("file",))
    rows = np.flatnonzero(~np.isnan(latlon[:, 0]))
    if not len(rows):
        raise GameError(f"{'; '.join(problems) or path}; no photo with a position is left")
    folder = path if path.is_dir() else Path(folder_of(path))
    files = tuple(Path(resolve(folder, name[row])) for row in rows)
    named = [column(table, each) for each in ("collection", "group")]
    found = next((each for each in named if each is not None), None)
    collection = (
        np.array([str(file.parent) for file in files], object)
        if found is None
        else to_texts(found, len(table))[rows]
    )
    credit = np.stack([to_texts(column(table, each), len(table))[rows] for each in CREDITS], axis=1)
    none = np.full((len(rows), 2), np.nan)
    pool = Pool(name[rows], files, latlon[rows], collection, credit, none)
    if answers is not None:
        pool = replace(pool, answer=_read_answers(answers, pool))
    return pool, problems


def _read_answers(path: Path, pool: Pool) -> Float64Array:
    """Return the answers (N, 2) in a table to N photos, in degrees; NaN without one."""
    players = read_log(path, "", seed=0)
    whole = [player for player in players if player.name == WHOLE]
    if len(players) > 1 and not whole:
        names: Sequence[str] = [player.name for player in players]
        raise TableError(
            f"{path}: it has the answers of {len(players)} players ({', '.join(names[:5])}); give"
            " a table with those of one"
        )
    (player,) = whole or players
    places = Places(pool.name, pool.latlon, tuple((file,) for file in pool.file), pool.collection)
    return np.array([(each.lat, each.lon) for each in player.ask(places, math.inf)])
