"""From embedded photos to a bundle: heads, location clusters, calibration, results."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from geocells.table import CellTable
from geoloc.answer.ranker import Ranker
from geoloc.bundle import directory as bundles
from geoloc.errors import TableError
from geoloc.types import Float32Array, IndexArray
from training.calibrate.crossval import answer_all, hold_out
from training.calibrate.fit import UNFITTED
from training.config import HeadConfig
from training.data.audit import audit
from training.data.manifest import Manifest
from training.data.table import latlon_of, strings_of
from training.embed.encoders import LoadedEncoder
from training.embed.table import EmbeddedTable
from training.gallery.cluster import build_gallery
from training.heads.examples import Examples, attributes_of, location_numbers, mean_views
from training.heads.fit import density_prior, fit_heads
from training.recipes.model_card import licences, measure_part, model_card
from training.types import Embeddings

SINGLE, PANORAMA = "single views", "panoramas"

MEASURED = (
    "The results below are of the test split, of which neither pretraining, cells, heads, clusters"
    " nor calibration saw a photo; the calibration is fitted on single views of the val split."
)


@dataclass(frozen=True, eq=False)
class _Part:
    """The photos of one split: N views, and the means of the views of L places."""

    photos: pa.Table
    views: Embeddings
    location: IndexArray
    means: Embeddings
    first: IndexArray

    @property
    def panoramas(self) -> bool:
        """Whether any place has several views."""
        return len(self.first) < len(self.photos)


def assemble(
    embedded: EmbeddedTable,
    cells: CellTable,
    encoder: LoadedEncoder,
    out: Path,
    config: HeadConfig,
    *,
    made_by: str = "assemble",
    stage: Callable[[str], None] = lambda name: None,
) -> dict[str, Any]:
    """Make a bundle.

    Args:
        embedded: photos with the splits train, val and test.
        cells: drawn from the photos of the split train.
        encoder: that embedded them.
        out: the bundle's folder.
        config: of the heads.
        made_by: the command, for the model card.
        stage: told what begins.

    Returns:
        Results on the split test, as they are in bundle.json.

    Raises:
        TableError: a split is empty.
        BundleError: the bundle cannot be written.
    """
    train, val, test = (_part(embedded, split) for split in ("train", "val", "test"))
    stage("training the heads")
    prior = density_prior(cells.count)
    heads, attributes = fit_heads(
        _examples(train), cells, prior, config, _examples(val) if config.patience else None
    )
    stage("clustering places")
    places = manifest_of(train.photos).take(train.first)
    gallery = build_gallery(places, heads.features(train.means.astype(np.float32)), cells)
    stage("calibrating")
    ranker = Ranker(cells, heads, gallery, UNFITTED)
    calibration, answers = hold_out(ranker, _single(val), _single(test))
    manifest = manifest_of(test.photos)
    metrics = {SINGLE: measure_part(manifest, answers, np.arange(len(manifest)))}
    if test.panoramas:
        manifest = manifest.take(test.first)
        answers = answer_all(ranker, manifest, test.means.astype(np.float32))
        metrics[PANORAMA] = measure_part(manifest, answers, np.arange(len(manifest)))
    leaks = audit(train.photos, test.photos)
    metrics[SINGLE]["audit"] = leaks.to_dict()
    stage("writing the bundle")
    with bundles.writing(out) as folder:
        shutil.copyfile(encoder.file, folder / "encoder.onnx")
        cells.write(folder / "cells.parquet")
        heads.write(folder / "heads.safetensors")
        if attributes is not None:
            attributes.write(folder / bundles.ATTRIBUTES)
        gallery.write(folder)
        calibration.write(folder / "calibration.json")
        measured = "\n\n".join([MEASURED, "\n".join(["```text", *leaks.lines(), "```"])])
        card = model_card(out.name, places, encoder.spec, len(cells), metrics, made_by, measured)
        (folder / "MODEL_CARD.md").write_text(card, encoding="utf-8")
        bundles.seal(folder, out.name, encoder.spec, metrics, licences(places))
    return metrics


def manifest_of(photos: pa.Table) -> Manifest:
    """The columns of a photo table that answering and measuring need."""
    nothing = np.full(len(photos), "", dtype=object)
    precision = np.zeros(len(photos))
    if "precision_km" in photos.column_names:
        precision = np.nan_to_num(photos["precision_km"].cast(pa.float64()).to_numpy())
    names = ("file", "group", "source", "licence", "author")
    return Manifest(
        latlon=latlon_of(photos),
        precision_km=precision,
        collection=nothing,
        **{name: strings_of(photos, name) for name in names},
    )


def _part(embedded: EmbeddedTable, split: str) -> _Part:
    photos = embedded.photos
    rows = np.flatnonzero(strings_of(photos, "split") == split)
    if not len(rows):
        raise TableError(
            f"{embedded.folder}: no photo of the split {split}; make splits with geoloc-train split"
        )
    chosen, views = photos.take(rows), embedded.embeddings[rows]
    location = location_numbers(chosen)
    return _Part(chosen, views, location, *mean_views(views, location))


def _examples(part: _Part) -> Examples:
    """Means and single views; a place weighs the same however many views it has.

    PIGEON learns from the means alone, and so knows panoramas better than the single photos that
    people have.
    """
    attributes = attributes_of(part.photos)
    latlon = manifest_of(part.photos).latlon
    share = 1.0 / np.bincount(part.location)[part.location]
    if not part.panoramas:
        return Examples(part.views, latlon, np.ones(len(latlon), np.float32), attributes)
    rows = np.concatenate([part.first, np.arange(len(latlon))])
    weights = np.concatenate([np.ones(len(part.first)), share])
    return Examples(
        np.concatenate([part.means, part.views]),
        latlon[rows],
        np.asarray(weights / weights.mean(), np.float32),
        attributes.take(rows),
    )


def _single(part: _Part) -> tuple[Manifest, Float32Array]:
    return manifest_of(part.photos), part.views.astype(np.float32)
