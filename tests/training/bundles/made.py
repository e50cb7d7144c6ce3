"""A simulated world: embeddings of places, a world bundle that was made of them, and libraries."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from geocells.partition.build import build_cells
from geocells.partition.config import CellConfig
from geocells.places import towns
from geocells.sphere import destination, unit_vectors
from geoloc.answer.calibration import Calibration
from geoloc.answer.ranker import Ranker
from geoloc.belief.background import Background
from geoloc.bundle import directory
from geoloc.encoders.base import EncoderSpec, Preprocessing, normalise
from geoloc.encoders.signatures import SIDE
from training.calibrate.answers import collect
from training.calibrate.crossval import held_out_by
from training.calibrate.fit import UNFITTED
from training.calibrate.heldout import HeldOut
from training.calibrate.questions import Masks, every_photo
from training.calibrate.stages import fit_answers
from training.config import HeadConfig
from training.data.manifest import Manifest, Skipped
from training.embed.library import Library
from training.gallery.cluster import build_gallery
from training.heads.examples import Examples
from training.heads.fit import fit_heads
from training.heads.linear import density_prior
from training.recipes.bundle_files import write_bundle

DIM = 128
SPEC = EncoderSpec("simulated", "simulated", "1", DIM, Preprocessing(32, (0.5,) * 3, (0.25,) * 3))
HEADS = HeadConfig(features=64, epochs=3, whitening=0.0)
SCALES_KM = (2.0, 20.0, 200.0, 2000.0)
"""Places closer than a scale share a quarter of their embedding."""

NOISE = 0.9
"""Length of what a photo has beside its place, whose part has length 1."""


@cache
def waves() -> tuple[np.ndarray, np.ndarray]:
    """Frequencies (3, DIM) and phases (DIM,) of the embedding of places."""
    rng = np.random.default_rng(7)
    scale = np.repeat(SCALES_KM, DIM // len(SCALES_KM))
    return rng.standard_normal((3, DIM)) * (6371.0 / scale), rng.uniform(0, 2 * np.pi, DIM)


def embed(latlon: np.ndarray, rng: np.random.Generator, noise: float = NOISE) -> np.ndarray:
    """Return embeddings (N, DIM) of photos taken at coordinates (N, 2)."""
    frequency, phase = waves()
    place = normalise(np.cos(unit_vectors(latlon) @ frequency + phase))
    other = rng.standard_normal(place.shape) * (noise / np.sqrt(DIM))
    return normalise(place + other)


def world_places(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return coordinates (count, 2) in and around the larger towns of the world."""
    table = towns()
    largest = table.points.latlon[np.argsort(-table.population)[:3000]]
    start = largest[rng.integers(0, len(largest), count)]
    return destination(start, rng.uniform(0, 360, count), rng.exponential(5.0, count))


def manifest_of(latlon: np.ndarray, group: np.ndarray, collection: str = "mine") -> Manifest:
    """Return the manifest of photos that have no files."""
    names = np.array([f"{row:06}.jpg" for row in range(len(latlon))], dtype=object)
    text = np.full(len(latlon), "", dtype=object)
    owner = np.full(len(latlon), collection, dtype=object)
    licence = np.full(len(latlon), "CC0-1.0", dtype=object)
    groups = group.astype(str).astype(object)
    return Manifest(names, latlon, groups, np.zeros(len(latlon)), owner, text, licence, owner, text)


def library(
    seed: int, places: int, photos: int, around: tuple[float, float] | None = None
) -> Library:
    """Return the photos of one person: walks of `photos` photos at so many places.

    Args:
        seed: of the walks.
        places: number of walks.
        photos: of each.
        around: they lie within some 60 km of this point, or in towns of the world.
    """
    rng = np.random.default_rng(seed)
    start = world_places(places, rng)
    if around is not None:
        start = destination(
            np.tile(around, (places, 1)), rng.uniform(0, 360, places), rng.uniform(0, 60, places)
        )
    group = np.repeat(np.arange(places), photos)
    count = len(group)
    latlon = destination(start[group], rng.uniform(0, 360, count), rng.exponential(0.7, count))
    vectors = embed(latlon, rng)
    signatures = rng.integers(0, 255, (count, SIDE, SIDE), dtype=np.uint8)
    digests = np.array([f"{seed:04x}{row:060x}" for row in range(count)], dtype=object)
    return Library(manifest_of(latlon, group), vectors, signatures, Skipped(), digests)


def elsewhere(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return coordinates (N, 2) and embeddings (N, DIM) of photos in towns of the world."""
    rng = np.random.default_rng(seed)
    latlon = world_places(count, rng)
    return latlon, embed(latlon, rng)


def background(seed: int = 3, count: int = 600) -> Background:
    """Return photos of many photographers in towns of the world."""
    latlon, vectors = elsewhere(seed, count)
    return Background.of(vectors, latlon, np.arange(count).astype(str).astype(object))


def world_ranker(
    points: int = 1500, photos: int = 1200, held_out: int = 150, seed: int = 0
) -> Ranker:
    """Return a calibrated ranker whose gallery are points, and whose heads know the world."""
    rng = np.random.default_rng(seed)
    latlon = world_places(photos, rng)
    cells = build_cells(np.unique(latlon, axis=0), CellConfig.of_size(40))
    prior = density_prior(cells.count)
    examples = Examples(embed(latlon, rng), latlon, np.ones(photos, np.float32))
    heads, _ = fit_heads(examples, cells, prior, HEADS)
    gallery_points = world_places(points, rng)
    features = heads.features(embed(gallery_points, rng, noise=0.0))
    every = manifest_of(gallery_points, np.arange(points), "points")
    gallery = build_gallery(every, features, cells, scales_km=())
    ranker = Ranker(cells, heads, gallery, UNFITTED, background())
    latlon, vectors = elsewhere(seed + 1, held_out)
    manifest = manifest_of(latlon, np.arange(len(latlon)))
    ranker.calibration = for_photos(held_out_by(ranker, manifest, vectors))
    return ranker


def for_photos(held_out: HeldOut) -> Calibration:
    """Return a calibration for single photos, which takes a fraction of the time of all kinds."""
    (ranker,) = held_out.rankers
    ranker.calibration = fit_answers(held_out)
    for fit in ("fit_places", "fit_judge"):
        answers = collect(held_out, every_photo(held_out), Masks(ranker.cells))
        judge = getattr(answers, fit)(ranker.calibration.judge("photo"))
        ranker.calibration = replace(ranker.calibration, judges={"photo": judge})
    return ranker.calibration


def write_world(folder: Path, ranker: Ranker) -> Path:
    """Write a bundle of a ranker."""
    write_bundle(
        folder, {}, SPEC, ranker, {}, f"# {folder.name}\n", {"CC0-1.0": 1},
        optional={directory.BACKGROUND: background()},
    )  # fmt: skip
    return folder
