"""The ablation: its rows, its table with confidence intervals, and complete small runs."""

import json
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from geocells.sphere import unit_vectors
from training.experiments.ablation_report import findings, markdown
from training.experiments.ablation_rows import EMBEDDED_ROWS, ROWS
from training.synthetic.planet import sample_planet

STEPS = ("tune", "refine", "pretrained", "semantic", "multitask", "panorama", "smooth")


def test_each_row_differs_from_the_previous_one_by_one_step():
    assert len(ROWS) == 9
    for rows in (ROWS, EMBEDDED_ROWS):
        for above, below in pairwise(rows):
            changed = [step for step in STEPS if getattr(above, step) != getattr(below, step)]
            assert len(changed) == 1, below.name


def results(*scores: list[float]) -> dict:
    within = {"25": 0.1, "200": 0.2, "750": 0.3, "2500": 0.4}
    return {
        f"- row {i}": [
            {"within": within, "country": 0.5, "median_km": 1000.0, "geoscore": s} for s in seeds
        ]
        for i, seeds in enumerate(scores)
    }


def test_findings_and_table_state_significance():
    measured = results(
        [3000, 3010, 2990], [2000, 2020, 1985], [2010, 1980, 2020], [2500, 2490, 2510]
    )
    lines = findings(measured)
    assert lines[0].endswith("it helps")
    assert lines[1].endswith("not significant with 3 seeds")
    assert lines[2].endswith("it harms")
    table = markdown(measured)
    assert "3,000 ± 25" in table, "Student's interval of three values"
    assert table.count("\n") == 5
    one = findings(results([3000], [2000]))
    assert "one seed has no confidence interval" in one[0]
    assert "±" not in markdown(results([3000], [2000]))


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
    done = geoloc_train("ablation", "-o", tmp_path / "out", "--embeddings", tmp_path / "nowhere")
    assert done.returncode == 2
    assert "train.npy: missing" in done.stderr
