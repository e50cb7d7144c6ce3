"""Photo tables: unknown numbers are empty; NaN, infinite and impossible ones are refused."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from geoloc.errors import TableError
from tests.training.data.test_sources import facts, jpeg, write_shard
from training.data import sources
from training.data.enrich import enrich
from training.data.sources import Source
from training.data.table import read


def enriched(tmp_path, **changed):
    table = enrich(pa.table({
        "photo_id": ["a", "b", "c", "d", "e"], "lat": [48.1, 60.2, -33.8, 35.6, 0.0],
        "lon": [11.5, 24.9, 151.2, 139.7, 0.0], "heading": pa.array([None] * 5, pa.float32()),
    }))  # fmt: skip
    for name, values in changed.items():
        index = table.schema.get_field_index(name)
        table = table.set_column(index, name, pa.array(values, table.schema.field(name).type))
    pq.write_table(table, tmp_path / "photos.parquet")
    return tmp_path / "photos.parquet"


def test_unknown_numbers_are_empty(tmp_path):
    table = read(enriched(tmp_path))
    assert table["heading"].null_count == 5
    assert table["month"].null_count == 5


@pytest.mark.parametrize(
    ("column", "values", "named"),
    [
        ("elevation_m", [1.0, float("nan"), None, 2.0, float("nan")], "2 of 5 photos (b, e)"),
        ("lat", [float("nan")] * 5, "5 of 5 photos (a, b, c and 2 more)"),
        ("rain_mm", [1.0, 2.0, float("-inf"), 3.0, 4.0], "holds -inf or the like for 1 of 5"),
        ("month", [1, 12, 13, None, 0], "2 of 5 photos (c, e)"),
    ],
)
def test_numbers_that_are_none_are_refused_by_column_and_photo(tmp_path, column, values, named):
    path = enriched(tmp_path, **{column: values})
    with pytest.raises(TableError) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: column {column} holds ")
    assert named in message
    assert len(message.splitlines()) == 1


def test_shard_with_nan_attributes_costs_the_rows_without_a_place(tmp_path):
    nan = float("nan")
    write_shard(tmp_path / "00000.tar", {
        "a.jpg": jpeg(10), "a.json": facts(latitude=48.1, longitude=11.5, heading=nan),
        "b.jpg": jpeg(60), "b.json": facts(latitude=nan, longitude=151.2),
        "c.jpg": jpeg(90), "c.json": facts(latitude=1.5, longitude=float("inf")),
    })  # fmt: skip
    table, _, problems = sources.read(Source(str(tmp_path)))
    assert table["photo_id"].to_pylist() == ["a"]
    assert table["heading"].to_pylist() == [None]
    assert "2 of 3 rows" in " ".join(problems)
