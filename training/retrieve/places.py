"""Heads of the recipe `retrieve`, in blocks of features, and the features of places.

What grows with the number of photos is in half precision in temporary files.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from geocells.sphere import group_means
from geoloc.belief.heads import Heads
from geoloc.errors import TableError
from geoloc.retrieval.bands import BandHeads
from geoloc.types import Float32Array, IndexArray, Int64Array
from training.gallery.cluster import cluster_photos
from training.retrieve.bands import Photos, fit_bands
from training.retrieve.field import REACH_KM, Covariance, PlaceField
from training.retrieve.location import LocationEncoder, contrast
from training.retrieve.settings import RetrieveRecipe
from training.types import Embeddings, Float16Array

SEARCHED_BY = {"all": 8.0, "gps": 8.0, "near": 2.0, "city": 1.0, "region": 1.0}
"""Weights of the blocks in the similarity that clusters are searched by. Coarse bands would fill
the list with the surroundings of one place; the re-ranker weighs all anew."""

_ROWS_AT_ONCE = 16_384


@dataclass(frozen=True, eq=False)
class Places:
    """Location clusters, with the features of the classifier (K) estimated there."""

    cluster: IndexArray
    """(N,) cluster of each training photo, ascending with the cell."""
    means: Float16Array
    """(L, K) mean features of the photos of each cluster."""
    by_band: dict[str, Float16Array]
    """(L, K) by the names of `field.REACH_KM`."""
    by_others: Float16Array
    """(L, K) from the photos of all other clusters."""


@dataclass(frozen=True, eq=False)
class Spaces:
    """Heads with blocks, and what describes places in them."""

    heads: BandHeads
    maps: dict[str, Float32Array]
    """(K, length) projections of the classifier's features by block: bands, "gps"."""
    encoder: LocationEncoder | None
    """Of coordinates, for the block "gps"; None without image-GPS contrast."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the blocks: "all" is the classifier's, then those of `maps`."""
        return ("all", *self.maps)

    def split(self, features: Float32Array) -> dict[str, Float32Array]:
        """Return the blocks of features (N, K) by name, with their lengths."""
        return dict(zip(self.names, np.split(features, self.heads.edges, axis=1), strict=True))


def mapped(rows: int, width: int) -> Float16Array:
    """Return an array (rows, width) in a temporary file, which is deleted with it.

    Raises:
        TableError: the disk for temporary files is full.
    """
    file, size = tempfile.TemporaryFile(), max(2 * rows * width, 1)
    try:
        os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        raise TableError(
            f"{tempfile.gettempdir()}: {error.strerror} while storing {size / 1e9:.1f} GB of"
            " features there; let the variable TMPDIR name a folder on a larger disk"
        ) from error
    return np.memmap(file, np.float16, "r+", shape=(rows, width))


def features_of(heads: Heads, embeddings: Embeddings) -> Float16Array:
    """Return the features (N, K) of embeddings (N, D), which may be mapped, in half precision."""
    features = mapped(len(embeddings), heads.projection.shape[1])
    for start in range(0, len(embeddings), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        features[rows] = heads.features(np.asarray(embeddings[rows], np.float32))
    return features


def classifier_of(heads: BandHeads) -> Heads:
    """Return the classifier that heads with blocks were made from."""
    own = heads.projection[:, : heads.blocks[0]]
    return Heads(heads.mean, own, heads.weight, heads.bias, heads.active, heads.prior, heads.shift)


def estimate_places(photos: Photos, seed: int = 0) -> Places:
    """Cluster photos, and estimate the features at each cluster from all photos around.

    Args:
        photos: N training photos, with features from `features_of`.
        seed: of the photo pairs that the covariances are fitted to.
    """
    cluster = cluster_photos(photos.latlon, photos.cell)
    count = np.bincount(cluster)
    means = _means(photos.features, cluster, count)
    field = PlaceField(
        group_means(photos.latlon, cluster, len(count)), means, count,
        Covariance.of(photos.features, photos.latlon, photos.author, seed),
    )  # fmt: skip
    shape = field.vectors.shape
    by_band = {name: mapped(*shape) for name in REACH_KM}
    by_others = mapped(*shape)
    for block in field.estimates():
        by_others[block.rows] = block.by_others
        for name, estimate in block.by_band.items():
            by_band[name][block.rows] = estimate
    return Places(cluster, means, by_band, by_others)


def _means(features: Float16Array, cluster: IndexArray, count: Int64Array) -> Float16Array:
    """Return the mean features (L, K) of each cluster (N,), a few components at a time."""
    ones = np.ones(len(cluster), np.float32)
    sums = csr_matrix((ones, (cluster, np.arange(len(cluster)))), (len(count), len(cluster)))
    means = mapped(len(count), features.shape[1])
    for start in range(0, features.shape[1], 64):
        columns = slice(start, start + 64)
        means[:, columns] = (sums @ features[:, columns].astype(np.float32)) / count[:, None]
    return means


def fit_spaces(
    plain: Heads,
    photos: Photos,
    places: Places,
    recipe: RetrieveRecipe,
    *,
    bands: bool = True,
    gps: bool = True,
) -> Spaces:
    """Fit band heads and image-GPS contrast on the features of a classifier.

    Args:
        plain: fitted classifier.
        photos: to learn from, with features from `features_of`.
        places: of these photos.
        recipe: settings.
        bands: train the band heads; an ablation goes without.
        gps: train the image-GPS contrast; an ablation goes without.
    """
    maps: dict[str, Float32Array] = {}
    if bands:
        maps |= fit_bands(photos, recipe.bands, recipe.seed)
    encoder = None
    if gps:
        located = contrast(
            photos.features, photos.latlon, (places.by_others, places.cluster), recipe.location,
            recipe.seed,
        )  # fmt: skip
        encoder, maps["gps"] = located.encoder, located.projection
    return combine(plain, maps, encoder)


def combine(plain: Heads, maps: dict[str, Float32Array], encoder: LocationEncoder | None) -> Spaces:
    """Join a classifier (K features) and the projections (K, length) of further blocks."""
    columns = [plain.projection, *(plain.projection @ each for each in maps.values())]
    blocks = np.array([part.shape[1] for part in columns], np.int32)
    share = np.array([SEARCHED_BY[name] for name in ("all", *maps)])
    scale = np.sqrt(share / share.sum()).astype(np.float32)
    heads = BandHeads(
        plain.mean, np.hstack(columns), plain.weight, plain.bias, plain.active, plain.prior,
        plain.shift, blocks, scale,
    )  # fmt: skip
    return Spaces(heads, maps, encoder)
