"""Published results: the contents of the file, and the table beside our results."""

import pytest

from geoloc.evaluation import benchmark
from geoloc.evaluation.published import MARKS, published_on, published_results
from geoloc.evaluation.report import page, peers


def test_every_row_has_a_mark_and_a_source():
    assert len(published_results()) > 100
    for row in published_results():
        assert row.mark in MARKS
        assert row.source or row.mark == "M"
        assert row.value
        shares = [value for name, value in row.value.items() if name.startswith("within")]
        assert shares == sorted(shares), row.system  # farther thresholds hold more
        assert all(0.0 <= share <= 1.0 for share in shares)
        assert 0.0 <= row.value.get("geoscore", 0.0) <= 5000.0
    pairs = [(row.benchmark, row.system) for row in published_results()]
    assert len(pairs) == len(set(pairs))


@pytest.mark.parametrize("key", ["im2gps", "im2gps3k", "yfcc4k", "yfcc26k", "gws15k", "osv5m"])
def test_every_benchmark_has_a_published_baseline(key):
    assert key in benchmark.published()
    assert {"PIGEOTTO", "OSV-5M baseline"} & {row.system for row in published_on(key)}


def test_values_of_pigeotto_on_im2gps3k():
    (row,) = [row for row in published_on("im2gps3k") if row.system == "PIGEOTTO"]
    assert row.value["within_25_km"] == pytest.approx(0.367)
    assert row.value["median_km"] == 147.3
    assert row.mark == "S"


def test_own_results_are_sorted_among_published_ones():
    report = {
        "systems": [{"name": "<ours>"}],
        "benchmark": {"key": "im2gps3k"},
        "scores": {"standard": [{"photos": 2997, "value": {"within_200_km": 0.5}}]},
        "audit": {"disjoint": 1234},
    }
    table = peers.beside("im2gps3k", [report])
    systems = [row[0] for row in table.rows]
    assert systems.index("PIGEOTTO") < systems.index("<ours>") < systems.index("PlaNet")
    assert table.highlighted == [systems.index("<ours>")]
    assert "1,234 of them disjoint" in table.rows[systems.index("<ours>")][-1]
    html = page.results_html([report])
    assert "&lt;ours&gt;" in html
    assert "<ours>" not in html
    for known in benchmark.published().values():
        assert known.title in html
    for mark in MARKS:
        assert f"[{mark}]" in html
