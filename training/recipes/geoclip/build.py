"""The `geoclip` bundle: GeoCLIP's two encoders inside our pipeline."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from geocells.partition.build import build_cells
from geocells.partition.config import CellConfig
from geocells.sphere import destination
from geocells.table import CellTable
from geoloc.answer.calibration import Calibration, Claim
from geoloc.answer.ranker import Ranker
from geoloc.bundle import directory as bundles
from geoloc.encoders.cache import EmbeddingCache
from geoloc.encoders.pipeline import encode_all
from geoloc.errors import TableError
from geoloc.io.progress import NullReporter, Reporter
from geoloc.types import Float32Array, Float64Array
from training.calibrate.crossval import HeldOut, answer_all, calibrate, calibrate_alone
from training.calibrate.fit import NEVER, UNFITTED
from training.calibrate.scoring import Rankers
from training.config import WorldConfig
from training.data.manifest import Manifest, read
from training.data.split import assign_folds, group_weights
from training.gallery.cluster import build_gallery
from training.heads.examples import Examples
from training.heads.fit import density_prior, fit_heads
from training.recipes.geoclip.card import world_card
from training.recipes.geoclip.encoder import WorldEncoder, load_world_encoder
from training.recipes.geoclip.location_encoder import LocationEncoder
from training.recipes.geoclip.published import LICENCE, PACKAGE, Published
from training.recipes.geoclip.simulated_photos import imagine, look_alikes
from training.recipes.model_card import measure_part

SIMULATED, REAL = "simulated photos", "your photos"
"""Names of the results in the bundle's metrics."""

OFF_SPREAD = 2.2
"""Deviation of the logarithm of that distance: one in seven is farther off than 5 km. Of the places
of GeoCLIP's gallery, one in twenty held out, this far lies the nearest other."""

FEWEST_PHOTOS = 200
"""Fewer real photos cannot calibrate."""


def build_world(
    out: Path,
    points: Float64Array,
    known: Float64Array,
    *,
    cache: Path,
    config: WorldConfig | None = None,
    photos: Path | None = None,
    report: Reporter | None = None,
) -> dict[str, Any]:
    """Build the bundle.

    Args:
        out: its folder.
        points: (M, 2) degrees, the gallery: where a photo can be placed.
        known: (P, 2) degrees of places known for photos, which cells and prior follow.
        cache: folder of exported encoders and embeddings.
        config: see there.
        photos: a folder or table of geotagged photos to calibrate on. Without them the calibration
            is that of imagined photos, and the bundle claims nothing.
        report: told of progress.

    Returns:
        The metrics in bundle.json.

    Raises:
        BundleError: weights are missing or damaged, or the bundle cannot be written.
        TableError: the photos are too few or unusable.
    """
    wanted, tell = config or WorldConfig(), report or NullReporter()
    bundles.check_target(out)
    published = Published.find()
    tell.stage("loading the image encoder")
    encoder = load_world_encoder(published, cache, wanted.clip, wanted.form)
    real = None if photos is None else _embedded(photos, encoder, cache, tell)
    tell.stage("drawing geocells")
    cells = build_cells(np.unique(known, axis=0), CellConfig.of_size(wanted.per_cell))
    tell.stage("encoding the gallery", len(points))
    world = _World(published.location_encoder(), points, known, wanted, tell)
    tell.stage("learning from imagined photos")
    ranker = world.ranker(cells)
    tell.stage("calibrating")
    metrics = {SIMULATED: world.calibrate(ranker)}
    if real is not None:
        tell.stage("calibrating on your photos")
        metrics[REAL] = _calibrate_on(ranker, *real)
    tell.stage("writing the bundle")
    _write(out, encoder, ranker, metrics)
    return metrics


