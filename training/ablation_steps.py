"""What a row of the ablation does behind the embeddings: cells, heads, refinement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from geocells.alternatives import rectangles
from geocells.build import build_cells
from geocells.config import CellConfig
from geocells.table import CellTable
from geoloc.refinement import PRESETS, refine
from training.assemble import manifest_of
from training.cluster import build_gallery
from training.fit_heads import Examples, density_prior, fit_heads
from training.head_config import HeadConfig


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


def draw_cells(latlon: npt.NDArray[np.float64], semantic: bool, photos_per_cell: int) -> CellTable:
    """Semantic geocells, or PIGEON's naive rectangles, of training photos (N, 2)."""
    config = CellConfig.of_size(photos_per_cell)
    places = np.unique(latlon, axis=0)
    return build_cells(places, config) if semantic else rectangles(places, config)


def answer(
    row: Row, cells: CellTable, config: HeadConfig, train: Examples, val: Examples, test: Examples
) -> npt.NDArray[np.float64]:
    """Train the heads of a row and answer the test photos, (N, 2) degrees."""
    heads, _ = fit_heads(train, cells, density_prior(cells.count), config, val)
    features = heads.features(np.asarray(test.embeddings, np.float32))
    belief = heads.classify(features)
    if not row.refine:
        return np.asarray(cells.centroids[belief.argmax(axis=1)])
    known = manifest_of(pa.table({"lat": train.latlon[:, 0], "lon": train.latlon[:, 1]}))
    theirs = heads.features(np.asarray(train.embeddings, np.float32))
    gallery = build_gallery(known, theirs, cells)
    return refine(PRESETS["pigeon"], belief, features, gallery, cells)
