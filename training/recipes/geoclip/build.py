"""The recipe `geoclip`: a bundle of GeoCLIP's image and location encoders, with our pipeline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from geocells.partition.build import build_cells
from geocells.partition.config import CellConfig
from geocells.sphere import destination
from geocells.table import CellTable
from geoloc.answer.ranker import Ranker
from geoloc.bundle import directory as bundles
from geoloc.encoders.towers.location import PlaceEncoder
from geoloc.errors import TableError
from geoloc.io.atomic import scratch_directory
from geoloc.io.progress import NullReporter, Reporter
from geoloc.types import Float32Array, Float64Array
from training.bundles.calibrate import fit_calibration, without_claims
from training.calibrate.crossval import (
    HeldOutAnswers,
    answer_held_out,
    calibrate_ranker,
)
from training.calibrate.fit import UNFITTED
from training.config import WorldConfig
from training.data.manifest import Manifest
from training.embed.library import read_library
from training.gallery.cluster import build_gallery
from training.heads.examples import Examples
from training.heads.linear import density_prior, fit_linear
from training.recipes.bundle_files import write_bundle
from training.recipes.geoclip.card import world_card
from training.recipes.geoclip.encoder import WorldEncoder
from training.recipes.geoclip.models import WorldModel
from training.recipes.geoclip.simulated_photos import look_alikes, simulate_embeddings
from training.recipes.model_card import measure_part

SIMULATED, REAL = "simulated photos", "your photos"
"""Names of the results in the bundle's metrics."""

DISTANCE_SPREAD = 2.2
"""Standard deviation of the log distance from a simulated photo to the nearest photo place: one in
seven is farther than 5 km. It is the distribution of nearest-neighbour distances of GeoCLIP's own
gallery with one point in twenty held out."""

MIN_PHOTOS = 200
"""Real photos needed to calibrate."""

_ENCODE_BATCH, _FEATURE_BATCH = 8192, 65_536
_MAX_LOOK_ALIKES = 100_000


def build_world(
    out: Path,
    model: WorldModel,
    points: Float64Array,
    photo_places: Float64Array,
    *,
    cache: Path,
    config: WorldConfig | None = None,
    photos: Path | None = None,
    report: Reporter | None = None,
) -> dict[str, Any]:
    """Build the bundle.

    Args:
        out: the bundle's folder.
        model: encoders of photos and places.
        points: (M, 2) degrees, the gallery: the points that an answer can be.
        photo_places: (P, 2) degrees of places with photos, which cells and prior follow.
        cache: folder of embeddings.
        config: settings; the defaults if None.
        photos: a folder or table of geotagged photos to calibrate on. Without them the calibration
            is fitted on simulated photos, and the bundle makes no claims.
        report: receives the progress.

    Returns:
        The metrics in bundle.json.

    Raises:
        BundleError: the bundle cannot be written.
        TableError: the photos are too few or unusable.
    """
    config, report = config or WorldConfig(), report or NullReporter()
    bundles.check_target(out)
    real = None if photos is None else _embed(photos, model.encoder, cache, report)
    report.stage("building geocells")
    cells = build_cells(np.unique(photo_places, axis=0), world_cells(config.per_cell))
    report.stage("encoding the gallery", len(points))
    world = _SimulatedWorld(model.location, points, photo_places, config, report)
    report.stage("training on simulated photos")
    ranker = world.ranker(cells)
    report.stage("calibrating")
    metrics = {SIMULATED: world.calibrate(ranker)}
    if real is not None:
        report.stage("calibrating on your photos")
        ranker.calibration, metrics[REAL] = fit_calibration(ranker, *real)
    with scratch_directory(out) as scratch:
        report.stage("quantising the encoder")
        encoder = model.encoder.with_int8(scratch, lambda found: ranker.rank(found).answer)
        report.stage("writing the bundle")
        files = {file.name: file for file in encoder.files}
        card = world_card(out.name, ranker, replace(model, encoder=encoder), metrics)
        write_bundle(out, files, encoder.spec, ranker, metrics, card, model.licences)
    return metrics