class _World:
    """The gallery, and photos imagined of it."""

    def __init__(
        self,
        encoder: LocationEncoder,
        points: Float64Array,
        known: Float64Array,
        config: WorldConfig,
        report: Reporter,
    ) -> None:
        self._encoder, self._points, self._known, self._config = encoder, points, known, config
        self._rng = np.random.default_rng(config.seed)
        parts = []
        for part in np.array_split(points, -(-len(points) // 8192)):
            parts.append(encoder.embed(part).astype(np.float16))
            report.advance(len(part))
        self._vectors = np.concatenate(parts)

    def ranker(self, cells: CellTable) -> Ranker:
        """Heads from imagined photos, over the gallery."""
        latlon, embeddings = self.photos(self._config.examples)
        alike = np.ones(len(latlon), np.float32)
        prior = density_prior(cells.count)
        heads, _ = fit_heads(Examples(embeddings, latlon, alike), cells, prior, self._config.heads)
        parts = np.array_split(self._vectors, -(-len(self._vectors) // 65_536))
        features = np.concatenate([heads.features(part.astype(np.float32)) for part in parts])
        gallery = build_gallery(nameless(self._points), features, cells, scales_km=())
        return Ranker(cells, heads, gallery, UNFITTED)

    def photos(self, count: int) -> tuple[Float64Array, Float32Array]:
        """Imagined photos near known places: (N, 2) degrees and embeddings (N, D)."""
        rng = self._rng
        start = self._known[rng.integers(0, len(self._known), count)]
        away = rng.lognormal(np.log(self._config.off_km), OFF_SPREAD, count).clip(max=1000.0)
        latlon = destination(start, rng.uniform(0.0, 360.0, count), away)
        some = rng.choice(len(self._points), min(len(self._points), 100_000), replace=False)
        others = self._vectors[some].astype(np.float32)
        alike = look_alikes(latlon, self._points[some], rng)
        return latlon, imagine(self._encoder.embed(latlon), others, alike, rng)

    def calibrate(self, ranker: Ranker) -> dict[str, Any]:
        """Calibrate on imagined photos, claim nothing, and measure on others."""
        latlon, embeddings = self.photos(self._config.held_out)
        ranker.calibration = silent(calibrate_alone(ranker, nameless(latlon), embeddings))
        latlon, embeddings = self.photos(self._config.held_out)
        return _measured(nameless(latlon), answer_all(ranker, nameless(latlon), embeddings))


def nameless(latlon: Float64Array) -> Manifest:
    """Photos, or points, of which nothing is known but the place."""
    nothing = np.full(len(latlon), "", dtype=object)
    alone = np.arange(len(latlon)).astype(str).astype(object)
    point = np.full(len(latlon), "a point of the gallery", dtype=object)
    exact = np.zeros(len(latlon))
    return Manifest(nothing, latlon, alone, exact, nothing, point, nothing, nothing)


def silent(calibration: Calibration) -> Calibration:
    """The same, claiming nothing: it was not tried on photographs."""
    claims = {name: Claim(claim.weights, NEVER) for name, claim in calibration.claims.items()}
    return replace(calibration, claims=claims)


def _embedded(
    photos: Path, encoder: WorldEncoder, cache: Path, tell: Reporter
) -> tuple[Manifest, Float32Array]:
    """Real photos and their embeddings (N, D); raises TableError where they are too few."""
    tell.stage("reading your photos")
    manifest, problems = read(photos)
    files = [str(file) for file in manifest.file]
    tell.stage("embedding your photos", len(files))
    with EmbeddingCache(cache, encoder.network.spec) as kept:
        encoded = encode_all(encoder.network, files, cache=kept, progress=tell.advance)
    for line in [*problems, *map(str, encoded.errors)]:
        tell.problem(line)
    manifest = manifest.take(encoded.index)
    if len(manifest) < FEWEST_PHOTOS:
        raise TableError(
            f"{photos}: {len(manifest)} usable photos; calibrating needs at least {FEWEST_PHOTOS}"
        )
    return manifest, encoded.embeddings


def _calibrate_on(ranker: Ranker, manifest: Manifest, embeddings: Float32Array) -> dict[str, Any]:
    """Calibrate on real photos; what is measured was answered by other photos' calibration."""
    fold = assign_folds(manifest, embeddings)
    models = [
        Ranker(ranker.cells, ranker.heads, ranker.gallery, UNFITTED) for _ in range(fold.max() + 1)
    ]
    asked = Rankers(models, fold, embeddings, manifest.latlon)
    ranker.calibration, held_out = calibrate(asked, group_weights(manifest.group))
    return _measured(manifest, held_out)


def _measured(manifest: Manifest, held_out: HeldOut) -> dict[str, Any]:
    return measure_part(manifest, held_out, np.arange(len(manifest)))


def _write(out: Path, encoder: WorldEncoder, ranker: Ranker, metrics: dict[str, Any]) -> None:
    with bundles.writing(out) as folder:
        for file in encoder.files:
            shutil.copyfile(file, folder / file.name)
        ranker.cells.write(folder / "cells.parquet")
        ranker.heads.write(folder / "heads.safetensors")
        ranker.gallery.write(folder)
        ranker.calibration.write(folder / "calibration.json")
        card = world_card(out.name, ranker, encoder, metrics)
        (folder / "MODEL_CARD.md").write_text(card, encoding="utf-8")
        licences = {f"{LICENCE} ({PACKAGE})": 1, f"{LICENCE} (OpenAI CLIP)": 1}
        bundles.seal(folder, out.name, encoder.spec, metrics, licences)
