"""Which columns of a table hold coordinates: true ones, predicted ones, or others."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_LAT = ("lat", "latitude")
_LON = ("lon", "lng", "long", "longitude")
_PREDICTED = (
    *("predicted", "pred", "prediction", "predictions", "preds", "estimated", "estimate", "est"),
    *("guess", "guessed", "inferred", "output", "zs", "rag"),
)
"""Words that mark predictions. G3 calls answers without and with retrieval "zs" and "rag"."""
_TRUE = ("gt", "true", "truth", "groundtruth", "ground", "actual", "input")
"""Words that mark the truth. "input" marks the columns of a list that `geoloc batch` answered."""
_NO_POSITION = frozenset(
    "std sigma var variance err error loss diff delta offset min max bin".split()
)
"""Words that mark spreads, errors and limits."""
_METHODS = ("zs", "rag")

_JOINED = {
    joined: [mark, axis]
    for mark in (*_PREDICTED, *_TRUE)
    for axis in (*_LAT, *_LON)
    for joined in (mark + axis, axis + mark)
}
"""The two words of "predlat" and "longtrue"."""

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")


@dataclass(frozen=True)
class CoordinateColumns:
    """A pair of columns with coordinates."""

    lat: str | None
    """None if there is a matching column of longitudes only."""
    lon: str | None
    words: tuple[str, ...] = ()
    """The other words of the names: "pred" becomes "predicted", "gt" becomes "true"."""

    @property
    def complete(self) -> bool:
        """Whether there are both columns."""
        return self.lat is not None and self.lon is not None

    @property
    def predicted(self) -> bool:
        """Whether the names mark predictions."""
        return "predicted" in self.words

    @property
    def true(self) -> bool:
        """Whether the names mark true coordinates."""
        return self.words == ("true",)

    @property
    def other_words(self) -> int:
        """The number of words that are no mark, no method and no number."""
        terms = ("predicted", "true", *_METHODS)
        return sum(word not in terms and not word.isdecimal() for word in self.words)

    @property
    def rank(self) -> int:
        """The last number in the names, the rank of one of several answers; -1 without one."""
        numbers = [int(word) for word in self.words if word.isdecimal()]
        return numbers[-1] if numbers else -1

    def __str__(self) -> str:
        return ", ".join(name for name in (self.lat, self.lon) if name is not None)


def coordinate_columns(present: Iterable[str]) -> list[CoordinateColumns]:
    """Return all pairs of columns with coordinates, in the order of the table.

    Names are compared word by word without regard to case, so that `pred_lat`, `zs_0_latitude` and
    `Latitude_Prediction` are recognised. A latitude and a longitude are a pair if their other words
    are equal.
    """
    pairs: dict[tuple[str, ...], list[tuple[int, str] | None]] = {}
    for column in present:
        words = [word.lower() for word in _WORD.findall(column)]
        lowered = [part for word in words for part in _JOINED.get(word, [word])]
        for axis, terms in enumerate((_LAT, _LON)):
            matches = [word for word in lowered if word in terms]
            if len(matches) != 1 or _NO_POSITION.intersection(lowered):
                continue
            others, preference = _marks([word for word in lowered if word != matches[0]])
            pair = pairs.setdefault(others, [None, None])
            rank = terms.index(matches[0]) + preference * len(_LON)
            known = pair[axis]
            if known is None or rank < known[0]:
                pair[axis] = rank, column
    return [
        CoordinateColumns(lat and lat[1], lon and lon[1], words)
        for words, (lat, lon) in pairs.items()
    ]


def _marks(words: list[str]) -> tuple[tuple[str, ...], int]:
    """Return words with one term for each kind of coordinate, and the preference of their names."""
    marks: list[str] = []
    preference = 0
    for word in words:
        if word in _PREDICTED:
            preference += _PREDICTED.index(word)
            terms = ["predicted", word] if word in _METHODS else ["predicted"]
        else:
            terms = ["true" if word in _TRUE else word]
        marks += [term for term in terms if term not in marks[-1:]]
    return tuple(marks), preference


def are_answers(present: Iterable[str]) -> bool:
    """Return whether columns are those of answers of this project: lat and lon are estimates.

    Every output has the column schema_version, and those of a table, of a photo without an answer
    or of GeoJSON.
    """
    names = set(present)
    return "schema_version" in names and not names.isdisjoint(("bundle", "error", "answer"))


def choose_coordinates(present: Iterable[str], *, predicted: bool = False) -> CoordinateColumns:
    """Return the pair of columns to read.

    True coordinates are those marked as true, such as `gt_lat`, or else `lat` and `lon`. Predicted
    ones are those marked as predictions, or else `lat` and `lon`: a table that holds both often
    has the true coordinates in `lat` and `lon`. Of several predictions the one with the lowest
    number is chosen, and the first in the table among equals.

    Answers of this project have their predictions in `lat` and `lon`, whatever columns of the input
    were copied beside them. The true coordinates are those of the input, or of the files' metadata.

    Args:
        present: names of the columns.
        predicted: choose predictions.

    Returns:
        A pair of which both columns are None if there are none. It is incomplete where only one of
        the two columns is marked: the true coordinates beside it are no predictions.
    """
    names = list(present)
    pairs = coordinate_columns(names)
    plain = [pair for pair in pairs if not pair.words]
    if are_answers(names):
        if predicted:
            return plain[0] if plain else CoordinateColumns(None, None)
        plain = [pair for pair in pairs if pair.words == ("exif",)]
    marked = [pair for pair in pairs if (pair.predicted if predicted else pair.true)]
    usable = [pair for pair in marked if pair.complete or (predicted and not pair.other_words)]
    if usable:
        return min(usable, key=lambda pair: (not pair.complete, pair.other_words, pair.rank))
    return plain[0] if plain else CoordinateColumns(None, None)
