"""Published collections in their published layout: places, authors and licences of each photo."""

import io
import json
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from geoloc.errors import TableError
from tests.training.data.test_sources import facts, write_shard
from training.data.licences import restrictions
from training.data.packed import load_photo
from training.data.sources import Source, read
from training.data.table import write

LICENCES = {
    "CC BY 2.0": "", "CC-BY-SA": "", "by": "", "cc-by-sa-4.0": "", "CC0": "", "PD": "", "4": "",
    "http://creativecommons.org/publicdomain/zero/1.0/": "", "Attribution License": "",
    "https://creativecommons.org/licenses/by-sa/3.0/deed.en": "", "Public domain": "",
    "GFDL": "", "No known copyright restrictions": "", "Attribution+License": "",
    "CC-BY-NC": "nc", "cc by nc sa 4.0": "nc", "by-nc": "nc", "2": "nc",
    "Attribution-NonCommercial License": "nc", "CC BY-ND 2.0": "nd", "6": "nd",
    "Attribution-NoDerivs License": "nd", "CC-BY-NC-ND": "nc nd", "3": "nc nd",
    "http://creativecommons.org/licenses/by-nc-nd/2.0/": "nc nd",
    "": "unknown", "C": "unknown", "All Rights Reserved": "unknown", "0": "unknown",
    "photo by Ann, all rights reserved": "unknown", "see website": "unknown", "© CC": "unknown",
}  # fmt: skip


@pytest.mark.parametrize("licence", LICENCES)
def test_licences_say_what_they_forbid(licence):
    assert restrictions(licence) == set(LICENCES[licence].split())


def jpeg(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (24, 20), (shade, 100, 90)).save(out, "JPEG")
    return out.getvalue()


PUBLISHED = {
    "OSV-5M": (
        "train.csv",
        "id,latitude,longitude,thumb_original_url,country,sequence,captured_at,lon_bin,lat_bin,"
        "cell,region,creator_username,creator_id\n"
        '111,60.2,24.9,u,FI,seqA,1463452345000,1,2,"(1, 2)",Uusimaa,ann,7.0\n'
        '222,-1.5,36.8,u,KE,seqB,1563452345000,1,2,"(1, 2)",Nairobi,bob,8.0\n',
        ("ann", "seqA", "CC BY-SA 4.0"),
    ),
    "Mapillary": (
        "images.json",
        json.dumps({"data": [
            {"id": "111", "computed_geometry": {"type": "Point", "coordinates": [24.9, 60.2]},
             "geometry": {"type": "Point", "coordinates": [24.8, 60.1]}, "sequence": "seqA",
             "captured_at": 1463452345000, "computed_compass_angle": 90.5, "compass_angle": 9.0,
             "creator": {"username": "ann", "id": "7"}, "is_pano": False},
            {"id": "222", "geometry": {"type": "Point", "coordinates": [36.8, -1.5]},
             "captured_at": 1563452345000, "creator": {"username": "bob"}, "sequence": "seqB"},
        ]}),
        ("ann", "seqA", "CC BY-SA 4.0"),
    ),
    "Global Streetscapes": (
        "metadata_common_attributes.csv",
        "uuid,source,orig_id,lat,lon,datetime_local,sequence_id,heading\n"
        "111,Mapillary,9,60.2,24.9,2016-05-17 02:32:25,seqA,90.5\n"
        "222,KartaView,8,-1.5,36.8,2019-07-18 12:19:05,seqB,1\n",
        ("", "seqA", "CC BY-SA 4.0"),
    ),
    "iNaturalist": (
        "photos.csv",
        "photo_uuid\tphoto_id\tobservation_uuid\tobserver_id\textension\tlicense\twidth\theight\n"
        "aa-1\t111\tob-1\t7\tjpg\tCC-BY\t9\t9\nbb-2\t222\tob-2\t8\tjpeg\tCC0\t9\t9\n"
        "cc-3\t333\tob-1\t7\tjpg\tCC-BY-NC\t9\t9\n",
        ("7", "ob-1", "CC-BY"),
    ),
    "Wikimedia Commons": (
        "commons.csv",
        "file,LicenseShortName,Artist,DateTimeOriginal,GPSLatitude,GPSLongitude\n"
        '111.jpg,CC BY-SA 4.0,"<a href=""//commons.wikimedia.org/wiki/User:Ann"">Ann</a>",'
        "2016-05-17,60.2,24.9\n"
        "222.jpg,CC0,Bob,2019-07-18,-1.5,36.8\n333.jpg,Copyrighted,Cy,2019,1,2\n",
        ("Ann", "", "CC BY-SA 4.0"),
    ),
}  # fmt: skip
OBSERVATIONS = (
    "observation_uuid\tobserver_id\tlatitude\tlongitude\tpositional_accuracy\ttaxon_id\t"
    "quality_grade\tobserved_on\nob-2\t8\t-1.5\t36.8\t\t1\tresearch\t2019-07-18\n"
    "ob-1\t7\t60.2\t24.9\t250\t1\tresearch\t2016-05-17\n"
)


