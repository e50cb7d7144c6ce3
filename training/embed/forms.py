"""The int8 form of the encoder of a new bundle, kept where its held-out answers agree with fp32.

The activations of convolutional networks have ranges that photos calibrate; those of transformers
have a range for each token. Neither depends on the batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from geocells.sphere import haversine_km
from geoloc.encoders.base import ImageEncoder, Preprocessing
from geoloc.encoders.borders import without_borders
from geoloc.encoders.onnx import OnnxEncoder
from geoloc.encoders.pipeline import encode_pixels
from geoloc.errors import PhotoError
from geoloc.io import machine
from geoloc.io.atomic import atomic_path
from geoloc.io.digests import sha256
from geoloc.photos.decode import Photo
from geoloc.types import Float32Array, Float64Array, IndexArray, UInt8Array
from training.embed.encoders import LoadedEncoder

PHOTOS = 2304
"""Photos that are read; most of them are answered, to tell a loss of 0.3 points from chance."""

CALIBRATING = 256
"""Photos that calibrate the ranges of activations, at most a third of those that are read."""

FEWEST = 90
"""Fewer photos calibrate nothing."""

LEAST_COSINE = 0.99
"""Least cosine of both embeddings of the median photo."""

WORST_POINTS = 0.3
"""Largest loss of answers within a distance, in percentage points."""

THRESHOLDS_KM = (1.0, 25.0, 200.0, 750.0, 2500.0)

SAME = 1e-5
"""Largest difference of a number in an embedding that the batch may make."""

BATCH = 32

Load = Callable[[int, int | None], Photo]
"""Decodes the photo of a row, whose short side may shrink to some pixels; raises PhotoError."""
Answer = Callable[[IndexArray, Float32Array], npt.NDArray[np.floating]]
"""Answers rows of the photos by embeddings (N, D), with models that never saw them: (N, 2)."""


@dataclass(frozen=True, eq=False)
class HeldOutPhotos:
    """M photos with known places, and models that answer them without having seen them."""

    latlon: Float64Array
    """(M, 2) degrees."""
    load: Load
    answer: Answer


def with_int8(
    loaded: LoadedEncoder, photos: HeldOutPhotos, cache: Path, note: Callable[[str], None]
) -> LoadedEncoder:
    """Return the encoder with its int8 form, or without it where that is not as good.

    Args:
        loaded: the encoder; one that has the form already is returned as it is.
        photos: of which some calibrate the form, and others are answered in both forms.
        cache: folder of the user, where the file is kept until the bundle is written.
        note: receives a line that says what was found.
    """
    if loaded.quantised is not None:
        return loaded
    file, line = _agreeing(loaded, photos, cache)
    note(f"{'no ' if file is None else ''}int8 form of the encoder: {line}")
    return replace(loaded, quantised=file)


def _agreeing(loaded: LoadedEncoder, photos: HeldOutPhotos, cache: Path) -> tuple[Path | None, str]:
    """Return the file of a form whose answers agree, None if there is none, and what was found."""
    if loaded.spec.kind != "onnx":
        return None, "it is no ONNX network"
    rng = np.random.default_rng(0)
    rows = rng.permutation(len(photos.latlon))[:PHOTOS]
    found = _pictures(rows.tolist(), photos.load, loaded.spec.preprocessing)
    if len(found) < FEWEST:
        return None, f"fewer than {FEWEST} photos can be read"
    rows, pictures = np.array([*found]), np.stack([*found.values()])
    few = min(CALIBRATING, len(found) // 3)
    try:
        file = _quantised(loaded, pictures[:few], cache)
    except ValueError as error:
        return None, str(error)
    problem, line = _compare(loaded, file, pictures[few:], rows[few:], photos)
    return (None, f"{problem} ({line})") if problem else (file, line)


def _is_transformer(file: Path) -> bool:
    """Return whether a network multiplies matrices, beyond a head of two layers."""
    import onnx

    nodes = onnx.load(file, load_external_data=False).graph.node
    return sum(node.op_type in ("MatMul", "Gemm") for node in nodes) > 2


def _pictures(rows: Sequence[int], load: Load, pixels: Preprocessing) -> dict[int, UInt8Array]:
    """Return the pictures (3, size, size) of the rows that can be read."""

    def read(row: int) -> UInt8Array | None:
        try:
            photo = load(row, pixels.min_side)
        except PhotoError:  # named when the photos were embedded, or not on this machine
            return None
        return pixels.square(without_borders(photo.image))

    with ThreadPoolExecutor(machine.cores()) as pool:
        found = zip(rows, pool.map(read, rows), strict=True)
        return {row: picture for row, picture in found if picture is not None}


def _quantised(loaded: LoadedEncoder, pictures: UInt8Array, cache: Path) -> Path:
    """Return the file of the int8 form, made anew for other pictures or another network."""
    from training.embed import static_int8, transformer_int8

    digest = hashlib.sha256(loaded.spec.fingerprint.encode() + pictures.tobytes()).hexdigest()[:16]
    target = cache / "encoders" / f"int8-{digest}.onnx"
    if not target.is_file():
        with atomic_path(target) as temporary:
            if _is_transformer(loaded.file):
                transformer_int8.quantise(loaded.file, temporary)
            else:
                static_int8.quantise(loaded.file, temporary, loaded.spec.preprocessing, pictures)
    return target


def _compare(
    loaded: LoadedEncoder, file: Path, pictures: UInt8Array, rows: IndexArray, photos: HeldOutPhotos
) -> tuple[str, str]:
    """Return what speaks against the form, "" for nothing, and how far both agree."""
    whole = OnnxEncoder(loaded.spec, loaded.file.parent, loaded.file.name)
    spec = replace(loaded.spec, weights=sha256(file), form="int8")
    small = OnnxEncoder(spec, file.parent, file.name)
    embeddings = [_embedded(each, pictures) for each in (whole, small)]
    alone = np.concatenate([encode_pixels(small, pictures[[row]]) for row in range(BATCH // 4)])
    cosine = float(np.median((embeddings[0] * embeddings[1]).sum(axis=1)))
    within = [
        haversine_km(photos.answer(rows, each), photos.latlon[rows])[:, None] <= THRESHOLDS_KM
        for each in embeddings
    ]
    change = 100.0 * (within[1].astype(np.float64) - within[0])
    mean, error = change.mean(axis=0), change.std(axis=0) / np.sqrt(len(change))
    worst = int(mean.argmin())
    line = (
        f"cosine {cosine:.4f} at the median of {len(rows)} photos, {mean[worst]:+.1f} points within"
        f" {THRESHOLDS_KM[worst]:g} km"
    )
    if np.abs(alone - embeddings[1][: len(alone)]).max() > SAME:
        return "its answers depend on the batch", line
    if cosine < LEAST_COSINE:
        return "its embeddings differ too much", line
    # a loss counts if it is larger than the chance of so few photos explains
    lost = bool((mean + error < -WORST_POINTS).any())
    return "it answers worse" if lost else "", line


def _embedded(encoder: ImageEncoder, pictures: UInt8Array) -> Float32Array:
    parts = np.split(pictures, range(BATCH, len(pictures), BATCH))
    return np.concatenate([encode_pixels(encoder, part) for part in parts])
