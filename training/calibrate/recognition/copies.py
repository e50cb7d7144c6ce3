"""Fit and measure the recognition of copies: distorted photos against the same kind of view."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from PIL import Image

from geocells.sphere import haversine_km
from geoloc.answer.ranker import Ranker
from geoloc.encoders.base import ImageEncoder, Preprocessing
from geoloc.encoders.borders import without_borders
from geoloc.encoders.pipeline import encode_all
from geoloc.encoders.signatures import SIDE, signature
from geoloc.photos import decode
from geoloc.retrieval.copies import CANDIDATES, Copies
from geoloc.retrieval.windows import correlations
from geoloc.types import Float32Array, IndexArray, StrArray, UInt8Array
from training.calibrate.recognition.distortions import DISTORTIONS
from training.data.manifest import Manifest
from training.gallery.cluster import cluster_photos

COPIED = 120
"""Photos whose copies, one of each kind, are the positive examples."""

COMPARED = 2_500
"""Photos that are compared with similar photos from elsewhere, the negative examples."""

ELSEWHERE_KM = 1.0
"""A photo of another group shows another place if it is farther away than this."""

FOUND = 0.995
"""Share of the copies that pass the threshold, if it keeps other photos out."""

FALSE = 0.0005
"""Share of the photos from elsewhere that may pass the threshold."""

STRICT = 0.81
"""Smallest threshold, which FALSE of all 7,778 photos of the starter bundle passed: a library with
few examples does not lower it."""

COPY_SHARE = 0.05
"""Share of the photos asked about that are copies, for the probability that one is."""

SIMILAR = 3 * CANDIDATES
"""Similar photos of which those of the same place are left out."""


def fit_copies(
    manifest: Manifest,
    signatures: UInt8Array,
    embeddings: Float32Array,
    ranker: Ranker,
    preprocessing: Preprocessing,
    seed: int = 0,
) -> tuple[Copies, float]:
    """Return the recognition of copies of the N photos of a ranker's gallery, and how sure it is.

    Args:
        manifest: N photos, some of whose files are read again.
        signatures: (N, SIDE, SIDE) of them.
        embeddings: (N, D) of them.
        ranker: its gallery was built from these photos.
        preprocessing: of the encoder.
        seed: of the choice of examples.

    Returns:
        The copies, and the probability that a photo found to be one is a copy, if COPY_SHARE of
        the photos that are asked about are.
    """
    order = np.argsort(
        cluster_photos(manifest.latlon, ranker.cells.locate(manifest.latlon)), kind="stable"
    )
    precision_km = manifest.precision_km[order].astype(np.float32)
    copies = Copies(signatures[order], precision_km, np.array([STRICT], np.float32))
    chosen = np.random.default_rng(seed).permutation(len(manifest))
    own = _correlations_of_copies(manifest, signatures, chosen[:COPIED], preprocessing)
    rows = chosen[:COMPARED]
    others = correlations_elsewhere(
        copies, ranker, manifest.take(rows), signatures[rows], embeddings[rows],
        manifest.group[order],
    )  # fmt: skip
    limits = [STRICT, float(np.quantile(others, 1.0 - FALSE))]
    if len(own):
        limits.append(float(np.quantile(own, 1.0 - FOUND)))
    threshold = max(limits)
    found = COPY_SHARE * (float((own >= threshold).mean()) if len(own) else FOUND)
    false = (1.0 - COPY_SHARE) * max(FALSE, float((others >= threshold).mean()))
    return (
        replace(copies, threshold=np.array([threshold], np.float32)),
        found / (found + false),
    )


def correlations_elsewhere(
    copies: Copies,
    ranker: Ranker,
    manifest: Manifest,
    signatures: Sequence[UInt8Array | None] | UInt8Array,
    embeddings: Float32Array,
    group: StrArray,
) -> Float32Array:
    """Return the highest correlation (N,) of photos with similar members of other places.

    Args:
        copies: of the ranker's gallery.
        ranker: see `fit_copies`.
        manifest: N photos.
        signatures: (N,) of them.
        embeddings: (N, D) of them.
        group: (M,) groups of the members.
    """
    members, features = ranker.gallery.members, ranker.heads.features(embeddings)
    compared = copies.compare(features, list(signatures), ranker.gallery, count=SIMILAR)
    distance = haversine_km(manifest.latlon[:, None], members.latlon[compared.member])
    elsewhere = (distance > ELSEWHERE_KM) & (group[compared.member] != manifest.group[:, None])
    place = np.cumsum(elsewhere, axis=1)
    counted = elsewhere & (place <= CANDIDATES)
    return np.asarray(np.where(counted, compared.correlation, -1.0).max(axis=1), np.float32)


def measure_copies(
    ranker: Ranker, copies: Copies, manifest: Manifest, encoder: ImageEncoder
) -> float:
    """Return the share of distorted copies of photos that are found as photos of their place.

    Args:
        ranker: of a bundle that knows the photos.
        copies: of the bundle.
        manifest: N photos.
        encoder: of the bundle.
    """
    sources = [_distorted(str(file)) for file in manifest.file]
    images = [image for each in sources for image in each]
    encoded = encode_all(encoder, images, strict=True)
    features = ranker.heads.features(encoded.embeddings)
    found = copies.find(features, [photo.signature for photo in encoded.photos], ranker.gallery)
    truth = np.repeat(manifest.latlon, len(DISTORTIONS), axis=0)
    distance = haversine_km(truth, ranker.gallery.members.latlon[found])
    return float(np.mean((found >= 0) & (distance <= ELSEWHERE_KM)))


def _correlations_of_copies(
    manifest: Manifest, signatures: UInt8Array, rows: IndexArray, preprocessing: Preprocessing
) -> Float32Array:
    """Return the correlations of distorted copies of some photos with the photos themselves."""

    def shown(row: int) -> list[UInt8Array]:
        copies = _distorted(str(manifest.file[row]), preprocessing.min_side)
        return [signature(preprocessing(without_borders(each))) for each in copies]

    with ThreadPoolExecutor() as pool:
        found = list(pool.map(shown, rows.tolist()))
    drawn = np.array(found, np.uint8).reshape(-1, SIDE, SIDE)
    return correlations(drawn, np.repeat(signatures[rows], len(DISTORTIONS), axis=0))


def _distorted(file: str, min_side: int | None = None) -> Iterator[Image.Image]:
    """Yield a copy of a photo of each kind, always the same ones."""
    image = decode.load(file, min_side=min_side).image
    rng = np.random.default_rng(list(file.encode()))
    for distort in DISTORTIONS:
        yield distort(image, rng)
