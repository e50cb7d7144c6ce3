"""The ablation: its rows, its table with confidence intervals, and complete small runs."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from geocells.sphere import unit_vectors
from geoloc.errors import TableError
from training.config import QUICK_ABLATION
from training.experiments.ablation import run_embedded
from training.experiments.ablation_report import findings, markdown
from training.experiments.ablation_rows import EMBEDDED_ROWS, ROWS
from training.experiments.embedded import read_embedded
from training.experiments.paired import by_place, effect
from training.synthetic.planet import sample_planet

STEPS = ("tune", "refine", "pretrained", "semantic", "multitask", "panorama", "smooth")


def test_each_row_differs_from_the_previous_one_by_one_step():
    assert len(ROWS) == 9
    for rows in (ROWS, EMBEDDED_ROWS):
        for above, below in pairwise(rows):
            changed = [step for step in STEPS if getattr(above, step) != getattr(below, step)]
            assert len(changed) == 1, below.name


def results(*scores: float, seeds: int = 3, places: int = 200) -> dict:
    """Return results whose answers differ from place to place, and by a score from row to row."""
    rng = np.random.default_rng(0)
    within = {"25": 0.1, "200": 0.2, "750": 0.3, "2500": 0.4}
    of_place = rng.normal(0, 1500, places)
    table: dict = {}
    for number, mean in enumerate(scores):
        entries = []
        for seed in range(seeds):
            worth = mean + of_place + rng.normal(0, 100, places)
            entries.append({
                "within": within, "country": 0.5, "median_km": 1000.0, "geoscore": mean + seed,
                "points": worth.tolist(), "unit": [str(n) for n in range(places)],
            })  # fmt: skip
        table[f"- row {number}"] = entries
    return table


def test_findings_and_table_state_significance():
    measured = results(3000, 2900, 2901, 3000)
    lines = findings(measured)
    assert lines[0].startswith("row 1: +")
    assert lines[0].endswith("it helps"), "100 points, beside 1,500 from place to place"
    assert "unsure; an effect of this size needs about" in lines[1]
    assert lines[2].endswith("it harms")
    table = markdown(measured)
    assert "3,001 ± 2" in table, "Student's interval of three seeds"
    assert table.count("\n") == 5
    assert "±" not in markdown(results(3000, 2000, seeds=1))
    few = findings(results(3000, 2000, places=4))
    assert few[0].endswith("no interval with 4 units")


@pytest.mark.slow
def test_quick_run_writes_results_and_is_not_repeated(tmp_path, geoloc_train):
    done = geoloc_train("ablation", "--quick", "-o", tmp_path)
    assert done.returncode == 0, done.stderr
    table = json.loads((tmp_path / "ablation.json").read_text())
    assert list(table) == [row.name for row in ROWS]
    for seeds in table.values():
        assert len(seeds) == 1
        assert 0 < seeds[0]["geoscore"] < 5000
    assert "Simulated: drawn photographs" in (tmp_path / "ablation.md").read_text()
    again = geoloc_train("ablation", "--quick", "-o", tmp_path)
    assert again.returncode == 0
    assert "seed 0" not in again.stdout, "every row was cached"
    assert again.stdout.strip() == (tmp_path / "ablation.md").read_text().strip()


def test_existing_embeddings_are_measured_without_towers(tmp_path, geoloc_train):
    planet = sample_planet(900, 1, seed=3).select(["lat", "lon", "month"])
    latlon = np.stack([planet["lat"].to_numpy(), planet["lon"].to_numpy()], axis=1)
    rng = np.random.default_rng(0)
    waves = np.sin(unit_vectors(latlon) @ rng.normal(0, 5, (3, 48)))
    views = waves[:, None] + rng.normal(0, 1.2, (900, 4, 48))
    for name, rows in (("train", slice(0, 700)), ("test", slice(700, 900))):
        np.save(tmp_path / f"{name}.npy", views[rows].astype(np.float16))
        pq.write_table(planet.take(pa.array(np.arange(900)[rows])), tmp_path / f"{name}.parquet")
    done = geoloc_train("ablation", "--quick", "-o", tmp_path / "out", "--embeddings", tmp_path)
    assert done.returncode == 0, done.stderr
    table = json.loads((tmp_path / "out" / "ablation.json").read_text())
    score = {name: seeds[0]["geoscore"] for name, seeds in table.items()}
    assert list(score) == [row.name for row in EMBEDDED_ROWS]
    assert score["- multi-task heads"] > score["- panorama of four"] + 100
    assert len(table["PIGEON"][0]["points"]) == 200
    assert "it helps" in (tmp_path / "out" / "ablation.md").read_text()
    done = geoloc_train("ablation", "-o", tmp_path / "out", "--embeddings", tmp_path / "nowhere")
    assert done.returncode == 2
    assert "train.npy: missing" in done.stderr


def test_photos_are_answered_by_models_of_other_collections(tmp_path):
    """The collection is all that the features tell, so that nothing can be learned from others."""
    rng = np.random.default_rng(0)
    collection = np.repeat(np.arange(10), 30)
    latlon = np.column_stack([rng.uniform(-50, 50, 10), rng.uniform(-170, 170, 10)])[collection]
    latlon += rng.normal(0, 0.1, (300, 2))
    names = collection.astype(str).tolist()
    table = pa.table({"lat": latlon[:, 0], "lon": latlon[:, 1], "collection": names})
    pq.write_table(table, tmp_path / "photos.parquet")
    np.save(tmp_path / "photos.npy", np.eye(10)[collection] + rng.normal(0, 0.1, (300, 10)))
    _, vectors, splits, unit = read_embedded(tmp_path)
    assert vectors.shape == (300, 1, 10)
    for train, test in splits:
        assert not set(collection[train]) & set(collection[test])
    assert sorted(np.concatenate([test for _, test in splits])) == list(range(300))
    assert sorted(unit) == sorted(names)
    measured = run_embedded(tmp_path, replace(QUICK_ABLATION, head_epochs=2, seeds=(0,)))
    assert not any("panorama" in name for name in measured), "there is one view only"
    assert len(measured["PIGEON"][0]["points"]) == 300
    pq.write_table(table.drop_columns("collection"), tmp_path / "photos.parquet")
    with pytest.raises(TableError, match="no column collection"):
        read_embedded(tmp_path)


def test_interval_of_collections_is_wider_than_that_of_photos():
    rng = np.random.default_rng(0)
    collection = np.repeat(np.arange(20), 50)
    difference = rng.normal(10, 200, 20)[collection] + rng.normal(0, 20, 1000)
    each = effect(difference, np.zeros(1000), np.arange(1000))
    whole = effect(difference, np.zeros(1000), collection)
    assert each.mean == pytest.approx(whole.mean)
    assert whole.high - whole.low > 3.0 * (each.high - each.low)
    assert whole.units == 20
    assert whole.needed > 20, "it is unsure"
    assert effect([1.0] * 50, [1.0] * 50, np.arange(50)).verdict == "no difference"


def test_views_of_a_place_count_as_one_answer():
    latlon = np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]])
    worth, places = by_place(np.array([100.0, 10.0, 300.0]), latlon)
    assert worth == [200.0, 10.0]
    assert places == ["1.00000,2.00000", "3.00000,4.00000"]


def test_same_places_of_several_seeds_count_once():
    difference = np.random.default_rng(0).normal(5, 30, 400)
    once = effect(difference, np.zeros(400), np.arange(400))
    thrice = effect(np.tile(difference, 3), np.zeros(1200), np.tile(np.arange(400), 3))
    assert (thrice.low, thrice.high) == pytest.approx((once.low, once.high))
