"""Generated tables of every dialect for property tests, and all readers of photo tables."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from demo.page.game import photos as game_photos
from geoloc.batch import inputs
from geoloc.evaluation import benchmark, leakage, predictions
from geoloc.game.places import read_places
from geoloc.game.players.log import read_log
from geoloc.game.sets.pool import read_pool
from geoloc.trips.clues.positions import read_fixed
from training.data import coordinates, manifest, sources

Found = list[tuple[str, float, float]]
"""Name and degrees of each photo; an empty name or NaN where a reader does not return it."""


@dataclass(frozen=True)
class Written:
    """A generated table, and what every reader has to find in it."""

    path: Path
    good: Found
    """Rows with a name and a position, in the order of the table."""
    unplaced: int
    """Rows whose coordinates are no position."""


def _benchmark(path: Path) -> Found:
    read = benchmark.read(str(path))
    return [(n, *p) for n, p in zip(read.photo_id, read.latlon.tolist(), strict=True)]


def _predictions(path: Path) -> Found:
    truth = benchmark.read(str(path))
    read = predictions.read(path, truth)
    return [(n, *p) for n, p in zip(truth.photo_id, read.latlon.tolist(), strict=True)]


def _play(path: Path) -> Found:
    places, _ = read_places(path)
    return [(n, *p) for n, p in zip(places.name, places.latlon.tolist(), strict=True)]


def _log(path: Path) -> Found:
    places, _ = read_places(path)
    (player,) = read_log(path, "", seed=0)
    answers = player.ask(places, 60.0)
    return [(n, a.lat, a.lon) for n, a in zip(places.name, answers, strict=True)]


def _page(path: Path) -> Found:
    return [
        (str(photo.file.relative_to(path.parent)), photo.lat, photo.lon)
        for photo in game_photos.read(path)
    ]


def _learn(path: Path) -> Found:
    read, _ = manifest.read(path)
    names = [str(Path(file).relative_to(path.parent)) for file in read.file]
    return [(n, *p) for n, p in zip(names, read.latlon.tolist(), strict=True)]


def _manifest(path: Path) -> Found:
    table, _, _ = sources.read(sources.Source(str(path), allow=["unknown"]))
    columns = (table[name].to_pylist() for name in ("file", "lat", "lon"))
    return list(zip(*columns, strict=True))


def _cells(path: Path) -> Found:
    latlon, _, _ = coordinates.read(path)
    return [("", *point) for point in latlon.tolist()]


def _leakage(path: Path) -> Found:
    return [("", *point) for point in leakage.read(path).latlon.tolist()]


def _batch(path: Path) -> Found:
    items = inputs.find_photos([str(path)], path.parent, lambda line: None)
    names = [str(Path(item.location).relative_to(path.parent)) for item in items]
    return [(name, np.nan, np.nan) for name in names]


def _fixed(path: Path) -> Found:
    names = [name for name, _, _ in _batch(path)]
    latlon, _ = read_fixed(path, names)
    return [(n, *p) for n, p in zip(names, latlon.tolist(), strict=True) if p[0] == p[0]]


def _game_set(path: Path) -> Found:
    pool, _ = read_pool(path)
    return [(name, *point) for name, point in zip(pool.name, pool.latlon.tolist(), strict=True)]


READERS: dict[str, Callable[[Path], Found]] = {
    "geoloc.evaluation.benchmark": _benchmark,
    "geoloc.evaluation.predictions": _predictions,
    "geoloc.evaluation.leakage": _leakage,
    "geoloc.game.places": _play,
    "geoloc.game.players.log": _log,
    "geoloc.game.sets.pool": _game_set,
    "geoloc.batch.inputs": _batch,
    "geoloc.trips.clues.positions": _fixed,
    "demo.page.game.photos": _page,
    "training.data.manifest": _learn,
    "training.data.sources": _manifest,
    "training.data.coordinates": _cells,
}
"""All modules that read tables of photos which a user may give, by their names."""

KEEPS_UNPLACED = {"geoloc.batch.inputs"}
"""Readers that need no position."""

STEMS = [
    "a", "007", "7", "12e4567", "34e1000", "1.50", "0x1F", "NA", "2012-05-06", "Köln", "東京",
    "a b", "x,y", "=1", "'=1", "semi;colon", "it's", 'quo"te', "e\u0301", "paris/0", "nyc/0",
    "9" * 20, "null",
]  # fmt: skip
"""Names that other software has changed: numbers, dates, accents, folders, quotation marks."""

HEADERS = [
    ("file", "lat", "lon"), ("File Name", " Latitude ", "Longitude"), ("image_path", "LAT", "LNG"),
    ("filename ", "lat", "Long"), ("IMG_ID", "LAT", "LON"),
]  # fmt: skip

ENDINGS = [".csv", ".tsv", ".txt", ".jsonl", ".json", ".geojson", ".parquet"]

ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"]


@st.composite
def odd_tables(draw: st.DrawFn, folder: Path) -> Written:
    """Draw a table of at least one photo in some dialect, and make its photos as empty files."""
    names = [f"{stem}.jpg" for stem in draw(st.lists(st.sampled_from(STEMS), min_size=1,
                                                     max_size=6, unique=True))]  # fmt: skip
    degrees = st.tuples(st.integers(1, 899), st.integers(-1799, 1799))
    points = [(lat / 10, lon / 10) for lat, lon in draw(st.lists(
        degrees, min_size=len(names), max_size=len(names)))]  # fmt: skip
    rows = [(name, f"{lat}", f"{lon}") for name, (lat, lon) in zip(names, points, strict=True)]
    bad = draw(st.lists(st.sampled_from([("0", "0"), ("0.0", "-0.0"), ("", ""), ("x", "1"),
                                         ("91", "1"), ("1", "181")]), max_size=3))  # fmt: skip
    unplaced = [(f"bad{number}.jpg", *each) for number, each in enumerate(bad)]
    path = folder / f"t{draw(st.sampled_from(ENDINGS))}"
    if path.suffix == ".parquet":
        header = draw(st.sampled_from(HEADERS))
        columns = zip(header, zip(*[*rows, *unplaced], strict=True), strict=True)
        pq.write_table(pa.table({name: pa.array(column) for name, column in columns}), path)
    else:
        path.write_bytes(_content(draw, path.suffix, [*rows, *unplaced]))
    for name in names + [row[0] for row in unplaced]:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    return Written(path, [(n, *p) for n, p in zip(names, points, strict=True)], len(unplaced))


def _content(draw: st.DrawFn, ending: str, rows: list[tuple[str, ...]]) -> bytes:
    header = draw(st.sampled_from(HEADERS))
    if ending == ".geojson":
        text = json.dumps(
            {"type": "FeatureCollection", "features": [_feature(header[0], *row) for row in rows]},
            indent=draw(st.sampled_from([None, 1])),
        )
    elif ending in (".json", ".jsonl"):
        objects = [json.dumps(dict(zip(header, row, strict=True)), ensure_ascii=False)
                   for row in rows]  # fmt: skip
        text = f"[{','.join(objects)}]" if ending == ".json" else "\n".join(objects)
    else:
        text = _delimited(draw, ending, header, rows)
    encoding = draw(st.sampled_from(ENCODINGS))
    try:
        return text.encode(encoding)
    except UnicodeEncodeError:  # Windows-1252 has no such character
        return text.encode("utf-8")


def _feature(key: str, name: str, lat: str, lon: str) -> dict[str, object]:
    """A GeoJSON feature; without a geometry where the degrees are no numbers."""
    try:
        geometry = {"type": "Point", "coordinates": [float(lon), float(lat)]}
    except ValueError:
        geometry = None
    return {"type": "Feature", "geometry": geometry, "properties": {key: name}}


def _delimited(
    draw: st.DrawFn, ending: str, header: tuple[str, ...], rows: list[tuple[str, ...]]
) -> str:
    delimiter = "\t" if ending == ".tsv" else draw(st.sampled_from([",", ";", "\t"]))
    if draw(st.booleans()) and delimiter != ",":  # decimal commas
        rows = [(name, lat.replace(".", ","), lon.replace(".", ",")) for name, lat, lon in rows]
    if draw(st.booleans()):  # a column that is there twice
        header, rows = (*header, header[1]), [(*row, "77") for row in rows]
    damage = draw(st.sampled_from(["", '"x"y', '"open']))  # left out and named
    out = io.StringIO()
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=end)
    writer.writerow(header)
    for row in rows:
        writer.writerow(row)
        if draw(st.booleans()):
            out.write(draw(st.sampled_from(["", "   ", delimiter, delimiter * 2])) + end)
    if delimiter != "\t":  # quotation marks in text with tabs may be text
        out.write(damage + end)
    return out.getvalue()
