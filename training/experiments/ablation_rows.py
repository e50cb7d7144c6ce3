"""The rows of the ablation, and their steps after embedding: cells, heads, refinement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from geocells.partition.alternatives import rectangles
from geocells.partition.build import build_cells
from geocells.partition.config import CellConfig
from geocells.table import CellTable
from geoloc.retrieval.pigeon import PRESETS, refine
from geoloc.types import Float64Array
from training.config import HeadConfig
from training.gallery.optics import build_published_gallery
from training.heads.examples import Examples
from training.heads.fit import fit_heads
from training.heads.linear import density_prior
from training.recipes.assemble import manifest_of


@dataclass(frozen=True)
class Row:
    """A row of the ablation table, with the steps that it includes."""

    name: str
    tune: bool
    """Fine-tune the last block with the heads; PIGEON itself keeps it frozen."""
    refine: bool = False
    """Refine the location inside the best cells by retrieval."""
    pretrained: bool = False
    """Pretrain on captions of places; otherwise on climate, month and heading only."""
    semantic: bool = False
    """Semantic geocells; otherwise rectangles."""
    multitask: bool = False
    """Train attribute heads too."""
    panorama: bool = False
    """Average the four views of a place; otherwise use the first one."""
    smooth: bool = False
    """Haversine-smoothed labels."""


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


EMBEDDED_ROWS = (
    Row("PIGEON", False, True, True, True, True, True, True),
    Row("- refinement", False, False, True, True, True, True, True),
    Row("- semantic geocells", False, False, True, False, True, True, True),
    Row("- multi-task heads", False, False, True, False, False, True, True),
    Row("- panorama of four", False, False, True, False, False, False, True),
    Row("- haversine smoothing", False, False, True, False, False, False, False),
)
"""The rows that train no tower."""


def draw_cells(latlon: Float64Array, semantic: bool, photos_per_cell: int) -> CellTable:
    """Partition training photos (N, 2) into semantic geocells or PIGEON's naive rectangles."""
    config = CellConfig.of_size(photos_per_cell)
    places = np.unique(latlon, axis=0)
    return build_cells(places, config) if semantic else rectangles(places, config)


def answer(
    row: Row, cells: CellTable, config: HeadConfig, train: Examples, val: Examples, test: Examples
) -> Float64Array:
    """Train the heads of a row; return the predicted locations of the test photos (N, 2)."""
    heads, _ = fit_heads(train, cells, density_prior(cells.count), config, val)
    features = heads.features(np.asarray(test.embeddings, np.float32))
    posterior = heads.classify(features)
    if not row.refine:
        return np.asarray(cells.centroids[posterior.argmax(axis=1)])
    manifest = manifest_of(pa.table({"lat": train.latlon[:, 0], "lon": train.latlon[:, 1]}))
    train_features = heads.features(np.asarray(train.embeddings, np.float32))
    gallery = build_published_gallery(manifest, train_features, cells, "pigeon")
    return refine(PRESETS["pigeon"], posterior, features, gallery, cells).latlon
