"""Output files of a batch, read back by the libraries that their users have."""

import csv
import dataclasses
import json
import math
import os
import re
import resource
import signal
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geoloc.errors import GeolocError
from geoloc.guess import Exif, Guess
from geoloc.output import formats, tables
from geoloc.output.formats import Record
from geoloc.output.sinks import SINKS, check_ending, open_sink
from tests.geoloc.output.records import CELLS, make_guess, many, records, written

KML = "{http://www.opengis.net/kml/2.2}"


def plain(value):
    """Return a value with lone surrogates escaped, as text files contain it."""
    is_text = isinstance(value, str)
    return value.encode("utf-8", "backslashreplace").decode() if is_text else value


def as_json(value):
    return None if isinstance(value, float) and not math.isfinite(value) else plain(value)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("outputs")


LISTS = st.lists(records(), max_size=4)
EXAMPLES = settings(max_examples=60, deadline=None)


@EXAMPLES
@given(LISTS)
def test_jsonl_reads_back_the_same_answers(folder, answers):
    lines = written(folder / "a.jsonl", answers).read_text("utf-8").split("\n")
    assert lines.pop() == ""
    assert len(lines) == len(answers)
    for line, record in zip(lines, answers, strict=True):
        values = json.loads(line, parse_constant=pytest.fail)
        fields = {field.name for field in dataclasses.fields(Guess)}
        assert Guess.from_dict({k: v for k, v in values.items() if k in fields}) == record.guess
        copied = {k: as_json(v) for k, v in formats.output_columns(record.columns).items()}
        assert {k: v for k, v in values.items() if k not in fields} == copied


@EXAMPLES
@given(LISTS)
def test_csv_reads_back_the_same_rows(folder, answers):
    with written(folder / "a.csv", answers).open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    dangerous = re.compile(r"[=+\-@\t\r＝＋－＠]")
    number = re.compile(r"[+-]?\d+(\.\d*)?(e[+-]?\d+)?", re.IGNORECASE)
    for cell in (cell for row in [header, *rows] for cell in row):
        assert number.fullmatch(cell) or not dangerous.match(cell) or cell in ("-inf",)
    names = [unescaped(name) for name in header]
    assert names[: len(formats.COLUMNS)] == list(formats.COLUMNS)
    assert len(set(names)) == len(names)
    assert len(rows) == len(answers)
    for row, record in zip(rows, answers, strict=True):
        values = dict(zip(names, row, strict=True))
        assert unescaped(values["photo"]) == record.guess.photo
        assert float(values["lat"]) == pytest.approx(record.guess.lat, abs=1e-6)
        for name, value in formats.output_columns(record.columns).items():
            expected = "" if value is None else str(value)
            assert (unescaped(values[name]) if isinstance(value, str) else values[name]) == expected


def unescaped(cell: str) -> str:
    """Return the text of a cell without the apostrophe that `csv_lines` adds to formulas."""
    return cell[1:] if re.match(r"''*\s*[=+\-@＝＋－＠]|''*[\t\r\n]", cell) else cell


@pytest.mark.parametrize("name", ["=1+1.jpg", "+a", "-a.jpg", "@SUM(A1)", "\t=1", " =1+1", "＝1+1"])
def test_names_like_formulas_get_an_apostrophe(name):
    line = formats.to_csv([make_guess(photo=name)]).splitlines()[-1]
    assert next(csv.reader([line]))[0] == f"'{name}"


@pytest.mark.parametrize("value", ["-33.85", "+2", "1e5", "plain", "2024-05-06", "O'Brien"])
def test_numbers_and_words_are_unchanged(tmp_path, value):
    path = written(tmp_path / "a.csv", [Record(make_guess(), {"note": value}, None)])
    with path.open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["note"] == value


@EXAMPLES
@given(LISTS)
def test_geojson_reads_back_the_same_features(folder, answers):
    text = written(folder / "a.geojson", answers).read_text("utf-8")
    collection = json.loads(text, parse_constant=pytest.fail)
    assert collection["type"] == "FeatureCollection"
    answered = [each for each in collection["features"] if each["properties"]["rank"] == 1]
    assert len(collection["features"]) == 2 * len(answers)
    for feature, record in zip(answered, answers, strict=True):
        assert feature["geometry"]["coordinates"] == [record.guess.lon, record.guess.lat]
        assert feature["properties"]["photo"] == record.guess.photo
        copied = {k: as_json(v) for k, v in formats.output_columns(record.columns).items()}
        assert copied.items() <= feature["properties"].items()


