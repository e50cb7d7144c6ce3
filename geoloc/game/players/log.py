"""Players whose answers are in a table: predictions of any system, and guesses of people."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from geocells.columns import to_strings
from geoloc.game.places import GameError, Places, read_located
from geoloc.game.protocol import Answer
from geoloc.photos.columns import column, to_floats, to_texts
from geoloc.photos.matching import match_any
from geoloc.photos.tabular.encoding import notice, readable
from geoloc.types import Float64Array, StrArray

PLACE_COLUMNS = ("file", "location", "photo_id")
"""Columns of a table of answers that may name the place of an answer, the preferred one first."""

_NO_PLACE, _AMBIGUOUS = -1, -2


class LogPlayer:
    """A player that answers from a table.

    Of several answers for one place the seed picks one, independent of the order of the places.
    """

    kind = "log"

    def __init__(
        self,
        name: str,
        answers: Sequence[Answer],
        names: Sequence[StrArray],
        source: Path,
        seed: int,
    ) -> None:
        """Hold the answers of one player.

        Args:
            name: of the player.
            answers: N answers.
            names: columns (N,) that name the places of the answers, by name, ID or file.
            source: the table, for error messages.
            seed: picks among several answers for one place.
        """
        self.name, self._answers, self._names = name, answers, names
        self._source, self._seed = source, seed

    def ask(self, places: Places, seconds: float) -> Iterator[Answer]:
        """Yield an answer for every place; see `Player`.

        Raises:
            GameError: the table has no answer for any of the places.
        """
        answers_of: dict[int, list[Answer]] = {}
        for answer, place in zip(self._answers, self._place_of_each(places), strict=True):
            answers_of.setdefault(place, []).append(answer)
        if not answers_of.keys() - {_NO_PLACE, _AMBIGUOUS}:
            several = " (several places fit its names)" if _AMBIGUOUS in answers_of else ""
            raise GameError(
                f"{self._source}: none of the answers of {self.name!r} is about a place of this"
                f" map{several}; its column file has to name them as the manifest does"
                f" ({places.name[0]})"
            )
        if _AMBIGUOUS in answers_of:
            notice(
                f"{self._source}: {len(answers_of[_AMBIGUOUS]):,} answers of {self.name!r} fit"
                " several places and are left out; name the places with their folders"
            )
        for place, name in enumerate(places.name):
            answers = answers_of.get(place)
            if not answers:
                yield Answer(problem="no answer in the table")
                continue
            rng = np.random.default_rng([self._seed, zlib.crc32(str(name).encode())])
            answer = answers[int(rng.integers(len(answers)))]
            late = answer.seconds > seconds  # False for NaN
            yield Answer(seconds=answer.seconds, problem="too late") if late else answer

    def _place_of_each(self, places: Places) -> list[int]:
        """Return the place of each answer, matched by its name or by the files of its views."""
        names = [to_strings(each) for each in self._names]
        owner = [place for place, views in enumerate(places.views) for _ in views]
        files = [readable(str(view)) for views in places.views for view in views]
        by_name = match_any(names, [to_strings(map(readable, places.name))])
        by_file = match_any(names, [to_strings(files)])
        named, filed = int((by_name.row >= 0).sum()), int((by_file.row >= 0).sum())
        best = by_file if filed > named else by_name
        rows = best.row if best is by_name else np.array([*owner, _NO_PLACE])[best.row]
        rows[best.ambiguous] = _AMBIGUOUS
        return [int(row) for row in rows]


def read_log(path: Path, name: str, seed: int) -> list[LogPlayer]:
    """Read players from a table with the columns file (or location), lat, lon.

    A column seconds holds the time of each answer. Each division is one player, or else each
    player (columns division, player); without these columns all rows belong to one player. Missing
    coordinates, or such out of range, are answers without a pin.

    Args:
        path: CSV or Parquet.
        name: of the player; "" for the name of the file. If there are several players, it is put
            before their names.
        seed: picks among several answers for one place.

    Raises:
        TableError: the table cannot be read, or lacks a column.
    """
    table, place, latlon, _ = read_located(path, PLACE_COLUMNS, predicted=True)
    count = len(table)
    seconds = to_floats(column(table, "latency_s"), count)
    columns = [column(table, each) for each in PLACE_COLUMNS]
    names = [to_texts(each, count) for each in columns if each is not None] or [place]
    players = to_texts(column(table, "division"), count)
    several = len(set(players)) > 1
    result = []
    for player in sorted(set(players)):
        rows = np.flatnonzero(players == player)
        answers = [_answer(latlon[row], float(seconds[row])) for row in rows]
        called = f"{name} {player}".strip() if several else name or player or path.stem
        result.append(LogPlayer(called, answers, [each[rows] for each in names], path, seed))
    return result


def _answer(latlon: Float64Array, seconds: float) -> Answer:
    lat, lon = latlon.tolist()
    return Answer(lat, lon, seconds, "refused" if np.isnan(lat) else "")
