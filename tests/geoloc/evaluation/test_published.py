"""Published numbers: what is in the file, and where it comes from."""

import pytest

from geoloc.evaluation import benchmark
from geoloc.evaluation.published import MARKS, numbers, of
from geoloc.evaluation.report import peers


def test_every_number_has_a_mark_and_a_source():
    assert len(numbers()) > 100
    for row in numbers():
        assert row.mark in MARKS
        assert row.source or row.mark == "M"
        assert row.value
        shares = [value for name, value in row.value.items() if name.startswith("within")]
        assert shares == sorted(shares), row.system  # farther thresholds hold more
        assert all(0.0 <= share <= 1.0 for share in shares)
        assert 0.0 <= row.value.get("geoscore", 0.0) <= 5000.0
    pairs = [(row.benchmark, row.system) for row in numbers()]
    assert len(pairs) == len(set(pairs))


@pytest.mark.parametrize("key", ["im2gps", "im2gps3k", "yfcc4k", "yfcc26k", "gws15k", "osv5m"])
def test_pigeotto_or_the_baseline_is_there(key):
    assert key in benchmark.published()
    assert {"PIGEOTTO", "OSV-5M baseline"} & {row.system for row in of(key)}


def test_pigeotto_on_im2gps3k():
    (row,) = [row for row in of("im2gps3k") if row.system == "PIGEOTTO"]
    assert row.value["within_25_km"] == pytest.approx(0.367)
    assert row.value["median_km"] == 147.3
    assert row.mark == "S"


def test_our_rows_stand_among_theirs():
    report = {
        "systems": [{"name": "<ours>"}],
        "benchmark": {"key": "im2gps3k"},
        "scores": {"standard": [{"photos": 2997, "value": {"within_200_km": 0.5}}]},
        "audit": {"disjoint": 1234},
    }
    table = peers.beside("im2gps3k", [report])
    assert "&lt;ours&gt;" in table
    assert "of which 1,234 share nothing" in table
    assert table.index("PIGEOTTO") < table.index("&lt;ours&gt;") < table.index("PlaNet")
    page = peers.results_page([report])
    for known in benchmark.published().values():
        assert known.title in page
    for mark in MARKS:
        assert f"[{mark}]" in page