def write_photos(folder: Path, names: list[str]) -> None:
    folder.mkdir()
    for number, name in enumerate(names):
        (folder / name).write_bytes(jpeg(40 * number))


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_tables_keep_author_and_licence(tmp_path, name):
    file, content, (author, group, licence) = PUBLISHED[name]
    write_photos(tmp_path / "images", ["111.jpg", "222.jpg", "333.jpg"])
    (tmp_path / file).write_text(content)
    (tmp_path / "observations.csv").write_text(OBSERVATIONS)
    others = [tmp_path / "observations.csv"] if name == "iNaturalist" else []
    table, _, problems = read(
        Source(str(tmp_path / file), images=str(tmp_path / "images"), others=others)
    )
    first = {column: table[column][0].as_py() for column in table.column_names}
    assert [
        (lat, lon) for lat, lon in zip(*(table[n].to_pylist() for n in ("lat", "lon")), strict=True)
    ] == ([(60.2, 24.9), (-1.5, 36.8)])
    assert (first["author"], first["group"], first["licence"]) == (author, group, licence)
    assert [time.year for time in table["taken_at"].to_pylist()] == [2016, 2019]
    assert first["source"] == ("Mapillary" if name == "Global Streetscapes" else name)
    if name == "iNaturalist":
        assert table["precision_km"].to_pylist() == [0.25, None]
        assert "1 of 3 photos have a licence that forbids commercial use; --allow nc" in problems[0]
    elif name == "Wikimedia Commons":
        assert "1 of 3 photos have no known free licence; --allow unknown uses them" in problems[0]
    else:
        assert problems == []
    if name == "Mapillary":
        assert first["heading"] == 90.5


def test_restrictions_can_be_allowed_one_by_one(tmp_path):
    write_photos(tmp_path / "images", [f"{n}.jpg" for n in range(4)])
    (tmp_path / "t.csv").write_text(
        "id,lat,lon,license\n0,1,2,CC BY\n1,3,4,CC BY-NC\n2,5,6,CC BY-NC-ND\n3,7,8,\n"
    )

    def ids(*allow, licence=""):
        source = Source(str(tmp_path / "t.csv"), str(tmp_path / "images"), (), licence, allow)
        return read(source)[0]["photo_id"].to_pylist()

    assert ids() == ["0"]
    assert ids("nc") == ["0", "1"]
    assert ids("nc", "nd") == ["0", "1", "2"]
    assert ids("nc", "nd", "unknown") == ["0", "1", "2", "3"]
    assert ids(licence="CC0") == ["0", "3"]


def test_licences_of_mp16_come_from_yfcc100m(tmp_path):
    write_photos(tmp_path / "images", ["11.jpg", "22.jpg"])
    (tmp_path / "mp16.csv").write_text(
        "IMG_ID,AUTHOR,LAT,LON\n45/77/11.jpg,1ba8,46.7,23.6\n0a/b1/22.jpg,77aa,1.5,2.5\n"
    )
    (tmp_path / "yfcc.csv").write_text("photoid,license\n22,CC BY-NC\n11,CC BY\n")
    source = Source(str(tmp_path / "mp16.csv"), str(tmp_path / "images"), [tmp_path / "yfcc.csv"])
    table, _, problems = read(source)
    assert table["author"].to_pylist() == ["1ba8"]
    assert table["licence"].to_pylist() == ["CC BY"]
    assert "forbids commercial use" in problems[0]


def test_tables_without_a_common_column_are_refused(tmp_path):
    (tmp_path / "t.csv").write_text("file,lat,lon\na.jpg,1,2\n")
    (tmp_path / "x.csv").write_text("colour\nred\n")
    (tmp_path / "y.csv").write_text("file,author\nz.jpg,ann\n")
    for other, reason in {"x.csv": "no column refers to", "y.csv": "none of its rows"}.items():
        with pytest.raises(TableError, match=rf"{other}: {reason}"):
            read(Source(str(tmp_path / "t.csv"), others=[tmp_path / other]))


