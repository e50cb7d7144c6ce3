"""Predictions of a system for the photos of a benchmark, and tables of predictions.

A table has the columns photo, lat and lon. Optional columns are chance_200km (claimed probability
of an error below 200 km), radius_50_km, radius_80_km, radius_95_km (radii claimed to hold the truth
for 50, 80 and 95 % of photos), latency_s and cost_usd. A photo without a row, or without numbers,
is a refusal.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as csv

from geocells.columns import to_numbers, to_strings
from geoloc.answer.judge import LEVELS
from geoloc.errors import TableError
from geoloc.evaluation.benchmark import Benchmark
from geoloc.io.atomic import atomic_file
from geoloc.photos.columns import (
    column,
    read_degrees,
    require,
    text_column,
    to_floats,
    to_texts,
)
from geoloc.photos.coordinate_columns import are_answers, choose_coordinates, coordinate_columns
from geoloc.photos.matching import Matches, match_any
from geoloc.photos.position import on_earth
from geoloc.photos.tables import read_table, row_problem
from geoloc.types import BoolArray, Float64Array, Int64Array, StrArray

NEEDS = "the columns photo, lat, lon"


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions for N photos; unknown values are NaN."""

    system: str
    """Name of the system in reports."""
    latlon: Float64Array
    """(N, 2) degrees; NaN for a refusal."""
    chance: Float64Array
    """(N,) claimed probability of an error below 200 km."""
    radii_km: Float64Array
    """(N, 3) claimed radii for the shares of photos in LEVELS."""
    latency_s: Float64Array
    """(N,)"""
    cost_usd: Float64Array
    """(N,)"""
    region_km2: Float64Array
    """(N, 3) area of the credible region, for the probabilities in LEVELS."""
    region_holds: Float64Array
    """(N, 3) 1 where that region contains the truth, else 0."""
    needed_km2: Float64Array
    """(N,) area of the smallest highest-density region that contains the truth."""
    similarity: Float64Array
    """(N,) similarity of each photo to the most similar training photo of the system."""
    problems: tuple[str, ...] = ()
    """One line for each kind of missing answer or unusable value."""
    notices: tuple[str, ...] = ()
    """One line for each peculiarity of the table that leaves no photo without an answer."""

    @classmethod
    def none(cls, system: str, count: int) -> Predictions:
        """Return predictions for `count` photos that are all refusals, to be filled."""
        widths = {"latlon": (2,), "radii_km": (3,), "region_km2": (3,), "region_holds": (3,)}
        names = [f.name for f in fields(cls) if f.name not in ("system", "problems", "notices")]
        nothing: dict[str, Any] = {
            name: np.full((count, *widths.get(name, ())), np.nan) for name in names
        }
        return cls(system=system, **nothing)

    def __len__(self) -> int:
        return len(self.latlon)

    @property
    def refused(self) -> BoolArray:
        """(N,) whether the system gave no prediction."""
        return np.asarray(np.isnan(self.latlon).any(axis=1))

    def take(self, rows: npt.ArrayLike) -> Predictions:
        """Return some rows, in the order given."""
        index = np.asarray(rows)
        arrays = {k: v[index] for k, v in vars(self).items() if isinstance(v, np.ndarray)}
        return replace(self, **arrays)


def read(path: Path, benchmark: Benchmark) -> Predictions:
    """Read a table of predictions in any order; photos are found by ID or file name.

    Where a table has both the true coordinates and predicted ones, such as lat, lon, pred_lat and
    pred_lon, the predicted ones are read; see `choose_coordinates`. Each kind of problem becomes
    one line and counts as a refusal; of doubled rows the first counts.

    Raises:
        TableError: there is no such table, it answers none of the photos, or its answers are the
            true coordinates.
    """
    unreadable: list[str] = []
    raw = _final_answers(read_table(path, NEEDS, problem=unreadable.append))
    keys = [key for key in (column(raw, "photo_id"), column(raw, "file")) if key is not None]
    require(path, NEEDS, photo=keys[0] if keys else None)
    latlon = read_degrees(raw, path, NEEDS, predicted=True)
    names = to_texts(keys[0], len(raw))
    found = _match([names, *(to_texts(key, len(raw)) for key in keys[1:])], benchmark)
    row = found.row
    if len(raw) and not (row >= 0).any():
        raise TableError(
            f"{path}: none of its photos is in {benchmark.title}, whose first is"
            f" {benchmark.photo_id[0]}; its own first is {names[0]}"
        )
    problems = _Problems(path, names)
    problems.add("are no photo of the benchmark", (row < 0) & ~found.ambiguous, harmless=True)
    problems.add("match several photos or share one; name the folders too", found.ambiguous)
    first = np.zeros(len(row), bool)
    first[np.unique(row, return_index=True)[1]] = True
    problems.add("answer a photo again; its first row counts", (row >= 0) & ~first, harmless=True)
    values = {name: to_floats(column(raw, name), len(raw)) for name in _NUMBERS}
    counted = (row >= 0) & first
    _check(latlon, values, problems, counted)
    truth = benchmark.latlon[row[counted]]
    problems.notices += _check_no_truth(path, raw, latlon[counted], truth) + _choice(path, raw)
    answers = Predictions.none(path.stem, len(benchmark))
    _fill(answers, row[counted], latlon[counted], {k: v[counted] for k, v in values.items()})
    problems.add_unanswered(benchmark, np.setdiff1d(np.arange(len(benchmark)), row[counted]))
    return replace(
        answers, problems=(*unreadable, *problems.lines), notices=tuple(problems.notices)
    )


