"""PIGEON's ablation (section 6.2) on the synthetic planet: what each step is worth.

Every row lacks one step more than the row above it. Towers are trained from scratch, and only where
a row needs another one; everything behind them works on cached embeddings.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from geocells.alternatives import rectangles
from geocells.build import build_cells
from geocells.columns import read_parquet
from geocells.config import CellConfig
from geocells.sphere import haversine_km
from geocells.table import CellTable
from geoloc.encoder import FloatArray
from geoloc.metrics import score
from geoloc.retrieval import Gallery
from training.assemble import manifest_of
from training.cluster import build_gallery
from training.embed_table import EmbeddedTable, embed_table
from training.finetune import FinetuneConfig, finetune
from training.fit_heads import Examples, density_prior, fit_heads
from training.head_config import HeadConfig
from training.photo_table import latlon_of, strings_of
from training.pretrain import pretrain
from training.pretrain_config import PretrainConfig
from training.recipe_config import TINY_TOWERS
from training.synthetic import write_planet
from training.targets import attributes_of
from training.views import location_numbers, mean_views

TOP_CELLS = 5
TEMPERATURE = 0.1
MOST_KM = 1000.0
"""Of the refinement (section 5.3). The published temperature of 1.6 is for distances between
embeddings of any length; these are of length 1."""


@dataclass(frozen=True)
class Row:
    """A line of the table: which steps it has."""

    name: str
    tune: bool
    """Tune the last block with the heads; PIGEON itself keeps the pretrained one frozen."""
    refine: bool = False
    pretrained: bool = False
    """On captions of places; otherwise only on what everyone can see: climate, month, direction."""
    semantic: bool = False
    multitask: bool = False
    panorama: bool = False
    smooth: bool = False


ROWS = (
    Row("PIGEON", False, True, True, True, True, True, True),
    Row("- frozen last block", True, True, True, True, True, True, True),
    Row("- refinement", True, False, True, True, True, True, True),
    Row("- contrastive pretraining", True, False, False, True, True, True, True),
    Row("- semantic geocells", True, False, False, False, True, True, True),
    Row("- multi-task heads", True, False, False, False, False, True, True),
    Row("- tuning of the last block", False, False, False, False, False, True, True),
    Row("- panorama of four", False, False, False, False, False, False, True),
    Row("- haversine smoothing", False, False, False, False, False, False, False),
)


@dataclass(frozen=True)
class AblationConfig:
    """How large the experiment is."""

    places: int = 2400
    test: float = 0.4
    """Share that is measured on: large, for narrow intervals."""
    size: int = 64
    seeds: tuple[int, ...] = (0, 1, 2)
    base_epochs: int = 5
    place_epochs: int = 10
    tune_epochs: int = 3
    head_epochs: int = 60
    tau_km: float = 300.0
    """Of the smoothing: the cells of some thousand places are larger than those of 100,000."""
    photos_per_cell: int = 16


QUICK = AblationConfig(
    places=400, size=48, seeds=(0,), base_epochs=1, place_epochs=2, tune_epochs=1, head_epochs=20
)


def run(
    work: Path, config: AblationConfig, progress: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """All rows for all seeds; what an earlier call has finished is not repeated.

    Args:
        work: folder of planets, towers, embeddings and results.
        config: see there.
        progress: told what begins.

    Returns:
        By row a list, seed by seed, of metrics; see `geoloc.metrics.Accuracy`.
    """
    results: dict[str, Any] = {row.name: [] for row in ROWS}
    for seed in config.seeds:
        world = _World(work / f"seed{seed}", config, seed, progress)
        for row in ROWS:
            results[row.name].append(world.measure(row))
    return results


class _World:
    """One seed: a planet, towers and their embeddings, each made once."""

    def __init__(
        self, work: Path, config: AblationConfig, seed: int, progress: Callable[[str], None]
    ) -> None:
        self._work, self._config, self._seed, self._progress = work, config, seed, progress
        self._note = json.dumps([asdict(config), seed])
        self._photos = write_planet(
            work / "planet", config.places, 4, config.size, seed, config.test
        )
        self._table = read_parquet(self._photos)
        self._cells = {semantic: self._draw_cells(semantic) for semantic in (True, False)}

    def measure(self, row: Row) -> dict[str, Any]:
        """Train what the row needs and answer the test photos."""
        cached = self._work / "rows" / f"{ROWS.index(row)}.json"
        if cached.is_file():
            stored = json.loads(cached.read_text(encoding="utf-8"))
            if stored["of"] == self._note:
                return dict(stored["result"])
        self._progress(f"seed {self._seed}: {row.name}")
        embedded = self._embed(self._tower(row))
        answer, truth = self._answer(row, embedded)
        result = asdict(score(answer, truth))
        cached.parent.mkdir(exist_ok=True)
        cached.write_text(json.dumps({"of": self._note, "result": result}), encoding="utf-8")
        return result

    def _draw_cells(self, semantic: bool) -> CellTable:
        train = self._table.filter(pa.array(strings_of(self._table, "split") == "train"))
        latlon = np.unique(latlon_of(train), axis=0)
        config = CellConfig.of_size(self._config.photos_per_cell)
        if semantic:
            return build_cells(latlon, config)
        return rectangles(latlon, config)

    def _tower(self, row: Row) -> Path:
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
            FinetuneConfig(epochs=config.tune_epochs, batch=128, learning_rate=3e-4, workers=0,
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
        from geoloc.torch_encoder import describe

        spec = describe(f"open_clip_tokens:local-dir:{model}")
        return embed_table(
            self._table, self._photos.parent, spec, None, model.with_name("embeddings")
        )

    def _heads(self, row: Row) -> HeadConfig:
        return HeadConfig(
            tau_km=self._config.tau_km if row.smooth else 0.0, features=256, weight_decay=0.1,
            attributes=row.multitask, epochs=self._config.head_epochs, patience=10, batch=256,
            seed=self._seed,
        )  # fmt: skip

    def _answer(
        self, row: Row, embedded: EmbeddedTable
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        train, val, test = (
            _examples(embedded, split, row.panorama) for split in ("train", "val", "test")
        )
        cells = self._cells[row.semantic]
        heads, _ = fit_heads(train, cells, density_prior(cells.count), self._heads(row), val)
        features = heads.features(np.asarray(test.embeddings, np.float32))
        belief = heads.classify(features)
        if not row.refine:
            return cells.centroids[belief.argmax(axis=1)], test.latlon
        known = manifest_of(_places_table(train.latlon))
        gallery = build_gallery(
            known, heads.features(np.asarray(train.embeddings, np.float32)), cells
        )
        return refine_as_published(belief, features, gallery, cells), test.latlon


def refine_as_published(
    belief: FloatArray, features: FloatArray, gallery: Gallery, cells: CellTable
) -> npt.NDArray[np.float64]:
    """Hierarchical refinement (section 5.3), with the most similar member of the best cluster.

    Args:
        belief: (N, C) of the classifier.
        features: (N, K) unit vectors.
        gallery: training photos in location clusters.
        cells: C geocells.

    Returns:
        (N, 2) degrees.
    """
    best = np.argsort(-belief, axis=1)[:, :TOP_CELLS].astype(np.int64)
    similarity, member = gallery.inside(features, best)
    distance = np.sqrt(np.maximum(2.0 - 2.0 * similarity, 0.0))
    closeness = np.exp(-distance / TEMPERATURE)
    combined = np.take_along_axis(belief, best, axis=1) * closeness
    combined = np.where(member >= 0, combined, 0.0)
    pick = combined.argmax(axis=1)
    rows = np.arange(len(best))
    refined = gallery.members.latlon[np.maximum(member[rows, pick], 0)]
    centre = cells.centroids[best[:, 0]]
    trusted = (haversine_km(refined, centre) <= MOST_KM) & (member[rows, pick] >= 0)
    return np.where(trusted[:, None], refined, centre)


def _examples(embedded: EmbeddedTable, split: str, panorama: bool) -> Examples:
    photos = embedded.photos
    rows = np.flatnonzero(strings_of(photos, "split") == split)
    chosen, vectors = photos.take(pa.array(rows)), embedded.embeddings[rows]
    first = np.arange(len(rows))
    if panorama:
        vectors, first = mean_views(vectors, location_numbers(chosen))
    latlon = latlon_of(chosen)[first]
    weights = np.ones(len(first), np.float32)
    return Examples(vectors, latlon, weights, attributes_of(chosen).take(first))


def _places_table(latlon: npt.NDArray[np.float64]) -> pa.Table:
    return pa.table({"lat": latlon[:, 0], "lon": latlon[:, 1]})
