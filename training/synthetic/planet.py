"""A synthetic planet of photos, generated in seconds, for tests, rehearsals and ablations.

Places, borders, climate, elevation and population are real; `training.synthetic.renderer` draws the
photos from them.
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
from geoloc.types import Float64Array, IndexArray
from training.data.enrich import enrich
from training.synthetic.renderer import render

RURAL_SHARE = 0.25
"""Share of the places drawn uniformly from land instead of near towns."""
POPULATION_EXPONENT = 0.35
"""Towns are drawn in proportion to population to this power, so that small countries occur."""
BLOCK_DEG = 2.0
"""Side of the squares that belong to one split each, with all authors who photograph in them."""
PLACES_PER_AUTHOR = 6
"""Maximum number of places of one author."""
PHOTOS_PER_SHARD = 1000
"""Photos in one tar file."""
VAL = 0.1
"""Share of the squares in the split val."""

_MADE_FROM = b"planet"
"""Key of the arguments in the metadata of photos.parquet."""

_SIDECAR_COLUMNS = (
    "photo_id lat lon taken_at heading location_id view author group source licence precision_km"
).split()
"""Columns of the JSON beside each photo in a shard, which make it readable without the table."""


def sample_planet(locations: int, views: int = 4, seed: int = 0, test: float = 0.1) -> pa.Table:
    """Draw places, times and authors of photos.

    Args:
        locations: number of places.
        views: photos of each place, with headings spread evenly around the compass.
        seed: seed of all random draws.
        test: share of the squares in the split test.

    Returns:
        An enriched photo table of locations * views rows; neither an author nor a square of
        BLOCK_DEG degrees has photos in two splits.
    """
    rng = np.random.default_rng(seed)
    latlon = _places(locations, rng)
    block = np.floor(latlon / BLOCK_DEG).astype(int)
    names, square = np.unique(block, axis=0, return_inverse=True)
    square = square.ravel()
    author = square * 1000 + _rank_in_group(square) // PLACES_PER_AUTHOR
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
        "group": [f"walk {author[i]}-{month[i]}" for i in place],
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
    """Render a planet into tar shards and write the table of its photos.

    Args:
        folder: folder to write; a planet with the same arguments is kept as it is.
        locations: see `sample_planet`.
        views: see `sample_planet`.
        size: side of the photos in pixels.
        seed: seed of all random draws.
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
    positions: list[tuple[str, int, int]] = []
    for number, start in enumerate(range(0, len(table), PHOTOS_PER_SHARD)):
        positions += _write_shard(
            folder / f"{number:05}.tar", table.slice(start, PHOTOS_PER_SHARD), size, seed
        )
    file, offset, length = zip(*positions, strict=True)
    table = table.add_column(1, "file", pa.array(file))
    table = table.add_column(2, "offset", pa.array(offset, pa.int64()))
    table = table.add_column(3, "size", pa.array(length, pa.int64()))
    with atomic_file(target) as out:
        pq.write_table(table.replace_schema_metadata({_MADE_FROM: made_from}), out)
    return target


def _places(count: int, rng: np.random.Generator) -> Float64Array:
    """Draw places (count, 2) in degrees, near towns and anywhere on land."""
    gazetteer = towns()
    rural = _on_land(round(RURAL_SHARE * count), rng)
    odds = np.maximum(gazetteer.population, 100.0) ** POPULATION_EXPONENT
    town = rng.choice(len(odds), count - len(rural), p=odds / odds.sum())
    distance = rng.exponential(8.0, len(town))
    near = destination(gazetteer.points.latlon[town], rng.uniform(0.0, 360.0, len(town)), distance)
    at_sea = embedded_boundaries().country.locate(near, max_km=0.0) < 0
    near[at_sea] = gazetteer.points.latlon[town[at_sea]]
    latlon = np.concatenate([near, rural])
    return np.round(latlon[rng.permutation(count)], 6)


def _on_land(count: int, rng: np.random.Generator) -> Float64Array:
    """Draw points (count, 2) in degrees uniformly from land north of 60 degrees south."""
    found = np.empty((0, 2))
    country = embedded_boundaries().country
    while len(found) < count:
        points = latlon_from_vectors(rng.standard_normal((4 * count, 3)))
        ashore = (country.locate(points, max_km=0.0) >= 0) & (points[:, 0] > -60.0)
        found = np.concatenate([found, points[ashore]])
    return found[:count]


def _rank_in_group(group: IndexArray) -> IndexArray:
    """Return the number (N,) of earlier entries of the same group."""
    order = np.argsort(group, kind="stable")
    first = np.concatenate([[0], np.flatnonzero(np.diff(group[order])) + 1])
    start = np.repeat(first, np.diff(np.append(first, len(group))))
    rank = np.empty(len(group), np.intp)
    rank[order] = np.arange(len(group)) - start
    return rank


def _write_shard(path: Path, table: pa.Table, size: int, seed: int) -> list[tuple[str, int, int]]:
    """Write a WebDataset shard; return file, offset and length of each photo."""
    pictures = render(table, size, seed)
    metadata = table.select(_SIDECAR_COLUMNS).to_pylist()
    with atomic_path(path) as temporary:
        with tarfile.open(temporary, "w") as shard:
            for sidecar, pixels in zip(metadata, pictures, strict=True):
                key = sidecar.pop("photo_id")
                content = io.BytesIO()
                Image.fromarray(pixels).save(content, "JPEG", quality=88)
                _add(shard, f"{key}.json", json.dumps(sidecar, default=str).encode())
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
