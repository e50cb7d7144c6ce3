"""Gallery of the recipe `retrieve`: each block of features has prototypes of its own."""

from __future__ import annotations

import numpy as np

from geocells.table import CellTable
from geoloc.encoders.base import normalise
from geoloc.retrieval.bands import BandHeads
from geoloc.retrieval.gallery import Gallery
from geoloc.retrieval.hubness import hubness
from geoloc.types import Float32Array, Float64Array, IndexArray
from training.data.manifest import Manifest
from training.gallery.cluster import tables_of
from training.gallery.prototypes import blended
from training.retrieve.places import Places, Spaces, mapped
from training.types import Embeddings, Float16Array

HUBNESS_PHOTOS = 4096
"""Photos that the hubness of the clusters is measured with."""

_ROWS_AT_ONCE = 16_384


def build_places(
    spaces: Spaces,
    manifest: Manifest,
    features: Float16Array,
    places: Places,
    cells: CellTable,
) -> tuple[Gallery, IndexArray]:
    """Build the retrieval index; the block "gps" holds encoded coordinates.

    Args:
        spaces: of these photos.
        manifest: N photos.
        features: (N, K) of the classifier, from `features_of`.
        places: of these photos.
        cells: geocells.

    Returns:
        The gallery, and the photo (N,) of each of its members.
    """
    cell = cells.locate(manifest.latlon)
    order, clusters, members = tables_of(manifest, cell, places.cluster)
    width = spaces.heads.projection.shape[1]
    prototype, photos = mapped(len(clusters), width), mapped(len(members), width)
    every = np.arange(len(clusters))
    of_block = zip(spaces.names, _columns(spaces.heads), spaces.heads.scale, strict=True)
    for name, columns, length in of_block:
        of_clusters, of_members = prototype[:, columns], photos[:, columns]
        if name == "gps":
            assert spaces.encoder is not None
            full = places.by_band["near"]
            of_clusters[:] = spaces.encoder.encode(clusters.latlon, full, every) * length
            for start in range(0, len(members), _ROWS_AT_ONCE):
                rows = slice(start, start + _ROWS_AT_ONCE)
                own = spaces.encoder.encode(members.latlon[rows], full, members.cluster[rows])
                of_members[rows] = own * length
        elif name == "all":
            of_clusters[:] = blended(places.means, clusters.count, clusters.latlon) * length
            _project(features, order, None, length, of_members)
        else:
            projection = spaces.maps[name]
            _project(places.by_band[name], every, projection, length, of_clusters)
            _project(features, order, projection, length, of_members)
    return Gallery.build(clusters, members, prototype, photos, len(cells)), order


def _columns(heads: BandHeads) -> list[slice]:
    """Return the columns of each block."""
    ends = np.cumsum(heads.blocks)
    return [slice(int(end - size), int(end)) for end, size in zip(ends, heads.blocks, strict=True)]


def _project(
    features: Float16Array,
    rows: IndexArray,
    projection: Float32Array | None,
    length: np.float32,
    out: Float16Array,
) -> None:
    """Write rows (M,) of features (N, K), projected (K, width) and of one length, to `out`."""
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        block = features[rows[start : start + _ROWS_AT_ONCE]].astype(np.float32)
        projected = block if projection is None else block @ projection
        out[start : start + _ROWS_AT_ONCE] = normalise(projected) * length


def hubness_of(
    spaces: Spaces, gallery: Gallery, embeddings: Embeddings, latlon: Float64Array, seed: int = 0
) -> Float32Array:
    """Return the hubness (L, B) of each cluster in each block, measured with training photos.

    Args:
        spaces: with B blocks.
        gallery: L clusters.
        embeddings: (N, D) of the training photos, which may be mapped.
        latlon: (N, 2) degrees.
        seed: of the sample.
    """
    count = min(HUBNESS_PHOTOS, len(latlon))
    rows = np.sort(np.random.default_rng(seed).choice(len(latlon), count, replace=False))
    photos = spaces.split(spaces.heads.features(np.asarray(embeddings[rows], np.float32)))
    clusters, found = np.arange(len(gallery.clusters)), []
    for start in range(0, len(clusters), _ROWS_AT_ONCE):
        part = clusters[start : start + _ROWS_AT_ONCE]
        own = spaces.split(gallery.prototypes_of(part))
        found.append(
            np.column_stack([
                hubness(own[name] / scale, gallery.clusters.latlon[part], photos[name] / scale,
                        latlon[rows])
                for name, scale in zip(spaces.names, spaces.heads.scale, strict=True)
            ])
        )  # fmt: skip
    return np.concatenate(found).astype(np.float32)