@EXAMPLES
@given(LISTS)
def test_kml_reads_back_the_same_placemarks(folder, answers):
    root = ElementTree.parse(written(folder / "a.kml", answers)).getroot()
    assert root.tag == f"{KML}kml"
    marks = root.findall(f"{KML}Document/{KML}Placemark")
    assert len(marks) == len(answers)
    for mark, record in zip(marks, answers, strict=True):
        # the order of OGC 07-147r2, 9.1: features are a sequence
        parts = [part.tag.removeprefix(KML) for part in mark]
        assert parts == ["name", "description", "ExtendedData", "Point"]
        name = re.sub("[\ufffe\uffff]", lambda c: ascii(c[0])[1:-1], record.guess.photo)
        assert mark.findtext(f"{KML}name") == name
        lon, lat = map(float, mark.findtext(f"{KML}Point/{KML}coordinates").split(","))
        assert (lat, lon) == pytest.approx((record.guess.lat, record.guess.lon), abs=1e-6)
        data = {
            each.get("name"): each.findtext(f"{KML}value")
            for each in mark.findall(f"{KML}ExtendedData/{KML}Data")
        }
        assert data["confidence"] == "city"
        for key, value in formats.output_columns(record.columns).items():
            if value is not None and not re.search("[^\t\n\r -\ud7ff]", f"{key}{value}"):
                assert data[key] == str(value)


@EXAMPLES
@given(LISTS)
def test_geoparquet_reads_back_the_same_rows(folder, answers):
    path = written(folder / "a.parquet", answers)
    rows = pq.read_table(path).to_pylist()
    assert len(rows) == len(answers)
    kinds: dict[str, set[type]] = {}
    for record in answers:
        for name, value in formats.output_columns(record.columns).items():
            kinds.setdefault(name, set()).add(type(value))
    for row, record in zip(rows, answers, strict=True):
        assert {name: row[name] for name in formats.COLUMNS} == formats.table_row(record.guess)
        assert shapely.from_wkb(row["geometry"]).coords[0] == (record.guess.lon, record.guess.lat)
        for name, value in formats.output_columns(record.columns).items():
            same = row[name] == value or (value != value and row[name] != row[name])
            assert same or row[name] == str(value) or row[name] == float(value)
            if kinds[name] - {type(None)} in ({bool}, {float}, {str}):
                assert type(row[name]) is type(value)


def test_geopandas_reads_geoparquet_and_filters_by_box(tmp_path):
    geopandas = pytest.importorskip("geopandas")
    path = written(tmp_path / "a.parquet", many(200))
    frame = geopandas.read_parquet(path)
    assert len(frame) == 200
    assert frame.crs == "OGC:CRS84"
    assert np.allclose(frame.geometry.x, frame["lon"])
    assert np.allclose(frame.geometry.y, frame["lat"])
    assert frame["number"].dtype == "int64"
    south = geopandas.read_parquet(path, bbox=(-180, -90, 180, 0))
    assert 0 < len(south) < 200
    assert (south["lat"] <= 0).all()
    meta = json.loads(pq.read_schema(path).metadata[b"geo"])
    assert meta["version"] == "1.1.0"
    assert meta["columns"]["geometry"]["geometry_types"] == ["Point"]
    assert meta["columns"]["geometry"]["bbox"] == pytest.approx(frame.total_bounds)


def test_geopandas_reads_geojson(tmp_path):
    geopandas = pytest.importorskip("geopandas")
    frame = geopandas.read_file(written(tmp_path / "a.geojson", many(50)))
    best = frame[frame["rank"] == 1]
    assert len(best) == 50
    truth = [(record.guess.lon, record.guess.lat) for record in many(50)]
    assert np.allclose(shapely.get_coordinates(best.geometry), truth)
    assert best["number"].astype(int).tolist() == list(range(50))


def test_records_may_have_different_columns(tmp_path):
    guess = make_guess()
    answers = [
        Record(guess, {"n": 1, "x": None}, None),
        Record(guess, {"n": 2.5, "word": "a"}, None),
        Record(guess, {"word": 7}, None),
    ]
    frame = pq.read_table(written(tmp_path / "a.parquet", answers)).to_pydict()
    assert frame["n"] == [1.0, 2.5, None]
    assert frame["word"] == [None, "a", "7"]
    assert frame["x"] == [None, None, None]
    with written(tmp_path / "a.csv", answers).open(newline="") as file:
        assert [row["n"] for row in csv.DictReader(file)] == ["1", "2.5", ""]


def test_input_columns_are_renamed_where_they_clash():
    columns = {"lat": 1, "input_lat": 2, "photo": "x", "id": 3, "rank": 4}
    assert formats.output_columns(columns) == {
        "input_input_lat": 1, "input_lat": 2, "input_photo": "x", "id": 3, "input_rank": 4,
    }  # fmt: skip


