"""Benchmarks: published tables, tables of users, and damaged tables."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from geoloc.errors import TableError
from geoloc.evaluation.benchmark import published, read

LAND = np.array(
    [
        *[(48.85, 2.35), (40.42, -3.7), (52.52, 13.4), (-33.87, 151.2), (35.68, 139.7)],
        *[(-1.29, 36.8), (19.43, -99.1), (55.75, 37.6), (28.61, 77.2), (-34.6, -58.4)],
    ]
)


def write(path, rows, head="IMG_ID,AUTHOR,LAT,LON"):
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return path


def im2gps3k(path, swapped=False):
    """As many rows as IM2GPS3k has."""
    rng = np.random.default_rng(0)
    places = LAND[rng.integers(len(LAND), size=2997)] + rng.normal(0, 0.05, (2997, 2))
    if swapped:
        places = places[:, ::-1]
    rows = [f"{i}_ab_{i}_1@N0{i % 7}.jpg,1@N0{i % 7},{a},{b}" for i, (a, b) in enumerate(places)]
    return write(path, rows), places


def test_yfcc26k_is_read_in_its_published_form(shared):
    photos = read(str(shared / "data" / "coordinates" / "yfcc25600_places365.csv"))
    assert (photos.title, len(photos), photos.problems) == ("YFCC26k", 25_600, ())
    assert photos.published.key == "yfcc26k"
    assert photos.photo_id[0] == "45/77/3228511372.jpg"
    assert photos.latlon[0].tolist() == [46.778991, 23.611207]
    assert photos.author[0] == "1ba8e63d19ce"


def test_manifest_with_files_is_a_benchmark(shared):
    photos = read(str(shared / "data" / "photos" / "photos.csv"))
    assert (len(photos), photos.problems, photos.published) == (7128, (), None)
    assert (photos.file != "").all()
    assert photos.precision_km[0] == 0.05
    assert (photos.group != "").all()


@pytest.mark.parametrize("name", ["gallery_100k", "streetview_24k", "flickr_973k"])
def test_table_without_names_of_photos_is_refused(shared, name):
    with pytest.raises(TableError, match="no column names the photos"):
        read(str(shared / "data" / "coordinates" / f"{name}.parquet"))


def test_published_benchmark_is_recognised_by_its_table(tmp_path):
    path, places = im2gps3k(tmp_path / "im2gps3k_places365.csv")
    photos = read(str(path))
    assert (photos.title, len(photos), photos.problems) == ("IM2GPS3k", 2997, ())
    assert photos.latlon == pytest.approx(places)


def test_swapped_columns_are_corrected_and_reported(tmp_path):
    path, places = im2gps3k(tmp_path / "im2gps3k_places365.csv", swapped=True)
    photos = read(str(path))
    assert photos.latlon == pytest.approx(places[:, ::-1])
    assert "latitude and longitude are swapped" in photos.notices[0]
    assert photos.problems == ()
    # where no longitude is beyond 90 degrees, the share on land decides
    europe = LAND[[0, 1, 2] * 50] + np.random.default_rng(1).normal(0, 0.05, (150, 2))
    rows = [f"{i}.jpg,{lon},{lat}" for i, (lat, lon) in enumerate(europe)]
    photos = read(str(write(tmp_path / "europe.csv", rows, "file,lat,lon")))
    assert photos.latlon == pytest.approx(europe)
    assert len(photos.notices) == 1


def test_unusual_number_of_rows_and_missing_photos_are_reported(tmp_path):
    path, _ = im2gps3k(tmp_path / "im2gps3k_places365.csv")
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-5]))
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "0_ab_0_1@N00.jpg").touch()
    photos = read("IM2GPS3k", tmp_path / "photos")
    assert "2,992 usable photos; IM2GPS3k has 2,997" in photos.notices[0]
    assert "2,991 of 2,992 photos have no photo here" in photos.problems[0]
    assert "lugiavn/revisiting-im2gps" in photos.problems[0]  # where they were published
    assert (photos.file != "").sum() == 1


def test_missing_table_is_named_with_its_source(tmp_path):
    for name, known in published().items():
        with pytest.raises(TableError, match="Published: ") as caught:
            read(name, tmp_path)
        assert known.metadata[0] in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(TableError, match=r"no benchmark of that name; .*im2gps3k"):
        read("im2gps4k")
    with pytest.raises(TableError, match="no such folder"):
        read(str(im2gps3k(tmp_path / "x.csv")[0]), tmp_path / "nothing")


def test_im2gps_photos_with_place_names_in_front_are_found(tmp_path):
    rows = [f"{i}_ab_{i}_1@N00.jpg,a,{lat},{lon}" for i, (lat, lon) in enumerate(LAND)]
    write(tmp_path / "im2gps_places365.csv", rows)
    folder = tmp_path / "gps_query_imgs"
    folder.mkdir()
    for i in range(len(LAND)):
        (folder / f"Rome_{i:05}_{i}_ab_{i}_1@N00.jpg").touch()
    photos = read("im2gps", folder)
    assert (photos.file != "").all()
    assert photos.file[3].endswith("Rome_00003_3_ab_3_1@N00.jpg")


def test_osv5m_photos_are_found_by_their_id(tmp_path):
    (tmp_path / "images" / "00").mkdir(parents=True)
    for i in range(3):
        (tmp_path / "images" / "00" / f"{900 + i}.jpg").touch()
    rows = [f"{900 + i},{LAND[i, 0]},{LAND[i, 1]},seq{i},FR" for i in range(3)]
    write(tmp_path / "test.csv", rows, "id,latitude,longitude,sequence,country")
    photos = read("OSV-5M", tmp_path / "images")
    assert photos.photo_id.tolist() == ["900", "901", "902"]
    assert (photos.file != "").all()
    assert photos.group[1] == "seq1"
    assert "3 usable photos; OSV-5M has 210,122" in photos.notices[0]


def test_photos_are_found_by_their_id_if_the_folder_has_other_names(tmp_path):
    (tmp_path / "images").mkdir()
    for name in ("007.jpg", "42.jpg"):
        (tmp_path / "images" / name).touch()
    rows = ["007,Eiffel.jpg,48.9,2.3", "42,Liberty.jpg,40.7,-74"]
    photos = read(str(write(tmp_path / "t.csv", rows, "id,file,lat,lon")), tmp_path / "images")
    assert [file.rpartition("/")[2] for file in photos.file] == ["007.jpg", "42.jpg"]
    assert photos.problems == ()


def test_each_kind_of_unusable_row_is_one_line(tmp_path):
    rows = ["a.jpg,1,2", "b.jpg,95,2", "c.jpg,nan,2", "d.jpg,x,2", "a.jpg,3,4", "e.jpg,,5", "f,0,0"]
    photos = read(str(write(tmp_path / "mine.csv", rows, "file,lat,lon")))
    assert photos.photo_id.tolist() == ["a.jpg"]
    no_number, outside, nowhere = photos.problems
    assert "3 of 7 rows have no number for latitude or longitude" in no_number
    assert "(c.jpg, d.jpg, e.jpg)" in no_number
    assert "1 of 7 rows lie outside -90..90, -180..180 degrees and are left out (b.jpg)" in outside
    assert "1 of 7 rows are at 0,0, which stands for an unknown position" in nowhere
    assert len(photos.notices) == 1
    assert "1 of 7 rows have the id of an earlier one" in photos.notices[0]
    with pytest.raises(TableError, match="no usable row"):
        read(str(write(tmp_path / "none.csv", ["a,99,0"], "file,lat,lon")))
    with pytest.raises(TableError, match="column lat, lon is missing"):
        read(str(write(tmp_path / "other.csv", ["a,9"], "file,x")))
    (tmp_path / "binary.csv").write_bytes(b"\x00\xff" * 100)
    with pytest.raises(TableError):
        read(str(tmp_path / "binary.csv"))


def test_parquet_table_with_synonyms_is_read(tmp_path):
    table = pa.table({"image": ["a.jpg"], "Latitude": [1.5], "Lng": [2.5], "user_id": ["me"]})
    pq.write_table(table, tmp_path / "t.parquet")
    (tmp_path / "a.jpg").touch()
    photos = read(str(tmp_path / "t.parquet"))
    assert photos.latlon.tolist() == [[1.5, 2.5]]
    assert photos.file[0] == str(tmp_path / "a.jpg")
    assert photos.author[0] == "me"


def test_text_na_is_no_missing_value(tmp_path):
    shutil.copy(write(tmp_path / "x.csv", ["a.jpg,NA,1,2"]), tmp_path / "y.csv")
    assert read(str(tmp_path / "y.csv")).author[0] == "NA"


def test_photos_with_one_base_name_are_found_by_their_folder(tmp_path):
    for name in ("paris/0.jpg", "nyc/0.jpg", "rome/1.jpg"):
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "images" / name).touch()
    rows = ["nyc/0.jpg,40.7,-74", "paris/0.jpg,48.9,2.4", "1.jpg,41.9,12.5", "0.jpg,0,1"]
    photos = read(str(write(tmp_path / "t.csv", rows, "file,lat,lon")), tmp_path / "images")
    found = [file.removeprefix(f"{tmp_path}/images/") for file in photos.file]
    assert found == ["nyc/0.jpg", "paris/0.jpg", "rome/1.jpg", ""]
    (line,) = photos.problems
    assert "1 of 4 photos match several files or share one" in line
    assert "(0.jpg)" in line


def test_identifiers_stay_text(tmp_path):
    rows = [f"{name},1,{number}" for number, name in enumerate(("007", "7", "12e4567", "34e1000"))]
    photos = read(str(write(tmp_path / "t.csv", rows, "id,lat,lon")))
    assert photos.photo_id.tolist() == ["007", "7", "12e4567", "34e1000"]
