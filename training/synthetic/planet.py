"""A planet with photographs that can be made anywhere in seconds, for tests, dry runs, ablations.

Places, borders, climate, heights and people are the real ones; the photographs are drawn from them
by `training.synthetic.renderer`.
"""

from __future__ import annotations

import datetime
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from geocells.borders.hierarchy import embedded_boundaries
from geocells.places import towns
from geocells.sphere import destination, latlon_from_vectors
from geoloc.io.atomic import atomic_file, atomic_path
from geoloc.types import Float64Array, IndexArray, Int64Array
from training.data.enrich import enrich
from training.synthetic.renderer import render

WILD = 0.25
"""Share of the places that are anywhere on land instead of near a town."""
TEMPER = 0.35
"""Towns are drawn by their population to this power, so that small countries are not forgotten."""
BLOCK_DEG = 2.0
"""Squares that belong to one split as a whole, with all authors who photograph in them."""
PLACES_PER_AUTHOR = 6
PHOTOS_PER_SHARD = 1000
VAL = 0.1
"""Share of the squares whose photos calibrate."""

_MADE_FROM = b"planet"

_TOLD = (
    "photo_id lat lon taken_at heading location_id view author group source licence precision_km"
).split()
"""What a shard says of its photos, so that it can be read without the table."""


def sample_planet(locations: int, views: int = 4, seed: int = 0, test: float = 0.1) -> pa.Table:
    """Where, when and by whom photographs are taken.

    Args:
        locations: number of places.
        views: photos of each, their headings evenly around the compass.
        seed: of everything.
        test: share of the squares that are measured on.

    Returns:
        An enriched photo table of locations * views rows; neither an author nor a square of
        BLOCK_DEG degrees has photos in two splits.
    """
    rng = np.random.default_rng(seed)
    latlon = _places(locations, rng)
    block = np.floor(latlon / BLOCK_DEG).astype(int)
    names, square = np.unique(block, axis=0, return_inverse=True)
    square = square.ravel()
    author = square * 1000 + _turn(square) // PLACES_PER_AUTHOR
    shares = (1.0 - VAL - test, VAL, test)
    split_of_square = rng.choice(["train", "val", "test"], len(names), p=shares)
    month = rng.integers(1, 13, locations)
    day = rng.integers(1, 29, locations)
    start = rng.uniform(0.0, 360.0, locations)
    place, view = np.repeat(np.arange(locations), views), np.tile(np.arange(views), locations)
    taken = [datetime.datetime(2024, int(month[i]), int(day[i]), 12) for i in place]
    count = len(place)
    table = pa.table({
        "photo_id": [f"{i:07}-{v}" for i, v in zip(place, view, strict=True)],
        "lat": latlon[place, 0], "lon": latlon[place, 1],
        "taken_at": pa.array(taken, pa.timestamp("s")),
        "heading": pa.array((start[place] + 360.0 / views * view) % 360.0, pa.float32()),
        "location_id": [f"{i:07}" for i in place], "view": pa.array(view, pa.int16()),
        "author": [f"author {author[i]}" for i in place],
        "group": [f"walk {author[i]}-{_walk(i, month)}" for i in place],
        "source": ["synthetic planet"] * count, "licence": ["CC0-1.0"] * count,
        "precision_km": pa.array(np.zeros(count), pa.float32()),
        "split": split_of_square[square[place]],
    })  # fmt: skip
    return enrich(table)


def write_planet(
    folder: Path,
    locations: int,
    views: int = 4,
    size: int = 112,
    seed: int = 0,
    test: float = 0.1,
) -> Path:
    """Draw a planet into tar shards, and a table of its photos.

    Args:
        folder: to write; a planet of the same arguments that is there is kept.
        locations: see `sample_planet`.
        views: likewise.
        size: side of the photos in pixels.
        seed: of everything.
        test: see `sample_planet`.

    Returns:
        `folder`/photos.parquet.
    """
    target = folder / "photos.parquet"
    made_from = json.dumps([locations, views, size, seed, test]).encode()
    if target.is_file() and (pq.read_schema(target).metadata or {}).get(_MADE_FROM) == made_from:
        return target
    folder.mkdir(parents=True, exist_ok=True)
    table = sample_planet(locations, views, seed, test)
    where: list[tuple[str, int, int]] = []
    for number, start in enumerate(range(0, len(table), PHOTOS_PER_SHARD)):
        where += _write_shard(
            folder / f"{number:05}.tar", table.slice(start, PHOTOS_PER_SHARD), size, seed
        )
    file, offset, length = zip(*where, strict=True)
    table = table.add_column(1, "file", pa.array(file))
    table = table.add_column(2, "offset", pa.array(offset, pa.int64()))
    table = table.add_column(3, "size", pa.array(length, pa.int64()))
    with atomic_file(target) as out:
        pq.write_table(table.replace_schema_metadata({_MADE_FROM: made_from}), out)
    return target


def _places(count: int, rng: np.random.Generator) -> Float64Array:
    """(count, 2): near towns, and anywhere on land."""
    known = towns()
    wild = _on_land(round(WILD * count), rng)
    odds = np.maximum(known.population, 100.0) ** TEMPER
    town = rng.choice(len(odds), count - len(wild), p=odds / odds.sum())
    distance = rng.exponential(8.0, len(town))
    near = destination(known.points.latlon[town], rng.uniform(0.0, 360.0, len(town)), distance)
    at_sea = embedded_boundaries().country.locate(near, max_km=0.0) < 0
    near[at_sea] = known.points.latlon[town[at_sea]]
    latlon = np.concatenate([near, wild])
    return np.round(latlon[rng.permutation(count)], 6)


def _on_land(count: int, rng: np.random.Generator) -> Float64Array:
    found = np.empty((0, 2))
    country = embedded_boundaries().country
    while len(found) < count:
        points = latlon_from_vectors(rng.standard_normal((4 * count, 3)))
        ashore = (country.locate(points, max_km=0.0) >= 0) & (points[:, 0] > -60.0)
        found = np.concatenate([found, points[ashore]])
    return found[:count]


def _turn(group: IndexArray) -> IndexArray:
    """How many of the same group come before each, (N,)."""
    order = np.argsort(group, kind="stable")
    first = np.concatenate([[0], np.flatnonzero(np.diff(group[order])) + 1])
    start = np.repeat(first, np.diff(np.append(first, len(group))))
    turn = np.empty(len(group), np.intp)
    turn[order] = np.arange(len(group)) - start
    return turn


def _walk(place: int, month: Int64Array) -> int:
    """An author's photos of one month are one walk."""
    return int(month[place])


def _write_shard(path: Path, table: pa.Table, size: int, seed: int) -> list[tuple[str, int, int]]:
    """A WebDataset shard; returns file, offset and length of each photo."""
    pictures = render(table, size, seed)
    facts = table.select(_TOLD).to_pylist()
    with atomic_path(path) as temporary:
        with tarfile.open(temporary, "w") as shard:
            for fact, pixels in zip(facts, pictures, strict=True):
                key = fact.pop("photo_id")
                content = io.BytesIO()
                Image.fromarray(pixels).save(content, "JPEG", quality=88)
                _add(shard, f"{key}.json", json.dumps(fact, default=str).encode())
                _add(shard, f"{key}.jpg", content.getvalue())
        with tarfile.open(temporary) as shard:
            found = [
                (path.name, member.offset_data, member.size)
                for member in shard
                if member.name.endswith(".jpg")
            ]
    return found


def _add(shard: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    shard.addfile(member, io.BytesIO(content))