def world_cells(per_cell: int) -> CellConfig:
    """Return settings of cells that need no clustering library: crowded units are bisected.

    The points of a gallery are spread on purpose; over GeoCLIP's, clustering and bisecting give
    2,474 and 2,460 cells.
    """
    return replace(CellConfig.of_size(per_cell), rounds=())


class _SimulatedWorld:
    """The encoded gallery, and simulated photos near the photo places."""

    def __init__(
        self,
        encoder: PlaceEncoder,
        points: Float64Array,
        photo_places: Float64Array,
        config: WorldConfig,
        report: Reporter,
    ) -> None:
        self._encoder, self._points, self._config = encoder, points, config
        self._photo_places = photo_places
        self._rng = np.random.default_rng(config.seed)
        parts = []
        for part in np.array_split(points, -(-len(points) // _ENCODE_BATCH)):
            parts.append(encoder.embed(part).astype(np.float16))
            report.advance(len(part))
        self._vectors = np.concatenate(parts)

    def ranker(self, cells: CellTable) -> Ranker:
        """Return a ranker with heads trained on simulated photos, over the whole gallery."""
        latlon, embeddings = self.simulate(self._config.examples)
        weights = np.ones(len(latlon), np.float32)
        prior = density_prior(cells.count)
        examples = Examples(embeddings, latlon, weights)
        heads = fit_linear(examples, cells, prior, self._config.heads)
        parts = np.array_split(self._vectors, -(-len(self._vectors) // _FEATURE_BATCH))
        features = np.concatenate([heads.features(part.astype(np.float32)) for part in parts])
        gallery = build_gallery(point_manifest(self._points), features, cells, scales_km=())
        return Ranker(cells, heads, gallery, UNFITTED)

    def simulate(self, count: int) -> tuple[Float64Array, Float32Array]:
        """Return simulated photos near photo places: (N, 2) degrees and embeddings (N, D)."""
        rng = self._rng
        start = self._photo_places[rng.integers(0, len(self._photo_places), count)]
        away = rng.lognormal(np.log(self._config.off_km), DISTANCE_SPREAD, count).clip(max=1000.0)
        latlon = destination(start, rng.uniform(0.0, 360.0, count), away)
        sample = rng.choice(
            len(self._points), min(len(self._points), _MAX_LOOK_ALIKES), replace=False
        )
        others = self._vectors[sample].astype(np.float32)
        alike = look_alikes(latlon, self._points[sample], rng)
        return latlon, simulate_embeddings(self._encoder.embed(latlon), others, alike, rng)

    def calibrate(self, ranker: Ranker) -> dict[str, Any]:
        """Calibrate on simulated photos, remove all claims, and measure on other ones."""
        latlon, embeddings = self.simulate(self._config.held_out)
        calibration = calibrate_ranker(ranker, point_manifest(latlon), embeddings)
        ranker.calibration = without_claims(calibration)
        latlon, embeddings = self.simulate(self._config.held_out)
        manifest = point_manifest(latlon)
        return _measure(manifest, answer_held_out(ranker, manifest, embeddings))


def point_manifest(latlon: Float64Array) -> Manifest:
    """Return the manifest of points (N, 2) without files or metadata, each its own group."""
    empty = np.full(len(latlon), "", dtype=object)
    groups = np.arange(len(latlon)).astype(str).astype(object)
    source = np.full(len(latlon), "a point of the gallery", dtype=object)
    precision = np.zeros(len(latlon))
    return Manifest(empty, latlon, groups, precision, empty, source, empty, empty, empty)


def _embed(
    photos: Path, encoder: WorldEncoder, cache: Path, report: Reporter
) -> tuple[Manifest, Float32Array]:
    """Return real photos and their embeddings (N, D); raises TableError if they are too few."""
    library = read_library([photos], encoder.network, cache, report)
    manifest = library.manifest
    if len(manifest) < MIN_PHOTOS:
        raise TableError(
            f"{photos}: {len(manifest)} usable photos; calibrating needs at least {MIN_PHOTOS}"
        )
    return manifest, library.embeddings


def _measure(manifest: Manifest, held_out: HeldOutAnswers) -> dict[str, Any]:
    return measure_part(manifest, held_out, np.arange(len(manifest)))
