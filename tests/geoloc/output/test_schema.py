"""The schema in geoloc/output/README.md is that of real outputs, and outputs are inputs again."""

import csv
import dataclasses
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoloc.errors import TableError
from geoloc.guess import SCHEMA_VERSION, Exif, Guess
from geoloc.output import formats
from geoloc.output.formats import COLUMNS, Record
from geoloc.photos.columns import file_names, read_degrees
from geoloc.photos.swapped import countries_of
from geoloc.photos.tables import read_table
from geoloc.photos.tabular.rows import read_rows
from tests.geoloc.output.records import make_guess, written

README = Path(formats.__file__).with_name("README.md").read_text(encoding="utf-8")
TYPES = {str: "text", float: "number", int: "number", bool: "boolean"}
NEEDS = "the columns file,lat,lon"
TABLES = [".csv", ".parquet", ".jsonl", ".geojson"]


def schema() -> list[tuple[str, str, str]]:
    """Name in tables, name in JSON and type of each row of the README's table."""
    lines = re.findall(r"^\|([^|]*)\|([^|]*)\| (\w+) \|", README, re.MULTILINE)
    rows = [tuple(cell.strip(" `") for cell in line) for line in lines]
    return [row for row in rows if row[2] in ("text", "number", "boolean", "list", "object")]


def test_tables_have_the_columns_of_the_schema():
    assert [(table, kind) for table, _, kind in schema() if table] == [
        (name, TYPES[kind]) for name, kind in COLUMNS.items()
    ]
    header, row = csv.reader(io.StringIO(formats.to_csv([make_guess()])))
    assert header == list(COLUMNS)
    assert dict(zip(header, row, strict=True))["schema_version"] == str(SCHEMA_VERSION)


def test_json_has_the_fields_of_the_schema():
    names = [name for _, name, _ in schema() if name]
    answer = json.loads(formats.to_json(make_guess()))
    assert {name.split(".")[0] for name in names} == set(answer)
    assert set(answer) == {field.name for field in dataclasses.fields(Guess)}
    for name in names:
        outer, _, inner = name.partition(".")
        values = answer[outer][0] if outer == "candidates" and inner else answer[outer]
        assert not inner or inner in values
    assert f"`schema_version` {SCHEMA_VERSION}" in README


def test_values_have_the_same_names_in_tables_and_in_json():
    values = make_guess().to_dict()
    for table, name, _ in schema():
        if table and name and "." not in name:
            assert table == name
            assert formats.table_row(make_guess())[table] == values[name]


def test_photos_without_an_answer_have_a_record():
    record = json.loads(formats.error_to_json("a.jpg", "a.jpg: damaged", {"lat": "1", "n": None}))
    assert record == {
        "photo": "a.jpg", "error": "a.jpg: damaged", "schema_version": SCHEMA_VERSION,
        "input_lat": "1", "n": None,
    }  # fmt: skip


def test_photos_are_a_list_and_nothing_is_nan():
    guess = make_guess(photos=("a.jpg", "b.jpg"))
    answer = json.loads(formats.to_json(guess, {"n": float("nan")}), parse_constant=pytest.fail)
    assert (answer["photos"], answer["n"], answer["within"]) == (["a.jpg", "b.jpg"], None, None)
    assert formats.table_row(guess)["photo_count"] == 2


def answers(tmp_path, suffix, columns):
    records = [Record(make_guess(48.85, 2.35, photo="a/1.jpg"), columns, None)]
    return read_table(written(tmp_path / f"answers{suffix}", records), NEEDS)


@pytest.mark.parametrize("suffix", TABLES)
@pytest.mark.parametrize("truth", [("lat", "lon"), ("Latitude", "Longitude"), ("gt_lat", "gt_lng")])
def test_tables_of_answers_keep_truth_and_prediction_apart(tmp_path, suffix, truth):
    columns = {truth[0]: 10.5, truth[1]: 20.5, "pred_lat": 0.0, "pred_lon": 0.0}
    table = answers(tmp_path, suffix, columns)
    assert file_names(table).to_pylist() == ["a/1.jpg"]
    assert np.allclose(read_degrees(table, "x", NEEDS), [[10.5, 20.5]])
    assert np.allclose(read_degrees(table, "x", NEEDS, predicted=True), [[48.85, 2.35]])
    assert countries_of(table) is None


NAMES = ["=1.jpg", "'=1.jpg", "''-x", "'-5", "-5", "+5", "@a", "\t.jpg", "'quoted'", "it's", "-1+2"]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(NAMES) | st.text("'=+-@＝5 \t\n\rx", min_size=1), min_size=1))
def test_texts_that_look_like_formulas_come_back_from_csv(tmp_path_factory, names):
    columns = {"=note": "=1+1", "id": "-7"}
    records = [Record(make_guess(photo=name), columns, None) for name in names]
    path = written(tmp_path_factory.mktemp("t") / "answers.csv", records)
    table = read_table(path, NEEDS)
    assert table["photo"].to_pylist() == names
    assert set(table["=note"].to_pylist()) == {"=1+1"}
    assert [row["photo"] for row in read_rows(str(path))] == names


def test_apostrophes_of_other_tables_stay(tmp_path):
    (tmp_path / "t.csv").write_text("file,lat,lon\n'=1.jpg,1,2\n")
    assert read_table(tmp_path / "t.csv", NEEDS)["file"].to_pylist() == ["'=1.jpg"]


@pytest.mark.parametrize("suffix", TABLES)
def test_estimates_are_never_read_as_known_positions(tmp_path, suffix):
    table = answers(tmp_path, suffix, {})
    with pytest.raises(TableError, match="estimates"):
        read_degrees(table, "x", NEEDS)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_positions_of_the_files_are_known_positions_of_answers(tmp_path, suffix):
    records = [Record(make_guess(exif=Exif(10.5, 20.5)), {}, None)]
    table = read_table(written(tmp_path / f"answers{suffix}", records), NEEDS)
    assert np.allclose(read_degrees(table, "x", NEEDS), [[10.5, 20.5]])


def test_columns_of_an_earlier_answer_are_not_copied():
    earlier = {**formats.table_row(make_guess()), "input_lat": "1", "note": "x"}
    assert formats.input_columns(earlier) == {"input_lat": "1", "note": "x"}
    failed = json.loads(formats.error_to_json("a", "damaged", {"lat": 1, "note": "x"}))
    assert formats.input_columns(failed) == {"input_lat": 1, "note": "x"}
    assert formats.input_columns({"lat": 1, "error": 2}) == {"lat": 1, "error": 2}
