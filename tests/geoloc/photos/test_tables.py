"""One reader of photo tables: formats, encodings, columns, and values that stay what they are."""

import csv
import gzip
import io
import json
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoloc.errors import TableError
from geoloc.photos.columns import (
    column,
    file_names,
    find_name,
    read_degrees,
    to_floats,
    to_texts,
)
from geoloc.photos.coordinate_columns import choose_coordinates
from geoloc.photos.position import is_position, on_earth
from geoloc.photos.swapped import look_swapped
from geoloc.photos.tables import read_folder, read_table, resolve, row_problem
from geoloc.photos.tabular.delimited import YFCC100M
from geoloc.photos.tabular.rows import read_rows
from tests.geoloc.photos.samples import encoded, gps_exif, picture

NEEDS = "the columns file,lat,lon"

ROWS = [
    {"File": "a.jpg", "Latitude": "48.85", "lng": "2.35", "title": 'Rue "A", 1'},
    {"File": "sub/b.jpg", "Latitude": "-33.9", "lng": "151.2", "title": "東京"},
]


def delimited(rows: list[dict[str, str]], delimiter: str) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


FORMATS = {
    "t.csv": delimited(ROWS, ",").encode(),
    "bom.csv": delimited(ROWS, ",").encode("utf-8-sig"),
    "tabs.tsv": delimited(ROWS, "\t").encode(),
    "tabs.csv": delimited(ROWS, "\t").encode(),
    "semicolons.csv": delimited(ROWS, ";").encode(),
    "commas.txt": delimited(ROWS, ",").encode(),
    "unknown.dat": delimited(ROWS, ",").encode(),
    "packed.csv.gz": gzip.compress(delimited(ROWS, ",").encode()),
    "t.jsonl": "".join(json.dumps(row) + "\n" for row in ROWS).encode(),
}


@pytest.mark.parametrize("name", [*FORMATS, "t.parquet"])
def test_every_format_gives_the_same_table(tmp_path, name):
    path = tmp_path / name
    if name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    else:
        path.write_bytes(FORMATS[name])
    table = read_table(path, NEEDS)
    assert table.to_pylist() == ROWS
    assert list(read_rows(str(path))) == ROWS
    assert read_degrees(table, path, NEEDS).tolist() == [[48.85, 2.35], [-33.9, 151.2]]
    assert to_texts(file_names(table), 2).tolist() == ["a.jpg", "sub/b.jpg"]


IDS = [
    "007",
    "12e4567",
    "34e1000",
    "9223372036854775808",
    "0x1F",
    "1.50",
    "2012-05-06",
    "NA",
    "1_0",
]


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_identifiers_stay_text(tmp_path, ending):
    rows = [{"id": each, "user_id": each, "lat": "1.5", "lon": "2"} for each in IDS]
    path = tmp_path / f"t.{ending}"
    path.write_text(
        delimited(rows, ",") if ending == "csv" else "".join(json.dumps(row) + "\n" for row in rows)
    )
    table = read_table(path, NEEDS)
    for name in ("photo_id", "author"):
        assert to_texts(column(table, name), len(IDS)).tolist() == IDS
    assert read_degrees(table, path, NEEDS)[0].tolist() == [1.5, 2.0]


CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
CELLS = st.text(CHARACTERS, max_size=8)
ODD_CELLS = CELLS | st.sampled_from(
    ['"', '""', ",", "\n", "\r\n", "\r", " ", "NA", "\ufeff", "'", ""]
)


def has_content(cell: str) -> bool:
    """Return whether a cell has more than spaces; rows of other cells are left out."""
    return cell.strip(" \t\r\n") != ""


TABLES = st.integers(2, 4).flatmap(
    lambda width: st.lists(st.lists(ODD_CELLS, min_size=width, max_size=width), max_size=6)
)


