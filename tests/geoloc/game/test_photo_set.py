"""`geoloc game`: sets of photos that neither the model nor the players know."""

import base64
import csv
import io
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import ExifTags, Image

import demo
from geocells.sphere import haversine_km
from geoloc.game.sets.photo_set import TABLE, write_set
from geoloc.game.sets.pool import read_pool
from geoloc.game.sets.spread import APART_KM, Spread
from geoloc.geolocator import Geolocator
from geoloc.photos.decode import read_exif
from tests.commands import in_process

EXAMPLES = Path(demo.__file__).parent / "examples"

ROWS = """\
file,lat,lon,collection,author,licence,source
aqueduct.jpg,43.9,4.5,a,An Author,CC BY 4.0,https://example.org/1
brighter.jpg,10.0,20.0,b,,,
noise.jpg,-30.0,140.0,c,,,
small.jpg,60.0,-100.0,d,,,
broken.jpg,35.0,135.0,e,,,
nowhere.jpg,0,0,f,,,
"""


@pytest.fixture
def table(tmp_path):
    """A table of photos, of which only one is new, readable and large enough."""
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "photos.csv").write_text(ROWS)
    example = Image.open(EXAMPLES / "aqueduct.jpg")
    example.save(folder / "aqueduct.jpg", quality=60)
    example.point(lambda value: min(255, value * 5 // 4)).save(folder / "brighter.jpg")
    tags = Image.Exif()
    tags[ExifTags.Base.Artist], tags[ExifTags.Base.Copyright] = "Somebody", "CC0"
    tags[ExifTags.IFD.GPSInfo] = {1: "S", 2: (30.0, 0.0, 0.0), 3: "E", 4: (140.0, 0.0, 0.0)}
    pixels = np.random.default_rng(0).integers(0, 255, (60, 90, 3), np.uint8)
    noise = Image.fromarray(pixels).resize((1800, 1200))
    noise.save(folder / "noise.jpg", exif=tags)
    noise.resize((300, 200)).save(folder / "small.jpg")
    (folder / "broken.jpg").write_bytes(b"no photo")
    return folder / "photos.csv"


def test_a_set_has_small_copies_without_metadata_and_a_line_for_each_photo_left_out(
    capsys, table, tmp_path
):
    geoloc = in_process(capsys)
    done = geoloc("game", table, "-o", tmp_path / "set", "--photos", 3, "--bundle", "starter")
    assert done.returncode == 1
    assert "1 photos of 1 countries" in done.stdout
    lines = done.stderr
    for name, reason in {
        "nowhere.jpg": "at 0,0",
        "aqueduct.jpg": "it shows what aqueduct.jpg, which players know, does",
        "brighter.jpg": "it shows what aqueduct.jpg, which players know, does",
        "small.jpg": "300 x 200 pixels are too few",
        "broken.jpg": "not a picture",
    }.items():
        assert re.search(rf"{name}.*{reason}|{reason}.*{name}", lines), (name, lines)
    assert "the set has 1 photos of 3" in lines
    with (tmp_path / "set" / TABLE).open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["lat"], row["lon"], row["author"], row["licence"]) == (
        "-30",
        "140",
        "Somebody",
        "CC0",
    )
    copy = tmp_path / "set" / row["file"]
    assert Image.open(copy).size == (1024, 683)
    assert read_exif(copy).lat is None
    again = geoloc("game", table, "-o", tmp_path / "set", "--bundle", "starter")
    assert (again.returncode, again.stdout) == (2, "")
    assert "is not empty" in again.stderr


def test_photos_that_the_model_knows_are_fair_with_held_out_answers_alone(tmp_path):
    """A known photo is one of the small pictures in the starter."""
    geolocator = Geolocator.from_bundle("starter")
    stored = geolocator.bundle.thumbnails
    source = (
        pa.ipc.open_file(geolocator.bundle.path / "thumbnails.arrow")
        .read_all()["source"][0]
        .as_py()
    )
    uri = stored.uri(source)
    known = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
    known.resize((20 * known.width, 20 * known.height)).save(tmp_path / "known.jpg")
    (tmp_path / "photos.csv").write_text("file,lat,lon\nknown.jpg,1,2\nother.jpg,50,60\n")
    known.rotate(180).resize((900, 700)).save(tmp_path / "other.jpg")
    lines = []
    pool, problems = read_pool(tmp_path / "photos.csv")
    assert problems == []
    made = write_set(pool, tmp_path / "live", geolocator, count=2, problem=lines.append)
    assert (made.photos, made.left_out) == (1, 1)
    assert f"known.jpg: the model {geolocator.name} knows this photo, as {source}" in lines[0]
    (tmp_path / "held-out.csv").write_text(
        "file,player,lat,lon\nknown.jpg,full,5,6\nknown.jpg,prior,7,8\n"
    )
    lines.clear()
    pool, _ = read_pool(tmp_path / "photos.csv", tmp_path / "held-out.csv")
    made = write_set(pool, tmp_path / "held", geolocator, count=2, problem=lines.append)
    assert (made.photos, made.left_out) == (1, 1)
    assert "other.jpg: the table of answers has no answer to it" in lines[0]
    with (tmp_path / "held" / TABLE).open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert [float(row[f"predicted_{axis}"]) for axis in ("lat", "lon")] == [5.0, 6.0]


def test_photos_are_spread_over_collections_and_over_the_world():
    rng = np.random.default_rng(0)
    near = np.column_stack([rng.normal(48, 0.5, 500), rng.normal(2, 0.5, 500)])
    far = np.column_stack([rng.uniform(-60, 70, 40), rng.uniform(-180, 180, 40)])
    latlon = np.concatenate([near, far])
    collection = np.array(["large"] * 530 + [f"small {i}" for i in range(10)], object)
    spread = Spread(latlon, collection, seed=1)
    kept = []
    while len(kept) < 30:
        kept.append(spread.draw())
        spread.keep(kept[-1])
    assert set(kept[:11]) >= set(range(530, 540))  # one photo of each collection first
    assert sum(row < 500 for row in kept) <= 4
    apart = haversine_km(latlon[kept][:, None], latlon[kept]) + 1e9 * np.eye(30)
    assert apart.min() >= APART_KM
    assert Spread(latlon[:1], collection[:1], 0).draw() == 0


def test_a_spread_ends_where_all_photos_left_are_of_known_places():
    spread = Spread(np.array([(1.0, 2.0), (1.0, 2.001)]), np.array(["a", "b"], object), seed=0)
    spread.keep(spread.draw())
    assert spread.draw() is None