@pytest.mark.parametrize("ending", SINKS)
def test_output_without_answers_is_a_valid_empty_file(tmp_path, ending):
    path = written(tmp_path / f"a{ending}", [])
    if ending == ".parquet":
        assert len(pytest.importorskip("geopandas").read_parquet(path)) == 0
    elif ending == ".csv":
        assert path.read_text().splitlines() == [",".join(formats.COLUMNS)]
    elif ending == ".geojson":
        assert json.loads(path.read_text())["features"] == []
    elif ending == ".kml":
        assert ElementTree.parse(path).find(f"{KML}Document") is not None
    elif ending == ".jsonl":
        assert path.read_bytes() == b""
    else:
        assert path.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize("ending", SINKS)
def test_interruption_keeps_the_older_file_and_leaves_no_other(tmp_path, ending):
    path = written(tmp_path / f"a{ending}", many(3))
    before = path.read_bytes()

    def interrupted():
        yield from many(1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        written(path, interrupted())
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def start(folder: Path, code: str, **options) -> subprocess.Popen[str]:
    """Start a process with the helpers for writing records."""
    head = (
        "import sys; from pathlib import Path\n"
        "from tests.geoloc.output.records import CELLS, many, open_sink\n"
    )
    paths = os.pathsep.join([str(Path(__file__).parents[3]), *filter(None, sys.path)])
    return subprocess.Popen(
        [sys.executable, "-c", head + code], cwd=folder, text=True, stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": paths}, **options,
    )  # fmt: skip


def test_killed_process_leaves_no_file_under_a_final_name(tmp_path):
    process = start(tmp_path, f"""
sinks = [open_sink(Path("a" + ending), CELLS) for ending in {list(SINKS)}]
opened = [sink.__enter__() for sink in sinks]
for record in many(10**6):
    for sink in opened:
        sink.write(record)
    if record.columns["number"] == 500:
        print("writing", flush=True)
""")  # fmt: skip
    assert process.stdout.readline() == "writing\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("a")]
    for ending in SINKS:  # the temporary files left behind do not disturb
        written(tmp_path / f"a{ending}", many(3))
    assert {path.name for path in tmp_path.iterdir()} == {f"a{ending}" for ending in SINKS}


def test_full_disk_is_an_error_that_names_the_file(tmp_path):
    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    process = start(tmp_path, f"""
for ending in {list(SINKS)}:
    try:
        with open_sink(Path("a" + ending), CELLS) as sink:
            for record in many(200):
                sink.write(record)
            sink.close()
    except OSError as error:
        print(error.filename, error.strerror)
""", preexec_fn=small_files)  # fmt: skip
    stdout, _ = process.communicate()
    assert stdout.splitlines() == [f"a{ending} File too large" for ending in SINKS]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", [".geojson", ".parquet", ".html"])
def test_memory_stays_flat(tmp_path, monkeypatch, ending):
    monkeypatch.setattr(tables, "ROW_GROUP", 200)
    written(tmp_path / f"a{ending}", many(300))  # imports, caches

    def peak(number: int) -> int:
        with open_sink(tmp_path / f"a{ending}", CELLS) as sink:
            tracemalloc.start()
            for record in many(number):
                sink.write(record)
            if ending != ".html":  # closing draws borders, whatever the number of photos
                sink.close()
            most = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return most

    assert peak(4000) < peak(400) + 800_000


@pytest.mark.parametrize("name", ["a.txt", "a", "a.json", ".csv", "a.html.gz"])
def test_unknown_ending_is_refused_with_a_list_of_the_known_ones(name):
    with pytest.raises(GeolocError, match=r"\.jsonl, \.csv, .*or \.html") as refused:
        check_ending(Path(name))
    assert str(refused.value).startswith(name)


def test_endings_may_be_in_upper_case(tmp_path):
    assert written(tmp_path / "A.CSV", many(2)).exists()


def test_missing_folder_is_created(tmp_path):
    assert written(tmp_path / "none" / "a.csv", []).exists()


@given(st.floats(-90, 90), st.booleans())
def test_guess_survives_json(lat, with_exif):
    guess = replace(make_guess(lat), exif=Exif(1.5, 2.5, "2024-05-06T07:08:09"), exif_distance_km=3)
    guess = guess if with_exif else make_guess(lat)
    assert Guess.from_dict(json.loads(formats.to_json(guess))) == guess


@pytest.mark.parametrize("change", [{"unknown": 1}, {"place": {}}])
def test_other_schema_is_refused(change):
    with pytest.raises((TypeError, KeyError)):
        Guess.from_dict(make_guess().to_dict() | change)