@settings(max_examples=150, deadline=None)
@given(TABLES, st.sampled_from([",", ";"]), st.sampled_from(["\n", "\r\n"]))
def test_cells_come_back_as_they_were_written(tmp_path_factory, cells, delimiter, end):
    width = len(cells[0]) if cells else 2
    names = ["file", "photo_id", "title", "author"][:width]
    path = tmp_path_factory.mktemp("t") / "t.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        # csv.writer leaves a lone carriage return unquoted unless it quotes everything
        bare = any("\r" in cell for row in cells for cell in row)
        quoting = csv.QUOTE_ALL if bare else csv.QUOTE_MINIMAL
        writer = csv.writer(file, delimiter=delimiter, lineterminator=end, quoting=quoting)
        writer.writerows([names, *cells])
    rows = [dict(zip(names, row, strict=True)) for row in cells if any(map(has_content, row))]
    assert list(read_rows(str(path))) == rows
    assert read_table(path, NEEDS).to_pylist() == rows


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "ignore"))
)
def test_any_bytes_give_the_same_rows_in_both_ways_or_one_line(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("t") / "t.csv"
    path.write_bytes(b"file,lat,lon\n" + content)
    rows, row_error = outcome(lambda: list(read_rows(str(path))))
    table, table_error = outcome(lambda: read_table(path, NEEDS))
    for error in filter(None, (row_error, table_error)):
        assert str(path) in error
        assert "\n" not in error
    assert (rows is None) == (row_error is not None)
    if table is not None:
        assert table.to_pylist() == rows
        read_degrees(table, path, NEEDS)


def outcome(read):
    """Return what a function returns, or the message of its TableError."""
    try:
        return read(), None
    except TableError as error:
        return None, str(error)


def test_short_rows_are_filled_and_long_ones_are_counted(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("file,lat,lon\na.jpg,1,2\nb.jpg,3\n")
    assert read_table(path, NEEDS)["lon"].to_pylist() == ["2", None]
    path.write_text("file,lat,lon\na.jpg,1,2,,\nb.jpg,3,4,5\nc.jpg,3,4\nd,5,6,7\n")
    lines = []
    table = read_table(path, NEEDS, problem=lines.append)
    assert table["file"].to_pylist() == ["a.jpg", "c.jpg"]
    assert list(read_rows(str(path), lines.append)) == table.to_pylist()
    assert lines[0] == lines[1]
    assert "t.csv: 2 rows are left out (line 3, …): more cells than the header" in lines[0]
    path.write_text("file,lat,lon\nb.jpg,48,85,2,35\n")
    for read in (lambda: read_table(path, NEEDS), lambda: list(read_rows(str(path)))):
        with pytest.raises(TableError, match=r"t\.csv: line 2 has more cells than the header; "):
            read()


@pytest.mark.parametrize(("damage", "rest"), [
    ('a.jpg,1,2\n"b"x,3,4\nc.jpg,5,6\n', ["a.jpg", "c.jpg"]),
    ('a.jpg,1,2\n"b,3,4\nc.jpg,5,6\n', ["a.jpg", "c.jpg"]),
    ('a.jpg,1,2\n"b,3,4\nc.jpg,5,6\n"d.jpg",7,8\n', ["a.jpg", "c.jpg", "d.jpg"]),
    ('"b\nb"x,1,2\nc.jpg,5,6\n', ["c.jpg"]),
    ('c.jpg,5,6\nb.jpg,1,"2', ["c.jpg"]),
])  # fmt: skip
def test_damaged_quotation_marks_cost_their_own_row(tmp_path, damage, rest):
    path = tmp_path / "t.csv"
    path.write_text(f"file,lat,lon\n{damage}", newline="")
    lines = []
    assert read_table(path, NEEDS, problem=lines.append)["file"].to_pylist() == rest
    assert [row["file"] for row in read_rows(str(path), lines.append)] == rest
    damaged = 2 + damage[: damage.index('"')].count("\n")
    assert lines[0] == lines[1]
    assert f"1 row is left out (line {damaged}): quotation marks that do not match" in lines[0]


def test_table_without_one_whole_row_is_refused(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('file,lat,lon\n"a.jpg,1,2\n')
    for read in (lambda: read_table(path, NEEDS), lambda: list(read_rows(str(path)))):
        with pytest.raises(TableError, match=r"t\.csv: line 2 has quotation marks that do not"):
            read()


@pytest.mark.parametrize("name", ["t.geojson", "t.json"])
@pytest.mark.parametrize("indent", [None, 1])
def test_geojson_is_a_table_of_its_points(tmp_path, name, indent):
    def feature(geometry, **properties):
        return {"type": "Feature", "geometry": geometry, "properties": properties}

    point = {"type": "Point", "coordinates": [2.35, 48.85, 35.0]}
    line = {"type": "LineString", "coordinates": [[1, 2], [3, 4]]}
    collection = {"type": "FeatureCollection", "features": [
        feature(point, file="a.jpg", id="007"), feature(None, file="b.jpg"),
        feature(line, file="c.jpg", lat=9.0), 7, {"type": "Feature", "properties": {"file": "d"}},
    ]}  # fmt: skip
    path = tmp_path / name
    path.write_text(json.dumps(collection, indent=indent))
    lines = []
    table = read_table(path, NEEDS, problem=lines.append)
    assert table["file"].to_pylist() == ["a.jpg", "b.jpg", "c.jpg", "d"]
    assert table["id"].to_pylist()[0] == "007"
    nothing = [[None] * 2] * 3
    found = [[value if value == value else None for value in row] for row in
             read_degrees(table, path, NEEDS).tolist()]  # fmt: skip
    assert found == [[48.85, 2.35], *nothing]
    assert [row["file"] for row in read_rows(str(path), lines.append)] == [
        "a.jpg",
        "b.jpg",
        "c.jpg",
        "d",
    ]
    assert lines[0] == lines[1]
    assert "1 of 5 rows are left out; element 4 is no JSON object" in lines[0]


def test_objects_with_a_list_of_features_are_rows(tmp_path):
    path = tmp_path / "t.json"
    path.write_text('{\n"file": "a.jpg",\n"features": [1, 2]}')
    assert read_table(path, NEEDS)["file"].to_pylist() == ["a.jpg"]


@pytest.mark.parametrize("content", ["<html><body>", '<?xml version="1.0"?>\n<kml>'])
@pytest.mark.parametrize("name", ["t.kml", "t.html", "t.csv"])
def test_pages_are_refused_with_the_remedy(tmp_path, content, name):
    (tmp_path / name).write_text(content)
    with pytest.raises(TableError, match=rf"{name}: is a page or XML; give a CSV"):
        read_table(tmp_path / name, NEEDS)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "txt"])
def test_bytes_that_are_not_utf8_are_windows_1252(tmp_path, caplog, ending):
    path = tmp_path / f"t.{ending}"
    names = ["Köln.jpg".encode("cp1252"), "東京.jpg".encode(), b"\x80\x81.jpg"]
    texts = {
        "csv": b"file,n\n" + b"".join(name + b",1\n" for name in names),
        "jsonl": b"".join(b'{"file": "%s"}\n' % name for name in names),
        "txt": b"\n".join(names),
    }
    path.write_bytes(texts[ending])
    expected = ["Köln.jpg", "東京.jpg", "€\x81.jpg"]
    assert read_table(path, NEEDS)["file"].to_pylist() == expected
    assert [row["file"] for row in read_rows(str(path))] == expected
    assert len(caplog.messages) == 2
    assert "2 rows are not UTF-8 and read as Windows-1252, such as Köln.jpg" in caplog.text


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.txt", "t.jsonl"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_unicode_of_every_width_is_recognised(tmp_path, caplog, name, encoding):
    path = tmp_path / name
    delimiter = "\t" if name == "t.tsv" else ","
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
    path.write_bytes((text if ".jsonl" in name else delimited(ROWS, delimiter)).encode(encoding))
    assert read_table(path, NEEDS).to_pylist() == ROWS
    assert list(read_rows(str(path))) == ROWS
    if encoding != "utf-8-sig":
        assert f"{path}: is read as {encoding[:6].upper()}" in caplog.messages


def test_files_are_found_in_every_spelling_of_their_names(tmp_path):
    disk = {"Köln.jpg": os.fsdecode("Köln.jpg".encode("cp1252")), "é.jpg": "e\u0301.jpg",
            " a.jpg": "a.jpg", "ü.jpg": "ü.jpg", r"\udcff\n.jpg": "\udcff\n.jpg"}  # fmt: skip
    for there in disk.values():
        (tmp_path / there).touch()
    for written, there in disk.items():
        assert resolve(tmp_path, written) == str(tmp_path / there)
    assert resolve(tmp_path, "ö.jpg") == str(tmp_path / "ö.jpg")


def test_excel_workbooks_are_refused_with_the_remedy(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"PK\x03\x04rest")
    with pytest.raises(TableError, match=r"t\.csv: is an Excel workbook; save it as CSV UTF-8"):
        read_table(tmp_path / "t.csv", NEEDS)


def test_first_line_of_excel_names_the_delimiter(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("sep=;\nfile;x;y\n1,5;2;3\n")
    assert read_table(path, NEEDS).to_pylist() == [{"file": "1,5", "x": "2", "y": "3"}]
    assert list(read_rows(str(path))) == [{"file": "1,5", "x": "2", "y": "3"}]


def test_repeated_columns_are_numbered_and_the_first_is_read(tmp_path, caplog):
    rows = [{"lat": "1", "lat (2)": "2", "lon": "3", "lat (3)": "4"}]
    (tmp_path / "t.csv").write_text("lat,lat (2),lon,lat\n1,2,3,4\n")
    (tmp_path / "t.jsonl").write_text('{"lat": 1, "lat": 2, "lon": 3, "lat": 4}\n')
    table = pa.table([[1], [2], [3], [4]], names=["lat", "lat", "lon", "lat"])
    pq.write_table(table, tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.csv", NEEDS).to_pylist() == rows
    for name in ("t.csv", "t.jsonl", "t.parquet"):
        read = read_table(tmp_path / name, NEEDS)
        assert read_degrees(read, name, NEEDS).tolist() == [[1.0, 3.0]]
        assert list(next(read_rows(str(tmp_path / name)))) == read.column_names
        assert "t.csv: column lat is there twice; the first one is read" in caplog.text


@pytest.mark.parametrize("text", [
    '[{"file": "a.jpg", "lat": 1.50}, {"file": "b.jpg"}]',
    '\n[\n {"file": "a.jpg", "lat": 1.50},\n\n {"file": "b.jpg"}]\n',
    '{"file": "a.jpg", "lat": 1.50}\n\n{"file": "b.jpg"}',
    '{"file": "a.jpg", "lat": 1.50}\n{"file"\n[]\n{"file": "b.jpg"}',
])  # fmt: skip
def test_json_is_one_object_a_line_or_an_array(tmp_path, text):
    path = tmp_path / "t.json"
    path.write_text(text)
    lines = []
    table = read_table(path, NEEDS, problem=lines.append)
    assert table.to_pylist() == [{"file": "a.jpg", "lat": "1.50"}, {"file": "b.jpg", "lat": None}]
    assert list(read_rows(str(path), lines.append)) == [
        {"file": "a.jpg", "lat": 1.5}, {"file": "b.jpg"}
    ]  # fmt: skip
    assert len(lines) == (2 if "[]" in text else 0)
    assert all("2 of 4 rows are left out; line 2 is no JSON" in line for line in lines)


def test_numbers_of_json_and_parquet_stay_the_ids_that_they_are(tmp_path):
    ids = ["9223372036854775808", "12e4567", "1.50", "34", "1" * 400]
    path = tmp_path / "t.jsonl"
    path.write_text("".join(f'{{"id": {each}}}\n' for each in ids))
    found = column(read_table(path, NEEDS), "photo_id")
    assert to_texts(found, len(ids)).tolist() == ids
    table = pa.table({"id": [123456789012.0, None, 2.5], "author": [[1], None, [2, 3]]})
    pq.write_table(table, tmp_path / "t.parquet")
    read = read_table(tmp_path / "t.parquet", NEEDS)
    assert to_texts(column(read, "photo_id"), 3).tolist() == ["123456789012", "", "2.5"]
    assert to_texts(column(read, "author"), 3).tolist() == ["[1]", "", "[2, 3]"]


@pytest.mark.parametrize("last", [",,", "   ", '"","",""', " ,\t,", ",,\r\n,,"])
def test_empty_rows_are_no_rows(tmp_path, last):
    path = tmp_path / "t.csv"
    path.write_text(f"file,lat,lon\na.jpg,1,2\n{last}\n")
    assert len(read_table(path, NEEDS)) == len(list(read_rows(str(path)))) == 1


def test_zero_north_zero_east_is_no_position():
    latlon = np.array([[0.0, 0.0], [-0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [91.0, 0.0]])
    assert is_position(latlon).tolist() == [False, False, True, True, False]


def test_columns_are_found_whatever_joins_their_words():
    for name in ("File Name", "file-name", " FILE_NAME ", "filename"):
        assert find_name(["x", name], "file") == name


@pytest.mark.parametrize(
    ("name", "delimiter"), [("t.csv", ";"), ("t.tsv", "\t"), ("t.txt", ";"), ("t.csv", "\t")]
)
def test_decimal_commas_are_read_where_other_characters_separate(tmp_path, name, delimiter):
    path = tmp_path / name
    lines = ["file;lat;lon;title;precision_km", "1,5;48,85;-2,35;1,5;0,25"]
    path.write_text("\n".join(lines).replace(";", delimiter))
    table = read_table(path, NEEDS)
    assert read_degrees(table, path, NEEDS).tolist() == [[48.85, -2.35]]
    assert table["title"].to_pylist() == table["file"].to_pylist() == ["1,5"]
    assert to_floats(table["precision_km"], 1).tolist() == [0.25]


def test_thousands_are_no_decimals_where_coordinates_have_points(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('file,lat,lon,precision_km\na,48.85,-2.35,"1,234"\n')
    assert np.isnan(to_floats(read_table(path, NEEDS)["precision_km"], 1)).all()
    path.write_text('file,lat,lon,precision_km\na,"48,85","-2,35","1,234"\n')
    table = read_table(path, NEEDS)
    assert read_degrees(table, path, NEEDS).tolist() == [[48.85, -2.35]]
    assert to_floats(table["precision_km"], 1).tolist() == [1.234]


def test_plain_text_lists_files(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("a, b;c.jpg\n\n001.jpg\n")
    assert read_table(path, NEEDS)["file"].to_pylist() == ["a, b;c.jpg", "001.jpg"]
    assert [row["file"] for row in read_rows(str(path))] == ["a, b;c.jpg", "001.jpg"]


def test_yfcc100m_has_no_header_and_quotation_marks_are_text(tmp_path):
    path = tmp_path / "yfcc100m_dataset-0"
    row = [f"{number}" for number in range(len(YFCC100M))]
    row[6] = '"title'
    path.write_text("\t".join(row) + "\n")
    assert list(read_rows(str(path))) == [dict(zip(YFCC100M, row, strict=True))]
    assert read_table(path, NEEDS)["title"].to_pylist() == ['"title']


@pytest.mark.parametrize(
    ("cell", "title"), [('"quoted, with ""marks"""', 'quoted, with "marks"'), ('"open', '"open')]
)
def test_quotation_marks_in_tab_separated_text(tmp_path, cell, title):
    path = tmp_path / "t.tsv"
    path.write_text(f"file\ttitle\na.jpg\t{cell}\nb.jpg\tx\n")
    assert read_table(path, NEEDS)["title"].to_pylist() == [title, "x"]
    assert [row["title"] for row in read_rows(str(path))] == [title, "x"]


def test_columns_are_found_by_synonyms_whatever_their_case(tmp_path):
    assert find_name([" IMG_ID", "Long", "x"], "photo_id") == " IMG_ID"
    assert find_name(["Long"], "lon") == "Long"
    assert find_name(["longitude", "lon"], "lon") == "lon"
    assert find_name(["x"], "lon") is None
    path = tmp_path / "t.csv"
    path.write_text("lat,lat,lon\n1,2,3\n")
    assert read_degrees(read_table(path, NEEDS), path, NEEDS).tolist() == [[1.0, 3.0]]
    path.write_text("file,lat\na.jpg,1\n")
    with pytest.raises(TableError, match=r"t\.csv: column lon is missing; it needs the columns"):
        read_degrees(read_table(path, NEEDS), path, NEEDS)


def test_identifiers_are_file_names_only_if_they_end_like_photos():
    assert file_names(pa.table({"IMG_ID": ["45/77/1.jpg"], "lat": ["1"]})) is not None
    assert file_names(pa.table({"IMG_ID": ["45771"], "lat": ["1"]})) is None


def test_numbers_are_numbers_and_everything_else_is_nan():
    texts = [
        "1",
        " -2.5 ",
        "+3",
        "1e2",
        ".5",
        "",
        None,
        "x",
        "nan",
        "inf",
        "1,5",
        "1_0",
        "0x1",
        "+-1",
    ]
    found = to_floats(pa.chunked_array([pa.array(texts)]), len(texts))
    assert found[:5].tolist() == [1.0, -2.5, 3.0, 100.0, 0.5]
    assert np.isnan(found[5:]).all()
    whole = pa.chunked_array([pa.array([1, None])])
    assert to_floats(whole, 2)[0] == 1.0
    assert np.isnan(to_floats(None, 3)).all()
    words = pa.chunked_array([pa.array(["7", "x"]).dictionary_encode()])
    assert to_floats(words, 2)[0] == 7.0
    corners = np.array([[90.0, 180.0], [90.1, 0.0], [0.0, -180.1], [np.nan, 0.0]])
    assert on_earth(corners).tolist() == [True, False, False, False]


def test_predicted_coordinates_are_preferred_where_asked_for(tmp_path):
    table = pa.table({"lat": [1.0], "lon": [2.0], "pred_lat": [3.0], "Pred_Lng": [4.0]})
    assert read_degrees(table, "t", NEEDS, predicted=True).tolist() == [[3.0, 4.0]]
    assert read_degrees(table, "t", NEEDS).tolist() == [[1.0, 2.0]]
    half = table.drop_columns("Pred_Lng")
    with pytest.raises(TableError, match="pred_lat is one half of a prediction"):
        read_degrees(half, "t", NEEDS, predicted=True)


@pytest.mark.parametrize(
    ("header", "truth", "prediction"),
    [
        ("img_id,gt_lat,predicted_lat,gt_long,predicted_long", "gt_lat, gt_long",
         "predicted_lat, predicted_long"),
        ("IMG_ID,AUTHOR,LAT,LON,zs_0_latitude,zs_0_longitude,zs_1_latitude,zs_1_longitude,"
         "5_rag_0_latitude,5_rag_0_longitude", "LAT, LON", "zs_0_latitude, zs_0_longitude"),
        ("id,5_rag_10_latitude,5_rag_10_longitude,10_rag_5_latitude,10_rag_5_longitude",
         "", "10_rag_5_latitude, 10_rag_5_longitude"),
        ("img_id,p_key,pred_class,pred_lat,pred_lng", "", "pred_lat, pred_lng"),
        ("id,lat,lon,lat_prediction,lon_prediction", "lat, lon", "lat_prediction, lon_prediction"),
        ("id,latitude,longitude,PredLat,PredLon", "latitude, longitude", "PredLat, PredLon"),
        ("id,lat,lon,pred_lat_2,pred_lon_2,pred_lat_1,pred_lon_1", "lat, lon",
         "pred_lat_1, pred_lon_1"),
        ("id,lat,lon,predicted_lat,pred_lng", "lat, lon", "predicted_lat, pred_lng"),
        ("id,lat,lon,true_lat,true_lon", "true_lat, true_lon", "lat, lon"),
        ("id,lat,lon,ground_truth_lat,ground_truth_lon,guess_lat,guess_lon",
         "ground_truth_lat, ground_truth_lon", "guess_lat, guess_lon"),
        ("id,lat,lon,pred_lat_std,pred_lon_std,exif_lat,exif_lon", "lat, lon", "lat, lon"),
        ("id,lat,lon,predicted_long_term_risk", "lat, lon", "lat, lon"),
        ("id,lat,latitude,lng,longitude", "lat, lng", "lat, lng"),
        ("id,lat,lon,predlat,predlon", "lat, lon", "predlat, predlon"),
        ("id,latgt,longgt,lat,lon", "latgt, longgt", "lat, lon"),
        ("id,plate,along,lat,lon", "lat, lon", "lat, lon"),
    ],
)  # fmt: skip
def test_truth_and_prediction_of_one_table_are_told_apart(header, truth, prediction):
    assert str(choose_coordinates(header.split(","))) == truth
    assert str(choose_coordinates(header.split(","), predicted=True)) == prediction


def test_decimal_commas_of_predictions_are_read(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("img_id;zs_0_latitude;zs_0_longitude\na;48,5;-2,25\n", encoding="utf-8")
    found = read_degrees(read_table(table, NEEDS), table, NEEDS, predicted=True)
    assert found.tolist() == [[48.5, -2.25]]


def test_swapped_coordinates_are_recognised_by_range_or_by_land():
    rng = np.random.default_rng(0)
    spain = rng.uniform((38, -5), (42, -2), (200, 2))
    sydney = rng.uniform((-34, 150), (-33, 151), (200, 2))
    for right in (spain, sydney):
        assert not look_swapped(right)
        assert look_swapped(right[:, ::-1])
        assert not look_swapped(right[:20, ::-1])


def test_folders_give_positions_and_name_unreadable_photos(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.jpg").write_bytes(encoded(picture(), "JPEG", exif=gps_exif(1.0, -2.0)))
    (tmp_path / "2.jpg").write_bytes(encoded(picture(), "JPEG"))
    (tmp_path / "3.jpg").write_bytes(b"no photo")
    folder = read_folder(tmp_path)
    assert folder.file.tolist() == ["2.jpg", "3.jpg", "a/1.jpg"]
    assert np.isnan(folder.latlon[:2]).all()
    assert folder.latlon[2] == pytest.approx([1.0, -2.0])
    (error,) = folder.unreadable
    assert "3.jpg" in str(error)
    assert folder.geotagged(tmp_path).file.tolist() == ["a/1.jpg"]
    (tmp_path / "a" / "1.jpg").unlink()
    with pytest.raises(TableError, match=r"no photo with GPS coordinates .* \(1 without\)"):
        read_folder(tmp_path).geotagged(tmp_path)


def test_file_names_are_relative_to_their_table():
    assert resolve("/data", "a.jpg") == "/data/a.jpg"
    assert resolve("/data", "/other/a.jpg") == "/other/a.jpg"
    assert resolve("", "a.jpg") == "a.jpg"
    assert resolve("s3://bucket", "a.jpg") == "s3://bucket/a.jpg"
    assert resolve("/data", "s3://bucket/a.jpg") == "s3://bucket/a.jpg"


def test_problems_of_many_rows_are_one_line():
    names = np.array([f"{n}\n.jpg" for n in range(5000)], dtype=object)
    line = row_problem("t.csv", names, np.ones(5000, bool), "have no photo")
    assert line == (
        "t.csv: 5,000 of 5,000 rows have no photo"
        r" (0\n.jpg, 1\n.jpg, 2\n.jpg and 4,997 more)"
    )
