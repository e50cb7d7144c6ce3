"""How often each cue of text is about the place of the photo: `reliabilities.json`.

`training.witnesses.text` fits them on photos of collections that are held out. The likelihood of a
clue is a mixture: with its reliability r that of a sign about its own place, else the same
everywhere,

    L(c) = r rate(c) / mean rate + 1 - r,

so that text alone makes a place as probable as the cue proved to be.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from geocells.table import CellTable
from geoloc.belief.witnesses.text.clue import Clue
from geoloc.types import Float32Array, Float64Array

FILE = Path(__file__).with_name("reliabilities.json")

BEFORE = {
    "script": 0.95, "unread script": 0.6, "Chinese characters": 0.7, "language": 0.75,
    "street word": 0.8, "word": 0.75, "letter": 0.5,
    "telephone": 0.9, "local telephone": 0.7, "web address": 0.85, "postal code": 0.8,
    "number plate": 0.5, "road number": 0.4, "price": 0.7, "speed unit": 0.8,
    "country name": 0.5, "region name": 0.5, "large town": 0.5, "town": 0.4, "hamlet": 0.15,
    "street name": 0.05, "business name": 0.1, "names together": 0.9,
    "burnt-in position": 0.95, "country adjective": 0.6, "foreign adjective": 0.05,
}  # fmt: skip
"""Reliabilities assumed before photos are seen; each counts as `STRENGTH` photos."""

STRENGTH = 6.0


@cache
def fitted() -> Mapping[str, float]:
    """Return the reliability of each cue."""
    values: dict[str, float] = json.loads(FILE.read_text(encoding="utf-8"))
    return {**BEFORE, **values}


def log_likelihood(
    clues: Sequence[Clue], cells: CellTable, reliability: Mapping[str, float]
) -> Float32Array:
    """Return the log-likelihood (C,) of all clues that are used.

    Clues of one kind are not independent, because one street has one language: n of them count as
    the square root of n. The clues of language and script support each other in the same way.
    """
    rows: dict[str, list[Float64Array]] = {}
    for clue in clues:
        if clue.used:
            rows.setdefault(clue.cue, []).append(_mixture(clue, cells, reliability[clue.cue]))
    if not rows:
        return np.zeros(len(cells), np.float32)
    kinds = {cue: np.sum(each, axis=0) / np.sqrt(len(each)) for cue, each in rows.items()}
    words = [kinds.pop(cue) for cue in ALIKE if cue in kinds]
    total = np.sum([*kinds.values(), np.zeros(len(cells))], axis=0)
    if words:
        total = total + np.sum(words, axis=0) / np.sqrt(len(words))
    return np.asarray(total, np.float32)


ALIKE = (
    "script",
    "unread script",
    "Chinese characters",
    "language",
    "street word",
    "word",
    "letter",
)
"""Cues that follow from the language of the text."""


def _mixture(clue: Clue, cells: CellTable, reliability: float) -> Float64Array:
    """Return the log-likelihood (C,) of one clue."""
    rate = clue.rates(cells)
    share = (cells.count + 1.0) / (cells.count + 1.0).sum()
    mean = float(rate @ share)
    if mean <= 0.0:
        return np.zeros(len(cells))
    return np.asarray(np.log(reliability * rate / mean + 1.0 - reliability))
