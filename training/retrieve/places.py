"""Heads and gallery of the recipe `retrieve`: blocks of features, each smoothed for its band."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geocells.table import CellTable
from geoloc.belief.heads import Heads
from geoloc.retrieval.bands import BandHeads
from geoloc.retrieval.gallery import Gallery
from geoloc.retrieval.hubness import hubness
from geoloc.types import Float32Array, Float64Array, IndexArray, Int64Array
from training.data.manifest import Manifest
from training.gallery.cluster import cluster_photos, tables_of
from training.gallery.prototypes import SCALES_KM, prototypes
from training.retrieve.bands import Photos, fit_bands
from training.retrieve.location import LocationEncoder, contrast
from training.retrieve.settings import RetrieveRecipe

SMOOTHED_KM = {
    "all": SCALES_KM,
    "near": (0.3, 1.0, 3.0),
    "city": (1.0, 3.0, 10.0, 30.0),
    "region": (10.0, 30.0, 100.0),
}
"""Scales of the smoothing of prototypes by block; "all" is the block of the classifier."""

HUBNESS_PHOTOS = 4096
"""Photos that the hubness of the clusters is measured with."""


@dataclass(frozen=True, eq=False)
class Spaces:
    """Heads with blocks, and what describes places in the block of encoded coordinates."""

    heads: BandHeads
    names: tuple[str, ...]
    """Of the blocks: "all", bands, "gps"."""
    encoder: LocationEncoder | None
    """None without image-GPS contrast."""

    def split(self, features: Float32Array) -> dict[str, Float32Array]:
        """Return the blocks of features (N, K) by name, with their lengths."""
        return dict(zip(self.names, np.split(features, self.heads.edges, axis=1), strict=True))


def fit_spaces(
    plain: Heads,
    embeddings: Float32Array,
    latlon: Float64Array,
    cell: Int64Array,
    author: Int64Array,
    recipe: RetrieveRecipe,
    *,
    bands: bool = True,
    gps: bool = True,
) -> Spaces:
    """Fit band heads and image-GPS contrast on the features of a classifier.

    Args:
        plain: fitted classifier.
        embeddings: (N, D) of the training photos.
        latlon: (N, 2) degrees.
        cell: (N,) their cells.
        author: (N,) numbers of their authors, -1 for none.
        recipe: settings.
        bands: train the band heads; an ablation goes without.
        gps: train the image-GPS contrast; an ablation goes without.
    """
    features = plain.features(embeddings)
    maps: dict[str, Float32Array] = {}
    if bands:
        maps |= fit_bands(Photos(features, latlon, cell, author), recipe.bands, recipe.seed)
    encoder = None
    if gps:
        located = contrast(features, latlon, recipe.location, recipe.seed)
        encoder, maps["gps"] = located.encoder, located.projection
    return combine(plain, maps, encoder)


def combine(plain: Heads, maps: dict[str, Float32Array], encoder: LocationEncoder | None) -> Spaces:
    """Join a classifier (K features) and the projections (K, length) of further blocks."""
    columns = [plain.projection, *(plain.projection @ each for each in maps.values())]
    blocks = np.array([part.shape[1] for part in columns], np.int32)
    scale = np.full(len(columns), 1.0 / np.sqrt(len(columns)), np.float32)
    heads = BandHeads(
        plain.mean, np.hstack(columns), plain.weight, plain.bias, plain.active, plain.prior,
        plain.shift, blocks, scale,
    )  # fmt: skip
    return Spaces(heads, ("all", *maps), encoder)


def build_places(
    spaces: Spaces, manifest: Manifest, embeddings: Float32Array, cells: CellTable
) -> tuple[Gallery, IndexArray]:
    """Cluster photos and build the retrieval index; the block "gps" holds encoded coordinates.

    Args:
        spaces: of these photos.
        manifest: N photos.
        embeddings: (N, D).
        cells: geocells.

    Returns:
        The gallery, and the photo (N,) of each of its members.
    """
    cell = cells.locate(manifest.latlon)
    order, clusters, members = tables_of(manifest, cell, cluster_photos(manifest.latlon, cell))
    photos = spaces.split(spaces.heads.features(embeddings[order]))
    scale = dict(zip(spaces.names, spaces.heads.scale, strict=True))
    prototype: dict[str, Float32Array] = {}
    for name, block in photos.items():
        if name == "gps":
            continue
        smooth = prototypes(block, members.cluster, clusters.latlon, SMOOTHED_KM[name])
        prototype[name] = smooth * scale[name]
    if spaces.encoder is not None:
        photos["gps"] = spaces.encoder.encode(members.latlon) * scale["gps"]
        prototype["gps"] = spaces.encoder.encode(clusters.latlon) * scale["gps"]
    gallery = Gallery.build(
        clusters, members, np.hstack(list(prototype.values())), np.hstack(list(photos.values())),
        len(cells),
    )  # fmt: skip
    return gallery, order


def hubness_of(
    spaces: Spaces, gallery: Gallery, embeddings: Float32Array, latlon: Float64Array, seed: int = 0
) -> Float32Array:
    """Return the hubness (L, B) of each cluster in each block, measured with training photos.

    Args:
        spaces: with B blocks.
        gallery: L clusters.
        embeddings: (N, D) of the training photos.
        latlon: (N, 2) degrees.
        seed: of the sample.
    """
    count = min(HUBNESS_PHOTOS, len(latlon))
    rows = np.sort(np.random.default_rng(seed).choice(len(latlon), count, replace=False))
    photos = spaces.split(spaces.heads.features(embeddings[rows]))
    clusters = spaces.split(gallery.prototypes_of(np.arange(len(gallery.clusters))))
    columns = [
        hubness(clusters[name] / scale, gallery.clusters.latlon, photos[name] / scale, latlon[rows])
        for name, scale in zip(spaces.names, spaces.heads.scale, strict=True)
    ]
    return np.column_stack(columns).astype(np.float32)
