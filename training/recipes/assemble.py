"""Assembly of a bundle from embedded photos: heads, gallery, calibration, results, files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from geocells.table import CellTable
from geoloc.answer.ranker import Ranker
from geoloc.bundle import directory as bundles
from geoloc.encoders.cache import default_cache
from geoloc.errors import TableError
from geoloc.photos.decode import Photo
from geoloc.retrieval.pigeon import PRESETS
from geoloc.types import Float32Array, Float64Array, IndexArray
from training.calibrate.crossval import answer_held_out, calibrate_ranker
from training.calibrate.fit import UNFITTED
from training.calibrate.parts import held_out_parts
from training.config import HeadConfig
from training.data.audit import audit
from training.data.manifest import Manifest, collections_of
from training.data.packed import load_photo
from training.data.table import latlon_of, strings_of
from training.embed.encoders import LoadedEncoder
from training.embed.forms import HeldOutPhotos, with_int8
from training.embed.table import EmbeddedTable
from training.gallery.cluster import build_gallery
from training.gallery.optics import build_published_gallery
from training.heads.examples import Examples, attributes_of, location_numbers, mean_views
from training.heads.fit import fit_heads
from training.heads.linear import density_prior
from training.recipes.bundle_files import write_bundle
from training.recipes.model_card import licences, measure_part, model_card
from training.types import Embeddings

SINGLE, PANORAMA = "single views", "panoramas"

SPLIT_PROTOCOL = (
    "The results below are of the test split. Pretraining, geocells, heads, location clusters and"
    " calibration used none of its photos. The calibration is fitted on single views of the val"
    " split: what is answered, and how sure the answer is, on photos that share {shared}."
)
"""Measurement protocol of `assemble`, for the model card."""


@dataclass(frozen=True, eq=False)
class _Part:
    """The photos of one split: N views of L places."""

    photos: pa.Table
    views: Embeddings
    """(N, D)"""
    location: IndexArray
    """(N,) number of each view's place."""
    means: Embeddings
    """(L, D) mean embedding of the views of each place."""
    first: IndexArray
    """(L,) row of the first view of each place."""

    @property
    def panoramas(self) -> bool:
        """Whether at least one place has several views."""
        return len(self.first) < len(self.photos)


def assemble(
    embedded: EmbeddedTable,
    cells: CellTable,
    encoder: LoadedEncoder,
    out: Path,
    config: HeadConfig,
    *,
    published: str | None = None,
    made_by: str = "assemble",
    stage: Callable[[str], None] = lambda name: None,
    cache: Path | None = None,
) -> dict[str, Any]:
    """Fit heads, gallery and calibration on embedded photos, measure, and write a bundle.

    Args:
        embedded: embedded photos with the splits train, val and test.
        cells: geocells built from the photos of the split train.
        encoder: the encoder that made the embeddings.
        out: the bundle's folder.
        config: settings of the heads.
        published: "pigeon" or "pigeotto": cluster the places and refine the answers as published;
            None: clusters of 250 m, smoothed prototypes and a re-ranker.
        made_by: the command, for the model card.
        stage: called with the name of each stage.
        cache: folder of encoders; by default the user's cache folder.

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
    features = heads.features(train.means.astype(np.float32))
    if published is None:
        gallery, unfitted = build_gallery(places, features, cells), UNFITTED
    else:
        gallery = build_published_gallery(places, features, cells, published)
        unfitted = replace(UNFITTED, refinement=PRESETS[published])
    stage("calibrating")
    ranker = Ranker(cells, heads, gallery, unfitted)
    calibrate_ranker(ranker, *_single(val), held_out_parts(val.photos))
    metrics = _measure(ranker, test)
    stage("quantising the encoder")
    held_out = _held_out(embedded, test, ranker)
    encoder = with_int8(encoder, held_out, cache or default_cache(), stage)
    leaks = audit(train.photos, test.photos)
    metrics[SINGLE]["audit"] = leaks.to_dict()
    stage("writing the bundle")
    authors = strings_of(val.photos, "author") != ""
    shared = "no author and no place" if authors.any() else "no place (they name no author)"
    protocol = SPLIT_PROTOCOL.format(shared=shared)
    protocol = "\n\n".join([protocol, "\n".join(["```text", *leaks.lines(), "```"])])
    card = model_card(out.name, places, encoder.spec, len(cells), metrics, made_by, protocol)
    write_bundle(
        out, encoder.files, encoder.spec, ranker, metrics, card,
        licences(places), optional={bundles.ATTRIBUTES: attributes},
    )  # fmt: skip
    return metrics


def _held_out(embedded: EmbeddedTable, test: _Part, ranker: Ranker) -> HeldOutPhotos:
    """Return the single views of the split test."""

    def load(row: int, min_side: int | None) -> Photo:
        return load_photo(test.photos, embedded.folder, row, min_side=min_side)

    def answer(rows: IndexArray, embeddings: Float32Array) -> Float64Array:
        return ranker.rank(embeddings).answer

    return HeldOutPhotos(latlon_of(test.photos), load, answer)


def _measure(ranker: Ranker, test: _Part) -> dict[str, Any]:
    """Measure single views, and panoramas if there are any."""
    manifest, embeddings = _single(test)
    held_out = answer_held_out(ranker, manifest, embeddings)
    metrics = {SINGLE: measure_part(manifest, held_out, np.arange(len(manifest)))}
    if test.panoramas:
        manifest = manifest.take(test.first)
        held_out = answer_held_out(ranker, manifest, test.means.astype(np.float32))
        metrics[PANORAMA] = measure_part(manifest, held_out, np.arange(len(manifest)))
    return metrics


def manifest_of(photos: pa.Table) -> Manifest:
    """Return the columns of a photo table that galleries and measurements need."""
    empty = np.full(len(photos), "", dtype=object)
    precision = np.zeros(len(photos))
    if "precision_km" in photos.column_names:
        precision = np.nan_to_num(photos["precision_km"].cast(pa.float64()).to_numpy())
    names = ("file", "group", "source", "licence", "author")
    columns = {name: strings_of(photos, name) for name in names}
    return Manifest(
        latlon=latlon_of(photos),
        precision_km=precision,
        collection=collections_of(empty, columns["author"], columns["source"], empty),
        folder=empty,
        **columns,
    )


def _part(embedded: EmbeddedTable, split: str) -> _Part:
    """Return the photos of a split; raises TableError if there are none."""
    photos = embedded.photos
    rows = np.flatnonzero(strings_of(photos, "split") == split)
    if not len(rows):
        raise TableError(
            f"{embedded.folder}: no photo of the split {split}; make splits with geoloc-train split"
        )
    selected, views = photos.take(rows), embedded.embeddings[rows]
    location = location_numbers(selected)
    return _Part(selected, views, location, *mean_views(views, location))


def _examples(part: _Part) -> Examples:
    """Return the single views and the means of panoramas as training examples.

    All views of a place together weigh as much as its mean. PIGEON trains on the means alone, which
    favours panoramas over single photos.
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
    """Return the single views with their embeddings (N, D)."""
    return manifest_of(part.photos), part.views.astype(np.float32)
