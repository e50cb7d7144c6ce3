"""Does a test set leak? What its photos share with those that were trained on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from geoloc.evaluation.leakage import is_shared, nearest_km
from geoloc.types import FixedStrArray
from training.data.duplicates import seen_before
from training.data.split import blocks
from training.data.table import latlon_of, strings_of
from training.types import Embeddings

BLOCK_KM = 1.0
NEAR_KM = (0.025, 1.0, 25.0)


@dataclass(frozen=True)
class Leaks:
    """What test photos have in common with training photos; numbers of test photos."""

    test: int
    train: int
    author: int
    """By an author who has training photos too, and so on."""
    group: int
    location: int
    block: int
    """In a square of BLOCK_KM with a training photo: the same street."""
    file: int
    """The very same file."""
    duplicate: int | None
    """Near-duplicates of a training photo; None without embeddings."""
    near: dict[str, int]
    """Closer than so many km to a training photo."""
    nearest_km: dict[str, float]
    """Quantiles, in percent, of the distance to the nearest training photo."""

    @property
    def clean(self) -> bool:
        """Whether no test photo shares author, sequence, place, square, file or scene."""
        shared = (self.author, self.group, self.location, self.block, self.file)
        return not any(shared) and not self.duplicate

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {**asdict(self), "clean": self.clean}

    def lines(self) -> list[str]:
        """Readable lines, one for each finding."""
        rows = [
            ("share an author", self.author),
            ("share a sequence or walk", self.group),
            ("share a location", self.location),
            (f"share a square of {BLOCK_KM:g} km", self.block),
            ("are a training file", self.file),
            ("are a near-duplicate", self.duplicate),
            *((f"are within {km} km", count) for km, count in self.near.items()),
        ]
        head = f"{self.test:,} test photos beside {self.train:,} training photos:"
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
    """Look for leaks.

    Args:
        train: photo table of what was trained on.
        test: photo table of what is measured on.
        embeddings: of both, to find near-duplicates.
    """
    here, there = latlon_of(train), latlon_of(test)
    distance = nearest_km(here, there)
    squares = blocks(here, BLOCK_KM), blocks(there, BLOCK_KM)
    quantiles = np.percentile(distance, (5, 50, 95)) if len(there) else np.full(3, np.nan)
    return Leaks(
        test=len(test),
        train=len(train),
        author=_shared(train, test, "author"),
        group=_shared(train, test, "group"),
        location=_shared(train, test, "location_id"),
        block=int(np.isin(squares[1].astype(str), squares[0].astype(str)).sum()),
        file=int(np.isin(_files(test), _files(train)).sum()),
        duplicate=int(seen_before(*embeddings).sum()) if embeddings else None,
        near={f"{km:g}": int((distance < km).sum()) for km in NEAR_KM},
        nearest_km={name: float(km) for name, km in zip(("5", "50", "95"), quantiles, strict=True)},
    )


def _shared(train: pa.Table, test: pa.Table, name: str) -> int:
    """Test photos whose value, if they have one, is that of a training photo."""
    return int(is_shared(strings_of(train, name), strings_of(test, name)).sum())


def _files(table: pa.Table) -> FixedStrArray:
    """File, and place in it, of each photo."""
    name = strings_of(table, "file").astype(str)
    if "offset" not in table.column_names:
        return name
    offset = np.nan_to_num(table["offset"].cast(pa.float64()).to_numpy()).astype(np.int64)
    return np.char.add(np.char.add(name, " "), offset.astype(str))
