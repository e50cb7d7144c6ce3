"""Records for tests of outputs: real places, and unusual names and columns."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import shapely
from hypothesis import strategies as st

from geocells.table import CellTable
from geoloc.guess import Attribute, Candidate, Evidence, Exif, Guess, Place, RegionCell
from geoloc.output.formats import Record
from geoloc.output.sinks import open_sink

PARIS = Place("FR", "France", "Île-de-France", "Paris", 1.25)
ROME = Place("IT", "Italy", "Lazio", "Rome", 0.5)


FIJI = shapely.multipolygons([shapely.box(178, -19, 180, -16), shapely.box(-180, -19, -179, -16)])
CELLS = CellTable(
    cell_id=np.array(["paris", "rome", "fiji"]),
    country=np.array(["FR", "IT", "FJ"]),
    region=np.array(["", "", ""]),
    region_id=np.array(["", "", ""]),
    centroids=np.array([(48.9, 2.3), (41.9, 12.5), (-17.5, 179.5)]),
    polygon=np.array([shapely.box(2, 48, 3, 49), shapely.box(12, 41, 13, 42), FIJI]),
    count=np.array([1, 1, 1]),
)
"""Three squares; the last one lies on both sides of the antimeridian."""


def written(path: Path, answers: Iterable[Record]) -> Path:
    with open_sink(path, CELLS) as sink:
        for record in answers:
            sink.write(record)
        sink.close()
    return path


def make_guess(lat: float = 48.85, lon: float = 2.35, **changes) -> Guess:
    radius_80_km = changes.get("radius_80_km", 42.0)
    values = {
        "photo": "photo.jpg", "lat": lat, "lon": lon, "radius_50_km": radius_80_km / 4,
        "radius_80_km": radius_80_km, "radius_95_km": radius_80_km * 30,
        "confidence": "city", "chance_200km": 0.9, "probability": 0.7, "place": PARIS,
        "candidates": (Candidate(lat, lon, 0.7, "paris", PARIS),
                       Candidate(41.9, 12.5, 0.2, "rome", ROME)),
        "region": (RegionCell("paris", 0.7, 0.5), RegionCell("rome", 0.2, 0.95)),
        "neighbours": (), "exif": Exif(), "exif_distance_km": None, "bundle": "test",
        "evidence": Evidence(("FR", "Île-de-France", "paris"),
                             (Attribute("climate", "Cfb", 0.71),), 0.1, 0.5, 0.4),
    }  # fmt: skip
    return Guess(**values | changes)


def many(number: int) -> Iterator[Record]:
    """Yield records all over the world, the same in every run."""
    rng = np.random.default_rng(0)
    confidences = ("city", "region", "country", "not sure")
    for i in range(number):
        lat, lon = rng.uniform((-70, -180), (70, 180))
        guess = make_guess(
            lat, lon, photo=f"walk/{i:05}.jpg", radius_80_km=float(rng.uniform(1, 900)),
            confidence=confidences[i % 4],
        )  # fmt: skip
        yield Record(guess, {"number": i, "walk": ("alps", "bush", "coast")[i % 3]}, None)


NAMES = st.text(max_size=20)
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(width=64) | NAMES
    | st.sampled_from(["=1+1", "-2", "+61 2", "@home", "'=x", "\udcff.jpg", "a\r\nb", "\ufffe", ""])
)  # fmt: skip
COLUMNS = st.dictionaries(
    NAMES | st.sampled_from(["lat", "input_lat", "photo", "geometry", "bbox", "id"]), SCALARS,
    max_size=4,
)  # fmt: skip


@st.composite
def records(draw: st.DrawFn) -> Record:
    """One record with an unusual name and unusual columns."""
    lat, lon = draw(st.floats(-90, 90)), draw(st.floats(-180, 179.999))
    guess = make_guess(lat, lon, radius_80_km=draw(st.floats(0.001, 20_000)))
    name = draw(st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=20))
    return Record(replace(guess, photo=name or "photo"), draw(COLUMNS), None)
