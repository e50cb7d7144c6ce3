"""Players whose answers were written down: predictions of any system, and guesses of people."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from geoloc.game.places import LOCATION, GameError, Places, read_located
from geoloc.game.protocol import Answer
from geoloc.photos.tables import SYNONYMS, column, floats, strings

ABOUT = ("file", *SYNONYMS["file"], "photo", "location", *LOCATION, "photo_id")
"""What tables of answers call the column that says which place an answer is about."""


class LogPlayer:
    """Answers from a table; where it has several for one place, the seed picks one."""

    kind = "log"

    def __init__(
        self, name: str, answers: Mapping[str, Sequence[Answer]], source: Path, seed: int
    ) -> None:
        """Take its answers by the name of the place, or of the file alone."""
        self.name, self._answers, self._source, self._seed = name, answers, source, seed

    def ask(self, places: Places, seconds: float) -> Iterator[Answer]:
        """See `Player`; raises GameError if the table is about other places."""
        shown = list(zip(places.name, places.views, strict=True))
        found = [self._find(name, views) for name, views in shown]
        if not any(found):
            raise GameError(
                f"{self._source}: none of the answers of {self.name!r} is about a place of this"
                f" map; its column file has to name them as the manifest does ({places.name[0]})"
            )
        for (name, _), answers in zip(shown, found, strict=True):
            if not answers:
                yield Answer(problem="no answer in the table")
                continue
            rng = np.random.default_rng([self._seed, zlib.crc32(str(name).encode())])
            answer = answers[int(rng.integers(len(answers)))]
            late = answer.seconds > seconds  # False where nobody knows
            yield Answer(seconds=answer.seconds, problem="too late") if late else answer

    def _find(self, name: str, views: Sequence[Path]) -> Sequence[Answer]:
        names = (name, str(views[0]), Path(name).name)
        return next((self._answers[key] for key in names if key in self._answers), ())


def read_log(path: Path, name: str, seed: int) -> list[LogPlayer]:
    """Read answers: file (or location),lat,lon and perhaps seconds, and division or player.

    Args:
        path: CSV or Parquet. No coordinates, or such that make no sense, are no pin. Each division
            is one player, else each player; else all rows are those of one.
        name: of the player; the file's name if it is "". Where there are several it comes first.
        seed: picks among several answers to one place.

    Raises:
        TableError: it is no such table.
    """
    table, about, latlon = read_located(path, ABOUT)
    count = len(table)
    seconds = floats(column(table, "seconds", ("latency_s",)), count)
    whose = strings(column(table, "division", ("player", "system")), count)
    answers: dict[str, dict[str, list[Answer]]] = {}
    for row, player in enumerate(whose):
        lat, lon = latlon[row].tolist()
        said = Answer(lat, lon, float(seconds[row]), "refused" if np.isnan(lat) else "")
        answers.setdefault(player, {}).setdefault(about[row], []).append(said)
    several = len(answers) > 1
    return [
        LogPlayer(
            f"{name} {player}".strip() if several else name or player or path.stem,
            said,
            path,
            seed,
        )
        for player, said in sorted(answers.items())
    ]
