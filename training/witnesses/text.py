"""Fit how often each cue of text is about the place of its photo.

    python -m training.witnesses.text TABLE.csv [TABLE.csv ...]

reads the photos of tables with the columns file, lat, lon and source, author or collection, and
writes `geoloc/belief/witnesses/text/reliabilities.json`. No collection counts more than `WEIGHT`.
"""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from geocells.table import CellTable
from geoloc.belief.witnesses.ocr.reader import Line
from geoloc.belief.witnesses.text.clue import Clue
from geoloc.belief.witnesses.text.reliability import BEFORE, FILE, STRENGTH
from geoloc.belief.witnesses.text.witness import find_clues
from geoloc.types import Float64Array

WEIGHT = 4.0
"""A collection counts as so many photos at most for each cue: its photos err together."""


FEWEST_COLLECTIONS = 3


@dataclass(frozen=True)
class ReadPhoto:
    """A photo with its text and its true cell."""

    file: str
    collection: str
    lines: tuple[Line, ...]
    cell: int


def ratios(photo: ReadPhoto, cells: CellTable) -> list[tuple[Clue, float]]:
    """Return the clues of a photo and the likelihood ratio of each at its true cell."""
    share = (cells.count + 1.0) / (cells.count + 1.0).sum()
    found = []
    for clue in find_clues(photo.lines):
        rate = clue.rates(cells)
        if clue.used and rate @ share > 0.0:
            found.append((clue, float(rate[photo.cell] / (rate @ share))))
    return found


def reliabilities(
    clues: Mapping[str, Sequence[tuple[Clue, float]]], collection: Mapping[str, str]
) -> dict[str, float]:
    """Return the reliability r of each cue, the most likely one under a prior.

    Cues of fewer than FEWEST_COLLECTIONS collections are left out: they stay as assumed.

    Args:
        clues: by file of the photo, from `ratios`.
        collection: of each file.
    """
    by_cue: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for file, found in clues.items():
        for clue, ratio in found:
            by_cue[clue.cue].append((collection[file], ratio))
    return {
        cue: round(_most_likely(cue, rows), 3)
        for cue, rows in sorted(by_cue.items())
        if len({name for name, _ in rows}) >= FEWEST_COLLECTIONS
    }


def _most_likely(cue: str, rows: Sequence[tuple[str, float]]) -> float:
    """Maximise sum of log(r ratio + 1 - r) with a beta prior of STRENGTH photos."""
    count = Counter(name for name, _ in rows)
    weight = np.array([min(1.0, WEIGHT / count[name]) for name, _ in rows])
    ratio: Float64Array = np.array([value for _, value in rows])
    before = BEFORE.get(cue, 0.5)

    def loss(r: float) -> float:
        prior = before * np.log(r) + (1.0 - before) * np.log1p(-r)
        return -float(weight @ np.log(r * ratio + 1.0 - r) + STRENGTH * prior)

    return float(minimize_scalar(loss, bounds=(0.01, 0.99), method="bounded").x)


def write(values: Mapping[str, float]) -> None:
    """Write the file of the package."""
    FILE.write_text(json.dumps(dict(values), indent=1) + "\n", encoding="utf-8")


def read_photos(tables: Iterable[str], cells: CellTable) -> list[ReadPhoto]:
    """Read the text of the photos of tables; photos without text are left out."""
    from geoloc.belief.witnesses.ocr.reader import TextReader
    from geoloc.photos.decode import load
    from training.witnesses.tables import placed_photos

    reader, found = TextReader(), []
    for row in placed_photos(tables):
        lines = reader.read(load(row.path).image).lines
        if lines:
            cell = int(cells.locate(np.array([[row.lat, row.lon]]))[0])
            found.append(ReadPhoto(row.path, row.collection, lines, cell))
    return found


if __name__ == "__main__":
    from geoloc.bundle.directory import load as load_bundle

    table = load_bundle("starter").cells
    photos = read_photos(sys.argv[1:], table)
    found = {photo.file: ratios(photo, table) for photo in photos}
    write(reliabilities(found, {photo.file: photo.collection for photo in photos}))
