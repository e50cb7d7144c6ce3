"""Leakage audit: count what test photos share with training photos."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from geoloc.evaluation.leakage import is_shared, nearest_km
from geoloc.types import FixedStrArray
from training.data.duplicates import have_near_duplicates
from training.data.split import blocks
from training.data.table import latlon_of, strings_of
from training.types import Embeddings

BLOCK_KM = 1.0
"""Side of the squares in which test and training photos are counted as one street."""

NEAR_KM = (0.025, 1.0, 25.0)
"""Distances to the nearest training photo at which test photos are counted."""


@dataclass(frozen=True)
class Leaks:
    """Numbers of test photos that share something with training photos."""

    test: int
    train: int
    author: int
    """Test photos whose author has training photos; likewise for the following fields."""
    group: int
    location: int
    block: int
    """In a square of BLOCK_KM with a training photo."""
    file: int
    """The same file."""
    duplicate: int | None
    """Near-duplicates of a training photo; None without embeddings."""
    near: dict[str, int]
    """Closer to a training photo than each of NEAR_KM, which are the keys as text."""
    nearest_km: dict[str, float]
    """Distance to the nearest training photo, by percentile: 5, 50, 95."""

    @property
    def clean(self) -> bool:
        """Whether no test photo shares author, group, location, square, file or scene."""
        shared = (self.author, self.group, self.location, self.block, self.file)
        return not any(shared) and not self.duplicate

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "clean": self.clean}

    def lines(self) -> list[str]:
        """Return readable lines, one for each count."""
        rows = [
            ("share an author", self.author),
            ("share a sequence or walk", self.group),
            ("share a location", self.location),
            (f"share a square of {BLOCK_KM:g} km", self.block),
            ("are a training file", self.file),
            ("are a near-duplicate", self.duplicate),
            *((f"are within {km} km", count) for km, count in self.near.items()),
        ]
        head = f"{self.test:,} test photos compared with {self.train:,} training photos:"
        return [head, *(self._line(what, count) for what, count in rows)]

    def _line(self, what: str, count: int | None) -> str:
        if count is None:
            return f"  not measured: how many {what} (needs embeddings)"
        return f"  {count:,} ({count / max(1, self.test):.2%}) {what}"


def audit(
    train: pa.Table,
    test: pa.Table,
    embeddings: tuple[Embeddings, Embeddings] | None = None,
) -> Leaks:
    """Count what test photos share with training photos.

    Args:
        train: photo table of the N training photos.
        test: photo table of the M test photos.
        embeddings: (N, D) and (M, D), to find near-duplicates.
    """
    train_latlon, test_latlon = latlon_of(train), latlon_of(test)
    distance = nearest_km(train_latlon, test_latlon)
    train_squares = blocks(train_latlon, BLOCK_KM).astype(str)
    test_squares = blocks(test_latlon, BLOCK_KM).astype(str)
    quantiles = (
        np.percentile(distance, (5, 50, 95)) if len(test) and len(train) else np.full(3, np.nan)
    )
    return Leaks(
        test=len(test),
        train=len(train),
        author=_shared(train, test, "author"),
        group=_shared(train, test, "group"),
        location=_shared(train, test, "location_id"),
        block=int(np.isin(test_squares, train_squares).sum()),
        file=int(np.isin(_files(test), _files(train)).sum()),
        duplicate=int(have_near_duplicates(*embeddings).sum()) if embeddings else None,
        near={f"{km:g}": int((distance < km).sum()) for km in NEAR_KM},
        nearest_km={name: float(km) for name, km in zip(("5", "50", "95"), quantiles, strict=True)},
    )


def _shared(train: pa.Table, test: pa.Table, name: str) -> int:
    """Count the test photos whose value, if there is one, occurs among the training photos."""
    return int(is_shared(strings_of(train, name), strings_of(test, name)).sum())


def _files(table: pa.Table) -> FixedStrArray:
    """Return the file of each photo, with its offset in tar shards."""
    name = strings_of(table, "file").astype(str)
    if "offset" not in table.column_names:
        return name
    offset = np.nan_to_num(table["offset"].cast(pa.float64()).to_numpy()).astype(np.int64)
    return np.char.add(np.char.add(name, " "), offset.astype(str))