def _final_answers(table: pa.Table) -> pa.Table:
    """Return the rows of the hierarchy, if a table of GeoEstimation has them.

    It has one row for each partition of the Earth; published scores are those of the hierarchy.
    """
    import pyarrow.compute as pc

    if "p_key" not in table.column_names:
        return table
    final = table.filter(pc.equal(text_column(table["p_key"]), "hierarchy"))
    return final if len(final) else table


def _choice(path: Path, table: pa.Table) -> list[str]:
    """Return a line about the columns that are read, if a table has several predictions."""
    chosen = choose_coordinates(table.column_names, predicted=True)
    others = [
        pair
        for pair in coordinate_columns(table.column_names)
        if pair.complete and pair.predicted and pair != chosen
    ]
    if not others:
        return []
    return [
        f"{path}: the answers are read from {chosen}; the table also has {len(others):,} other"
        f" predictions ({others[0]}{' …' if len(others) > 1 else ''})"
    ]


def _check_no_truth(
    path: Path, table: pa.Table, latlon: Float64Array, truth: Float64Array
) -> list[str]:
    """Return a line if all answers (N, 2) are the true coordinates.

    Raises:
        TableError: lat and lon hold the truth beside predictions of unknown names.
    """
    if are_answers(table.column_names) or not np.allclose(latlon, truth, rtol=0.0, atol=1e-5):
        return []
    chosen = choose_coordinates(table.column_names, predicted=True)
    others = [
        pair
        for pair in coordinate_columns(table.column_names)
        if pair.complete and pair != chosen and not pair.true
    ]
    if not chosen.words and others:
        raise TableError(
            f"{path}: {chosen} are the true coordinates; name the columns of the predictions"
            f" predicted_lat and predicted_lon (are they {others[0]}?)"
        )
    return [
        f"{path}: all answers, read from {chosen}, are exactly the true coordinates; name the"
        " columns of the predictions predicted_lat and predicted_lon if they are others"
    ]


_RADII = tuple(f"radius_{level}_km" for level in LEVELS)
_NUMBERS = ("chance_200km", *_RADII, "latency_s", "cost_usd")


class _Problems:
    """One line for each kind of problem with the rows of a table."""

    def __init__(self, path: Path, names: StrArray) -> None:
        self.path, self.names = path, names
        self.lines, self.notices = list[str](), list[str]()

    def add(self, problem: str, bad: BoolArray, *, harmless: bool = False) -> None:
        """Add a line about the bad rows, if there are any."""
        if bad.any():
            line = row_problem(self.path, self.names, bad, problem)
            (self.notices if harmless else self.lines).append(line)

    def add_unanswered(self, benchmark: Benchmark, rows: Int64Array) -> None:
        """Add a line about the photos that have no row."""
        if len(rows):
            absent = np.zeros(len(benchmark), bool)
            absent[rows] = True
            problem = "have no row and count as refused"
            line = row_problem(self.path, benchmark.photo_id, absent, problem, "photos")
            self.lines.append(line)


def _check(
    latlon: Float64Array,
    values: dict[str, Float64Array],
    problems: _Problems,
    counted: BoolArray,
) -> None:
    """Replace impossible coordinates, chances and radii by NaN, and report them."""
    is_number = np.isfinite(latlon).all(axis=1)
    problems.add("have no number for lat or lon and count as refused", counted & ~is_number)
    beyond = is_number & ~on_earth(latlon)
    problems.add("lie outside -90..90, -180..180 degrees and count as refused", counted & beyond)
    latlon[~is_number | beyond] = np.nan
    chance = values["chance_200km"]
    wrong = ~np.isnan(chance) & ~((chance >= 0.0) & (chance <= 1.0))
    problems.add("claim a chance outside 0..1, which is left out", counted & wrong)
    chance[wrong] = np.nan
    radii = [values[name] for name in _RADII]
    wrong = np.any([~np.isnan(radius) & ~(radius >= 0.0) for radius in radii], axis=0)
    problems.add("claim a negative radius, which is left out", counted & wrong)
    for radius in radii:
        radius[wrong] = np.nan


def _match(names: list[StrArray], benchmark: Benchmark) -> Matches:
    """Find the row of the benchmark that each ID or file name means."""
    among = [benchmark.photo_id]
    if benchmark.file_name is not None:
        among.append(benchmark.file_name)
    return match_any([to_strings(each) for each in names], [to_strings(each) for each in among])


def _fill(
    answers: Predictions, row: Int64Array, latlon: Float64Array, numbers: dict[str, Float64Array]
) -> None:
    answers.latlon[row] = latlon
    answers.radii_km[row] = np.stack([numbers[name] for name in _RADII], axis=1)
    answers.chance[row] = numbers["chance_200km"]
    answers.latency_s[row], answers.cost_usd[row] = numbers["latency_s"], numbers["cost_usd"]


def write(answers: Predictions, benchmark: Benchmark, path: Path) -> None:
    """Write a table that `read` reads; it appears complete or not at all."""
    import pyarrow.compute as pc

    columns = {
        "lat": answers.latlon[:, 0],
        "lon": answers.latlon[:, 1],
        "chance_200km": answers.chance,
        **dict(zip(_RADII, answers.radii_km.T, strict=True)),
        "latency_s": answers.latency_s,
        "cost_usd": answers.cost_usd,
    }
    table = {"photo": to_strings(benchmark.photo_id)}
    for name, values in columns.items():
        if name in ("lat", "lon") or not np.isnan(values).all():
            column = to_numbers(values, pa.float64())
            table[name] = pc.if_else(pc.is_nan(column), pa.NULL, column)  # empty, rather than "nan"
    with atomic_file(path) as file:
        csv.write_csv(pa.table(table), file)
