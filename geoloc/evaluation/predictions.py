"""What a system answered for the photos of a benchmark, and tables of such answers.

A table has the columns photo, lat, lon, and perhaps chance_200km (claimed chance of being right
within 200 km), radius_50_km, radius_80_km, radius_95_km (claimed to hold the truth of so many
percent of photos), latency_s and cost_usd. No row, or no number, is a refusal.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as csv

from geocells.columns import numbers, to_numbers, to_strings
from geoloc.answer.calibration import LEVELS
from geoloc.errors import TableError
from geoloc.evaluation.benchmark import Benchmark
from geoloc.io.atomic import atomic_file
from geoloc.photos.tables import column, floats, read_table, stems, strings
from geoloc.types import BoolArray, Float64Array, Int64Array

WANTED = "the columns photo, lat, lon"

SYNONYMS = {
    "photo": ("photo_id", "img_id", "image_id", "id", "file", "filename", "image", "path"),
    "lat": ("latitude", "pred_lat", "lat_pred"),
    "lon": ("lng", "long", "longitude", "pred_lon", "pred_lng", "lon_pred"),
    "chance_200km": ("localisability", "confidence"),
    "radius_80_km": ("radius_km",),
    "latency_s": ("latency", "seconds"),
    "cost_usd": ("cost",),
}
"""What tables of predictions call their columns, in lower case."""

NAMED = 3
"""So many photos are named in a line about many."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """Answers for N photos; whatever is not known is NaN."""

    system: str
    """What the answers are called."""
    latlon: Float64Array
    """(N, 2) degrees; NaN for a refusal."""
    chance: Float64Array
    """(N,) claimed chance of being right within 200 km."""
    radii_km: Float64Array
    """(N, 3) claimed radii, by LEVELS."""
    latency_s: Float64Array
    """(N,)"""
    cost_usd: Float64Array
    """(N,)"""
    region_km2: Float64Array
    """(N, 3) area of the credible region, by LEVELS."""
    region_holds: Float64Array
    """(N, 3) 1 where that region holds the truth, else 0."""
    needed_km2: Float64Array
    """(N,) area of the likeliest part of the Earth that just reaches the truth."""
    similarity: Float64Array
    """(N,) of each photo and the most similar one that the system learned from."""
    problems: tuple[str, ...] = ()
    """One line for each thing that is wrong with the answers."""
    refusals: tuple[str, ...] = ()
    """One line for each way in which photos were refused, which is no fault of the input."""

    @classmethod
    def none(cls, system: str, count: int) -> Predictions:
        """So many refusals, to be filled."""
        widths = {"latlon": (2,), "radii_km": (3,), "region_km2": (3,), "region_holds": (3,)}
        names = [f.name for f in fields(cls) if f.name not in ("system", "problems", "refusals")]
        nothing: dict[str, Any] = {
            name: np.full((count, *widths.get(name, ())), np.nan) for name in names
        }
        return cls(system=system, **nothing)

    def __len__(self) -> int:
        return len(self.latlon)

    @property
    def refused(self) -> BoolArray:
        """(N,) without an answer."""
        return np.asarray(np.isnan(self.latlon).any(axis=1))

    def take(self, rows: npt.ArrayLike) -> Predictions:
        """Some rows, in their order."""
        index = np.asarray(rows)
        arrays = {k: v[index] for k, v in vars(self).items() if isinstance(v, np.ndarray)}
        return replace(self, **arrays)


def read(path: Path, benchmark: Benchmark) -> Predictions:
    """Read a table of predictions in any order; photos are found by id or file name.

    What is wrong becomes one line each and counts as a refusal; of doubled rows the first counts.

    Raises:
        TableError: there is no such table, or it answers none of the photos.
    """
    raw = read_table(path, WANTED)
    told = {name: column(raw, name, SYNONYMS.get(name, ())) for name in _COLUMNS}
    missing = [name for name in ("photo", "lat", "lon") if told[name] is None]
    if missing:
        raise TableError(f"{path}: column {', '.join(missing)} is missing; it needs {WANTED}")
    ids = pa.chunked_array([to_strings(strings(told["photo"], len(raw)))])
    row = _rows(ids, benchmark)
    if len(raw) and not (row >= 0).any():
        raise TableError(
            f"{path}: none of its photos is in {benchmark.title}, whose first is"
            f" {benchmark.photo_id[0]}; its own first is {ids[0]}"
        )
    complain = _Complaints(path, ids)
    complain("are no photo of the benchmark", row < 0)
    first = np.zeros(len(row), bool)
    first[np.unique(row, return_index=True)[1]] = True
    complain("answer a photo again; its first row counts", (row >= 0) & ~first)
    numbers = {name: floats(told[name], len(raw)) for name in _COLUMNS if name != "photo"}
    counted = (row >= 0) & first
    _check(numbers, complain, counted)
    answers = Predictions.none(path.stem, len(benchmark))
    _fill(answers, row[counted], {name: values[counted] for name, values in numbers.items()})
    complain.unanswered(benchmark, np.setdiff1d(np.arange(len(benchmark)), row[counted]))
    return replace(answers, problems=tuple(complain.lines), refusals=tuple(complain.refusals))


_RADII = tuple(f"radius_{level}_km" for level in LEVELS)
_COLUMNS = ("photo", "lat", "lon", "chance_200km", *_RADII, "latency_s", "cost_usd")


class _Complaints:
    """One line for each kind of trouble with the rows of a table."""

    def __init__(self, path: Path, ids: pa.ChunkedArray) -> None:
        self.path, self.ids = path, ids
        self.lines, self.refusals = list[str](), list[str]()

    def __call__(self, what: str, bad: BoolArray, refused: bool = False) -> None:
        rows = np.flatnonzero(bad)
        if len(rows):
            names = ", ".join(str(self.ids[int(row)]) for row in rows[:NAMED])
            more = " …" if len(rows) > NAMED else ""
            line = f"{self.path}: {len(rows):,} of {len(bad):,} rows {what} ({names}{more})"
            (self.refusals if refused else self.lines).append(line)

    def unanswered(self, benchmark: Benchmark, rows: Int64Array) -> None:
        """Name photos that have no row."""
        if len(rows):
            names = ", ".join(map(str, benchmark.photo_id[rows[:NAMED]]))
            more = " …" if len(rows) > NAMED else ""
            self.refusals.append(
                f"{self.path}: {len(rows):,} of {len(benchmark):,} photos have no row and count as"
                f" refused ({names}{more})"
            )


def _check(numbers: dict[str, Float64Array], complain: _Complaints, counted: BoolArray) -> None:
    """Take out what is no place, no chance or no radius."""
    lat, lon = numbers["lat"], numbers["lon"]
    nothing = ~(np.isfinite(lat) & np.isfinite(lon))
    empty = counted & nothing
    complain("have no number for lat or lon and count as refused", empty, refused=True)
    beyond = ~nothing & ~((np.abs(lat) <= 90.0) & (np.abs(lon) <= 180.0))
    complain("lie outside -90..90, -180..180 degrees and count as refused", counted & beyond)
    lat[nothing | beyond] = lon[nothing | beyond] = np.nan
    chance = numbers["chance_200km"]
    wrong = ~np.isnan(chance) & ~((chance >= 0.0) & (chance <= 1.0))
    complain("claim a chance outside 0..1, which is left out", counted & wrong)
    chance[wrong] = np.nan
    radii = [numbers[name] for name in _RADII]
    wrong = np.any([~np.isnan(radius) & ~(radius >= 0.0) for radius in radii], axis=0)
    complain("claim a negative radius, which is left out", counted & wrong)
    for radius in radii:
        radius[wrong] = np.nan


def _rows(ids: pa.ChunkedArray, benchmark: Benchmark) -> Int64Array:
    """Row of the benchmark that each id means, -1 for none: by the whole id, else by file name."""
    import pyarrow.compute as pc

    known = to_strings(benchmark.photo_id)
    row = pc.index_in(ids, value_set=known)
    short = stems(known)
    if len(pc.unique(short)) == len(short):
        row = pc.coalesce(row, pc.index_in(stems(ids), value_set=short))
    return np.asarray(
        numbers(pc.fill_null(row, to_numbers(np.array([-1], np.int32), pa.int32())[0])), np.int64
    )


def _fill(answers: Predictions, row: Int64Array, numbers: dict[str, Float64Array]) -> None:
    answers.latlon[row] = np.stack([numbers["lat"], numbers["lon"]], axis=1)
    answers.radii_km[row] = np.stack([numbers[name] for name in _RADII], axis=1)
    answers.chance[row] = numbers["chance_200km"]
    answers.latency_s[row], answers.cost_usd[row] = numbers["latency_s"], numbers["cost_usd"]


def write(answers: Predictions, benchmark: Benchmark, path: Path) -> None:
    """Write a table that `read` reads; it appears whole or not at all."""
    import pyarrow.compute as pc

    columns = {
        "lat": answers.latlon[:, 0],
        "lon": answers.latlon[:, 1],
        "chance_200km": answers.chance,
        **dict(zip(_RADII, answers.radii_km.T, strict=True)),
        "latency_s": answers.latency_s,
        "cost_usd": answers.cost_usd,
    }
    told = {"photo": to_strings(benchmark.photo_id)}
    for name, values in columns.items():
        if name in ("lat", "lon") or not np.isnan(values).all():
            column = to_numbers(values, pa.float64())
            told[name] = pc.if_else(pc.is_nan(column), pa.NULL, column)  # empty, rather than "nan"
    with atomic_file(path) as file:
        csv.write_csv(pa.table(told), file)
