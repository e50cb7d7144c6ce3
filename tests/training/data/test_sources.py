"""Published collections become one photo table; unusable rows are counted and named."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from geoloc.errors import GeolocError, TableError
from training.data import sources
from training.data.packed import load_photo
from training.data.sources import Source
from training.data.table import SCHEMA, complete


def read(place: Path | str, images: Path | str | None = None, **options: object):
    return sources.read(Source(str(place), images and str(images), **options))


def jpeg(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (24, 20), (shade, 100, 90)).save(out, "JPEG")
    return out.getvalue()


def write_shard(path: Path, samples: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as shard:
        for name, content in samples.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            shard.addfile(member, io.BytesIO(content))


def facts(**values: object) -> bytes:
    return json.dumps(values).encode()


@pytest.fixture
def shards(tmp_path) -> Path:
    write_shard(tmp_path / "00000.tar", {
        "a.jpg": jpeg(10), "a.json": facts(latitude=48.1, longitude=11.5, user_id="u1"),
        "b.jpg": jpeg(60), "b.json": facts(latitude=-33.8, longitude=151.2, user_id="u2"),
        "c.json": facts(latitude=1, longitude=2), "d.jpg": jpeg(90), "d.json": b"{broken",
    })  # fmt: skip
    write_shard(tmp_path / "00001.tar", {"e.jpg": jpeg(120), "e.txt": b"a caption"})
    beside = pa.table({"key": ["x", "e"], "lat": [0.0, 60.2], "lon": [0.0, 24.9]})
    pq.write_table(beside, tmp_path / "00001.parquet")
    return tmp_path


def test_shards_are_read_in_place(shards):
    table, folder, problems = read(shards)
    assert table.schema == SCHEMA
    assert table["photo_id"].to_pylist() == ["a", "b", "e"]
    assert table["author"].to_pylist() == ["u1", "u2", ""]
    assert table["lat"].to_pylist() == [48.1, -33.8, 60.2]
    shade = [np.asarray(load_photo(table, folder, row).image)[0, 0, 0] for row in range(3)]
    assert np.abs(np.array(shade, int) - [10, 60, 120]).max() < 6
    assert len(problems) == 1
    assert (
        "1 of 4 rows have no number for latitude or longitude and are left out (d)" in problems[0]
    )


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_truncated_shard_gives_its_complete_photos(tmp_path, share):
    samples = {f"{i}.jpg": jpeg(i) for i in range(20)}
    whole = {**samples, **{f"{i}.json": facts(lat=i, lon=i + 1) for i in range(20)}}
    order = [name for i in range(20) for name in (f"{i}.json", f"{i}.jpg")]
    write_shard(tmp_path / "0.tar", {name: whole[name] for name in order})
    content = (tmp_path / "0.tar").read_bytes()
    (tmp_path / "0.tar").write_bytes(content[: int(share * len(content))])
    table, folder, problems = read(tmp_path)
    assert 0 < len(table) < 20 or share > 0.9
    assert any("0.tar: cut short" in line for line in problems) or len(table) == 20
    for row in range(len(table)):
        assert load_photo(table, folder, row).image.size == (24, 20)


def test_file_that_is_no_tar_is_refused_by_name(tmp_path):
    (tmp_path / "0.tar").write_bytes(b"nothing of the kind" * 100)
    with pytest.raises(GeolocError, match=r"0\.tar: not a readable tar shard"):
        read(tmp_path)


def write_photos(folder: Path, names: list[str]) -> None:
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(jpeg(number))


def test_columns_of_true_coordinates_are_preferred(tmp_path):
    write_photos(tmp_path, ["1.jpg"])
    (tmp_path / "t.csv").write_text("file,pred_lat,pred_lon,gt_lat,gt_lon\n1.jpg,5,6,1.5,2.5\n")
    table, _, _ = read(tmp_path / "t.csv")
    assert (table["lat"].to_pylist(), table["lon"].to_pylist()) == ([1.5], [2.5])


def test_mp16_ids_are_file_names(tmp_path):
    write_photos(tmp_path, ["45/77/1.jpg", "0a/b1/2.jpg"])
    (tmp_path / "mp16.csv").write_text(
        "IMG_ID,AUTHOR,LAT,LON\n45/77/1.jpg,1ba8,46.77,23.61\n0a/b1/2.jpg,77aa,1.5,2.5\n"
        "ff/ff/3.jpg,77aa,1.5,2.5\n"
    )
    with pytest.raises(TableError, match=r"2 of 2 photos have no known free licence; --allow unk"):
        read(tmp_path / "mp16.csv")
    table, folder, problems = read(tmp_path / "mp16.csv", allow=["unknown"])
    assert table["file"].to_pylist() == ["45/77/1.jpg", "0a/b1/2.jpg"]
    assert table["author"].to_pylist() == ["1ba8", "77aa"]
    assert folder == tmp_path
    assert problems == [f"{tmp_path}/mp16.csv: 1 of 3 rows have no photo (ff/ff/3.jpg)"]


def test_osv5m_photos_are_found_by_their_id(tmp_path):
    write_photos(tmp_path / "images", ["train/00/111.jpg", "train/01/222.jpg"])
    (tmp_path / "train.csv").write_text(
        "id,latitude,longitude,sequence,captured_at,thumb_original_url\n"
        "222,-1.5,36.8,seqB,1563452345000,u\n111,60.2,24.9,seqA,1463452345000,u\n"
        "333,5,5,seqC,1463452345000,u\n"
    )
    table, folder, problems = read(tmp_path / "train.csv", tmp_path / "images")
    assert folder == tmp_path / "images"
    assert table["file"].to_pylist() == ["train/01/222.jpg", "train/00/111.jpg"]
    assert table["group"].to_pylist() == ["seqB", "seqA"]
    assert [time.year for time in table["taken_at"].to_pylist()] == [2019, 2016]
    assert "1 of 3 rows have no photo (333)" in problems[0]


def test_photos_of_a_table_are_found_in_shards(shards):
    (shards / "table.csv").write_text("image_id,lat,lng\nd,10,20\na,30,40\nzzz,1,1\n")
    table, folder, problems = read(shards / "table.csv", shards)
    assert table["photo_id"].to_pylist() == ["d", "a"]
    assert table["lon"].to_pylist() == [20.0, 40.0]
    shade = [np.asarray(load_photo(table, folder, row).image)[0, 0, 0] for row in range(2)]
    assert np.abs(np.array(shade, int) - [90, 10]).max() < 6
    assert "zzz" in problems[0]


def test_photos_of_two_folders_with_one_base_name_get_their_own_coordinates(tmp_path):
    write_photos(tmp_path / "images", ["paris/0.jpg", "nyc/0.jpg"])
    (tmp_path / "t.csv").write_text(
        "file,lat,lon\nnyc/0.jpg,40.7,-74\nparis/0.jpg,48.9,2.4\n0.jpg,1,1\n"
    )
    table, _, problems = read(tmp_path / "t.csv", tmp_path / "images")
    assert dict(zip(table["file"].to_pylist(), table["lat"].to_pylist(), strict=True)) == {
        "nyc/0.jpg": 40.7, "paris/0.jpg": 48.9,
    }  # fmt: skip
    (line,) = problems
    assert "1 of 3 rows match several photos or share one" in line
    assert "(0.jpg)" in line


def test_identifiers_and_dates_that_look_like_numbers(tmp_path):
    write_photos(tmp_path / "images", ["007.jpg", "12e4567.jpg"])
    (tmp_path / "t.csv").write_text(
        "id,lat,lon,user_id,captured_at\n007,1,2,0042,20120506\n12e4567,3,4,1e3,1563452345000\n"
    )
    table, _, problems = read(tmp_path / "t.csv", tmp_path / "images")
    assert table["photo_id"].to_pylist() == ["007", "12e4567"]
    assert table["author"].to_pylist() == ["0042", "1e3"]
    assert [str(time) for time in table["taken_at"].to_pylist()] == [
        "2012-05-06 00:00:00", "2019-07-18 12:19:05",
    ]  # fmt: skip
    assert not problems


def test_yfcc100m_is_read_without_a_header(tmp_path):
    write_photos(tmp_path / "images", ["123.jpg"])
    fields = ["123", "9@N00", "nick", "2012-05-06 10:11:12.0", "1336", "Canon", 'a "title', "", "",
              "", "2.3522", "48.8566", "16", "page", "url", "Attribution License",
              "http://creativecommons.org/licenses/by/2.0/", "1", "2", "3",
              "4", "jpg", "0"]  # fmt: skip
    no_gps = [*fields[:10], "", "", *fields[12:]]
    no_gps[0] = "456"
    (tmp_path / "yfcc100m_dataset-0").write_text(
        "\t".join(fields) + "\n" + "\t".join(no_gps) + "\n"
    )
    table, _, problems = read(tmp_path / "yfcc100m_dataset-0", tmp_path / "images")
    assert table["lat"].to_pylist() == [48.8566]
    assert table["author"].to_pylist() == ["9@N00"]
    assert table["licence"].to_pylist() == ["http://creativecommons.org/licenses/by/2.0/"]
    assert str(table["taken_at"][0]) == "2012-05-06 10:11:12"
    assert "456" in problems[0]


def test_folder_gives_the_photos_with_a_position_in_their_exif(photo_folder):
    table, folder, problems = read(photo_folder)
    assert len(table) == 61, "pixels are not decoded: one photo is damaged behind its EXIF"
    assert (folder / table["file"][0].as_py()).is_file()
    assert not problems


def test_unusable_rows_are_left_out_and_counted(tmp_path):
    write_photos(tmp_path, [f"{i}.jpg" for i in range(6)])
    (tmp_path / "t.csv").write_text(
        "file,lat,lon,heading\n0.jpg,91,0,1\n1.jpg,,3,1\n2.jpg,x,3,1\n3.jpg,4,5,north\n"
        "3.jpg,4,5,7\n4.jpg,4,5,361.5\n"
    )
    table, _, problems = read(tmp_path / "t.csv")
    assert table["photo_id"].to_pylist() == ["3.jpg", "4.jpg"]
    assert table["heading"].to_pylist() == [None, 361.5]
    assert "2 of 6 rows have no number for latitude or longitude" in problems[0]
    assert "1 of 6 rows lie outside -90..90" in problems[1]
    assert "1 of 3 rows have the id of an earlier one (3.jpg)" in problems[2]
    (tmp_path / "t.csv").write_text("file,lat,lon\n0.jpg,91,0\n")
    with pytest.raises(TableError, match="no usable photo"):
        read(tmp_path / "t.csv")


def test_columns_of_large_tables_are_completed():
    count = 200_000
    raw = pa.table({
        "IMG_ID": [f"{i}.jpg" for i in range(count)], "LAT": np.zeros(count),
        "LON": ["12.5"] * count, "captured_at": np.full(count, 1563452345000),
    })  # fmt: skip
    table = complete(raw)
    assert table["lon"][count - 1].as_py() == 12.5
    assert table["location_id"][7].as_py() == "7.jpg"


def test_manifest_writes_file_names_relative_to_its_table(shards, tmp_path, geoloc_train):
    out = tmp_path / "elsewhere" / "photos.parquet"
    done = geoloc_train("manifest", shards, "-o", out)
    assert done.returncode == 1, "one row is unusable"
    assert "3 photos" in done.stdout
    table = pq.read_table(out)
    assert load_photo(table, out.parent, 0).image.size == (24, 20)
    assert geoloc_train("manifest", tmp_path / "nowhere", "-o", out).returncode == 2
    assert "Traceback" not in done.stderr


def test_names_may_be_relative_to_the_current_folder(tmp_path, monkeypatch, geoloc_train):
    write_photos(tmp_path / "in", ["a.jpg", "b.jpg"])
    (tmp_path / "tables").mkdir()
    rows = "file,lat,lon\nin/a.jpg,48.1,11.5\n../in/b.jpg,1,2\n"
    (tmp_path / "tables" / "list.csv").write_text(rows)
    monkeypatch.chdir(tmp_path)
    out = Path("out/photos.parquet")
    done = geoloc_train("manifest", "tables/list.csv", "-o", out)
    assert (done.returncode, done.stderr) == (0, "")
    table = pq.read_table(out)
    assert table["file"].to_pylist() == ["../in/a.jpg", "../in/b.jpg"]
    assert load_photo(table, out.parent, 0).image.size == (24, 20)


def test_missing_photos_are_named_as_the_table_names_them(tmp_path):
    write_photos(tmp_path / "in", ["a.jpg"])
    (tmp_path / "t.csv").write_text("file,lat,lon\na.jpg,1,2\nwalk/b.jpg,3,4\n")
    table, _, problems = read(tmp_path / "t.csv", tmp_path / "in")
    assert table["photo_id"].to_pylist() == ["a.jpg"]
    assert problems == [f"{tmp_path / 't.csv'}: 1 of 2 rows have no photo (walk/b.jpg)"]


def test_names_that_are_not_utf8_are_found_and_loaded(tmp_path):
    write_photos(tmp_path / "in", ["K\udcf6ln.jpg"])
    (tmp_path / "t.csv").write_bytes("file,lat,lon\nKöln.jpg,50.9,6.9\n".encode("cp1252"))
    table, folder, problems = read(tmp_path / "t.csv", tmp_path / "in")
    assert problems == []
    assert load_photo(table, folder, 0).image.size == (24, 20)


@pytest.mark.parametrize("stored", ["id", "file"])
def test_photos_are_found_by_the_id_or_the_file_name_of_a_table_with_both(tmp_path, stored):
    names = ["0111", "0222"] if stored == "id" else ["walk", "lake"]
    write_photos(tmp_path / "images", [f"{name}.jpg" for name in names])
    (tmp_path / "t.csv").write_text("id,file,lat,lon\n0111,walk.jpg,1,2\n0222,lake.jpg,3,4\n")
    table, _, problems = read(tmp_path / "t.csv", tmp_path / "images")
    assert table["file"].to_pylist() == [f"{name}.jpg" for name in names]
    assert table["photo_id"].to_pylist() == ["0111", "0222"]
    assert table["lat"].to_pylist() == [1.0, 3.0]
    assert problems == []
