"""PIGEON's ablation (section 6.2) on the synthetic planet: the effect of each step.

Each row omits one step more than the row above it. Towers are trained from scratch, once for all
rows that share one; the later steps run on cached embeddings.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from geocells.columns import read_parquet
from geocells.sphere import haversine_km
from geoloc.io.atomic import atomic_write_text
from geoloc.metrics import score
from geoloc.types import Float64Array, IndexArray
from training.config import TINY_TOWERS, AblationConfig, FinetuneConfig, HeadConfig, PretrainConfig
from training.data.table import latlon_of, strings_of
from training.embed.table import EmbeddedTable, embed_table
from training.experiments.ablation_rows import EMBEDDED_ROWS, ROWS, Row, answer, draw_cells
from training.experiments.embedded import read_embedded
from training.experiments.paired import by_place, points
from training.heads.examples import Examples, attributes_of, location_numbers, mean_views
from training.pretrain.finetune import finetune
from training.pretrain.pretraining import pretrain
from training.synthetic.planet import write_planet
from training.types import Embeddings


def run(
    work: Path, config: AblationConfig, progress: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """Measure all rows for all seeds, reusing the results of an earlier call.

    Args:
        work: folder of planets, towers, embeddings and results.
        config: size of the experiment.
        progress: called with a line at the start of each measurement.

    Returns:
        For each row, a list of metrics with one entry per seed; see `geoloc.metrics.Accuracy`.
    """
    results: dict[str, Any] = {row.name: [] for row in ROWS}
    for seed in config.seeds:
        planet = _Planet(work / f"seed{seed}", config, seed, progress)
        for row in ROWS:
            results[row.name].append(planet.measure(row))
    return results


def run_embedded(
    folder: Path, config: AblationConfig, progress: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """Measure the rows that train no tower, on existing embeddings.

    Args:
        folder: train.npy and test.npy, (N, views, D) or (N, D), with train.parquet and test.parquet
            (lat, lon); or photos.npy and photos.parquet with a column "collection", whose photos
            are answered by models that never saw their collection. A tenth of the training places
            is held out for early stopping.
        config: size of the experiment.
        progress: called with a line at the start of each measurement.

    Returns:
        For each row, a list of metrics with one entry per seed; see `geoloc.metrics.Accuracy`. With
        the points of each answer, and the place or collection that it is drawn again with.

    Raises:
        TableError: a file or a column is missing.
    """
    places, vectors, splits, unit = read_embedded(folder)
    rows = [row for row in EMBEDDED_ROWS if vectors.shape[1] > 1 or "panorama" not in row.name]
    results: dict[str, Any] = {row.name: [] for row in rows}
    for seed in config.seeds:
        for row in rows:
            progress(f"seed {seed}: {row.name}")
            answers, truth = [], []
            for train, test in splits:
                answers.append(_answer_embedded(row, config, seed, places, vectors, train, test))
                truth.append(latlon_of(places)[test])
            results[row.name].append(_result(np.concatenate(answers), np.concatenate(truth), unit))
    return results


def _answer_embedded(
    row: Row,
    config: AblationConfig,
    seed: int,
    places: pa.Table,
    vectors: Embeddings,
    train: IndexArray,
    test: IndexArray,
) -> Float64Array:
    """Return the answers (M, 2) of a row to test places (M,), learned from others (N,)."""
    held_out = np.random.default_rng(seed).random(len(train)) < 0.1
    parts = [
        _examples_of_places(places, vectors, each, row.panorama)
        for each in (train[~held_out], train[held_out], test)
    ]
    cells = draw_cells(parts[0].latlon, row.semantic, config.simulated_per_cell)
    return answer(row, cells, _head_config(row, config, seed), *parts)


def _result(answers: Float64Array, truth: Float64Array, unit: list[str]) -> dict[str, Any]:
    """Return the metrics of answers (M, 2), with their points and units (M,)."""
    worth = points(haversine_km(answers, truth))
    return {**asdict(score(answers, truth)), "points": worth.round().tolist(), "unit": unit}


def _examples_of_places(
    places: pa.Table, vectors: np.ndarray, rows: np.ndarray, panorama: bool
) -> Examples:
    """Select places with the mean of their views, or with the first view only."""
    views = vectors[rows]
    chosen = views.mean(axis=1) if panorama else views[:, 0]
    table = places.take(pa.array(rows))
    weights = np.ones(len(rows), np.float32)
    return Examples(chosen, latlon_of(table), weights, attributes_of(table))


def _head_config(row: Row, config: AblationConfig, seed: int) -> HeadConfig:
    return HeadConfig(
        tau_km=config.tau_km if row.smooth else 0.0, features=256, weight_decay=0.1,
        attributes=row.multitask, epochs=config.head_epochs, patience=10, batch=256, seed=seed,
    )  # fmt: skip


class _Planet:
    """The planet, towers and embeddings of one seed, each computed once."""

    def __init__(
        self, work: Path, config: AblationConfig, seed: int, progress: Callable[[str], None]
    ) -> None:
        self._work, self._config, self._seed, self._progress = work, config, seed, progress
        self._made_from = json.dumps([asdict(config), seed])
        self._photos = write_planet(
            work / "planet", config.places, 4, config.size, seed, config.test
        )
        self._table = read_parquet(self._photos)
        train = self._table.filter(pa.array(strings_of(self._table, "split") == "train"))
        latlon = latlon_of(train)
        self._cells = {
            semantic: draw_cells(latlon, semantic, config.photos_per_cell)
            for semantic in (True, False)
        }

    def measure(self, row: Row) -> dict[str, Any]:
        """Train what the row needs and measure it on the test photos."""
        cached = self._work / "rows" / f"{ROWS.index(row)}.json"
        if cached.is_file():
            stored = json.loads(cached.read_text(encoding="utf-8"))
            if stored["of"] == self._made_from:
                return dict(stored["result"])
        self._progress(f"seed {self._seed}: {row.name}")
        embedded = self._embed(self._tower(row))
        parts = [_examples(embedded, split, row.panorama) for split in ("train", "val", "test")]
        predicted = answer(row, self._cells[row.semantic], self._heads(row), *parts)
        latlon = parts[2].latlon
        worth, places = by_place(points(haversine_km(predicted, latlon)), latlon)
        unit = [f"{self._seed}/{place}" for place in places]
        result = {**asdict(score(predicted, latlon)), "points": worth, "unit": unit}
        cached.parent.mkdir(exist_ok=True)
        atomic_write_text(cached, json.dumps({"of": self._made_from, "result": result}))
        return result

    def _tower(self, row: Row) -> Path:
        """Return the model folder of the row's tower, training it if needed."""
        config = self._config
        model = self._pretrain("base", str(TINY_TOWERS), "scene", config.base_epochs)
        if row.pretrained:
            model = self._pretrain("places", str(model), "pigeon", config.place_epochs)
        if not row.tune:
            return model
        steps = "".join("01"[step] for step in (row.pretrained, row.semantic, row.multitask))
        return finetune(
            self._table, self._photos.parent, model, self._cells[row.semantic],
            self._work / f"tuned{steps}", self._heads(row),
            FinetuneConfig(epochs=config.tune_epochs, batch=32, learning_rate=3e-4, workers=0,
                           seed=self._seed, save_every=10**6),
        )  # fmt: skip

    def _pretrain(self, name: str, model: str, style: str, epochs: int) -> Path:
        config = PretrainConfig(
            model=model, pretrained="", style=style, epochs=epochs, batch=128, accumulate=1,
            learning_rate=1e-3, warmup=0.1, schedule="cosine", workers=0, seed=self._seed,
            measure_every=10**6, save_every=200,
        )  # fmt: skip
        return pretrain(self._table, self._photos.parent, self._work / name, config)

    def _embed(self, model: Path) -> EmbeddedTable:
        from geoloc.encoders.registry import describe

        spec = describe(f"open_clip_tokens:local-dir:{model}")
        return embed_table(
            self._table, self._photos.parent, spec, None, model.with_name("embeddings")
        )

    def _heads(self, row: Row) -> HeadConfig:
        return _head_config(row, self._config, self._seed)


def _examples(embedded: EmbeddedTable, split: str, panorama: bool) -> Examples:
    """Select the photos of a split, or the means of the views of its places."""
    photos = embedded.photos
    rows = np.flatnonzero(strings_of(photos, "split") == split)
    chosen, vectors = photos.take(pa.array(rows)), embedded.embeddings[rows]
    first = np.arange(len(rows))
    if panorama:
        vectors, first = mean_views(vectors, location_numbers(chosen))
    latlon = latlon_of(chosen)[first]
    weights = np.ones(len(first), np.float32)
    return Examples(vectors, latlon, weights, attributes_of(chosen).take(first))
