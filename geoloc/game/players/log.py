"""Players whose answers are in a table: predictions of any system, and guesses of people."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from geoloc.game.places import GameError, Places, read_located
from geoloc.game.protocol import Answer
from geoloc.photos.columns import column, to_floats, to_texts

PLACE_COLUMNS = ("file", "location", "photo_id")
"""Columns of a table of answers that may name the place of an answer, the preferred one first."""


class LogPlayer:
    """A player that answers from a table.

    Of several answers for one place the seed picks one, independent of the order of the places.
    """

    kind = "log"

    def __init__(
        self, name: str, answers: Mapping[str, Sequence[Answer]], source: Path, seed: int
    ) -> None:
        """Hold the answers of one player.

        Args:
            name: of the player.
            answers: by the name of the place, its file, or the file name alone.
            source: the table, for error messages.
            seed: picks among several answers for one place.
        """
        self.name, self._answers, self._source, self._seed = name, answers, source, seed

    def ask(self, places: Places, seconds: float) -> Iterator[Answer]:
        """Yield an answer for every place; see `Player`.

        Raises:
            GameError: the table has no answer for any of the places.
        """
        found = [
            self._find(name, views) for name, views in zip(places.name, places.views, strict=True)
        ]
        if not any(found):
            raise GameError(
                f"{self._source}: none of the answers of {self.name!r} is about a place of this"
                f" map; its column file has to name them as the manifest does ({places.name[0]})"
            )
        for name, answers in zip(places.name, found, strict=True):
            if not answers:
                yield Answer(problem="no answer in the table")
                continue
            rng = np.random.default_rng([self._seed, zlib.crc32(str(name).encode())])
            answer = answers[int(rng.integers(len(answers)))]
            late = answer.seconds > seconds  # False for NaN
            yield Answer(seconds=answer.seconds, problem="too late") if late else answer

    def _find(self, name: str, views: Sequence[Path]) -> Sequence[Answer]:
        keys = (name, str(views[0]), Path(name).name)
        return next((self._answers[key] for key in keys if key in self._answers), ())


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
    table, place, latlon = read_located(path, PLACE_COLUMNS, predicted=True)
    count = len(table)
    seconds = to_floats(column(table, "latency_s"), count)
    player_of_row = to_texts(column(table, "division"), count)
    answers: dict[str, dict[str, list[Answer]]] = {}
    for row, player in enumerate(player_of_row):
        lat, lon = latlon[row].tolist()
        answer = Answer(lat, lon, float(seconds[row]), "refused" if np.isnan(lat) else "")
        answers.setdefault(player, {}).setdefault(place[row], []).append(answer)
    several = len(answers) > 1
    return [
        LogPlayer(
            f"{name} {player}".strip() if several else name or player or path.stem,
            by_place,
            path,
            seed,
        )
        for player, by_place in sorted(answers.items())
    ]