@pytest.mark.parametrize("kind", ["struct", "binary"])
def test_photos_inside_parquet_files_are_copied_to_shards(tmp_path, kind):
    (tmp_path / "data").mkdir()
    for part in range(2):
        photos = [jpeg(100 * part), jpeg(100 * part + 50), None]
        images = [{"bytes": photo, "path": None} for photo in photos]
        column = pa.array(photos, pa.binary()) if kind == "binary" else pa.array(images)
        table = pa.table(
            {"image": column, "Latitude": [1.0, 2.0, 3.0], "Longitude": [5.0, 6.0, 7.0]}
        )
        pq.write_table(table, tmp_path / "data" / f"train-0000{part}-of-00002.parquet")
    source = Source(str(tmp_path / "data"), unpacked=tmp_path / "out" / "shards")
    for _ in range(2):  # the second time, the shards are there
        table, folder, problems = read(source)
        assert table["lat"].to_pylist() == [1.0, 2.0, 1.0, 2.0]
        assert len(set(table["photo_id"].to_pylist())) == 4
        shades = [np.asarray(load_photo(table, folder, row).image)[0, 0, 0] for row in range(4)]
        assert np.abs(np.array(shades, int) - [0, 50, 100, 150]).max() < 6
        assert len(problems) == 1
        assert "2 of 6 rows have no photo" in problems[0]


def test_damaged_parquet_is_named(tmp_path):
    path = tmp_path / "train.parquet"
    pq.write_table(pa.table({"image": pa.array([jpeg(1)], pa.binary()), "lat": [1.0]}), path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(TableError, match=r"train\.parquet: not a readable"):
        read(Source(str(path)))


def test_collections_in_object_stores_are_read_in_place(tmp_path):
    store = fsspec.filesystem("memory")
    write_shard(tmp_path / "0.tar", {
        "a.jpg": jpeg(10), "a.json": facts(latitude=48.1, longitude=11.5, user_id="u1"),
        "b.jpg": jpeg(60), "b.json": facts(latitude=-33.8, longitude=151.2, user_id=float("nan")),
    })  # fmt: skip
    store.pipe_file("/collection/0.tar", (tmp_path / "0.tar").read_bytes())
    store.pipe_file("/loose/photos/c.jpg", jpeg(90))
    store.pipe_file("/loose/t.csv", b"file,lat,lon\nphotos/c.jpg,5,6\n")
    expected = {
        "memory://collection/": [10, 60], "memory://collection/0.tar": [10, 60],
        "memory://loose/t.csv": [90],
    }  # fmt: skip
    for place, shades in expected.items():
        table, folder, problems = read(Source(place))
        assert problems == []
        found = [np.asarray(load_photo(table, folder, row).image)[0, 0, 0]
                 for row in range(len(table))]  # fmt: skip
        assert np.abs(np.array(found, int) - shades).max() < 6
        write(table, tmp_path / "photos.parquet")
    by_id = read(Source("memory://loose/t.csv", images="memory://loose/photos/"))[0]
    assert by_id["file"].to_pylist() == ["memory:///loose/photos/c.jpg"]
    shard = read(Source("memory://collection/"))[0]
    assert shard["author"].to_pylist() == ["u1", ""], "NaN is no author"


@pytest.mark.parametrize("ending", ["tar", "parquet"])
def test_broken_file_costs_its_own_photos_only(tmp_path, ending):
    for number in range(3):
        if ending == "tar":
            facts_of = facts(lat=number + 1, lon=2)
            photo = {f"{number}.jpg": jpeg(9), f"{number}.json": facts_of}
            write_shard(tmp_path / f"{number}.tar", photo)
        else:
            columns = {"image": [{"bytes": jpeg(9)}], "lat": [number + 1.0], "lon": [2.0]}
            pq.write_table(pa.table(columns), tmp_path / f"{number}.parquet")
    (tmp_path / f"0.{ending}").write_bytes(b"an interrupted download")
    table, _, problems = read(Source(str(tmp_path), unpacked=tmp_path / "out"))
    assert table["lat"].to_pylist() == [2.0, 3.0]
    (line,) = problems
    assert f"0.{ending}: not " in line


@pytest.mark.parametrize(
    ("place", "reason"),
    [("memory://nothing/", "no tar shards and no Parquet"), ("s3x://a/b/", "check the address")],
)
def test_addresses_without_photos_are_refused_in_one_line(place, reason):
    with pytest.raises(TableError, match=reason) as caught:
        read(Source(place))
    assert str(caught.value).startswith(place)
    assert "\n" not in str(caught.value)
