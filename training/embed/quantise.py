"""The int8 form of a published transformer, kept where it agrees on photos of the starter."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from geocells.sphere import haversine_km
from geoloc.bundle.directory import EMBEDDED
from geoloc.bundle.installed import STARTER
from geoloc.encoders.base import ImageEncoder
from geoloc.encoders.forms import FILES, INT8
from geoloc.encoders.onnx import OnnxEncoder
from geoloc.io import thumbnails
from geoloc.types import Float32Array
from training.embed.transformer_int8 import quantise

LEAST_COSINE = 0.99
"""Least cosine of both embeddings of the median photo."""

SAME_ANSWER_KM = 25.0
"""Answers within this distance count as the same city."""

LEAST_SAME = 0.9
"""Least share of photos with the same city. For a landscape, several places are often
equally likely, and int8 may choose another one of them."""

PHOTOS = 40
"""Sample photos for the comparison."""

_BATCH = 8

Answer = Callable[[Float32Array], npt.NDArray[np.floating]]
"""Maps embeddings (N, D) to locations (N, 2) in degrees."""


@dataclass(frozen=True)
class Agreement:
    """Agreement of a quantised network with the original."""

    photos: int
    """Number of photos compared."""
    cosine: float
    """Cosine between the two embeddings of the median photo."""
    same_city: float
    """Share of the photos with the same city."""

    @property
    def sufficient(self) -> bool:
        """Whether the quantised network may stand beside the original."""
        return self.cosine >= LEAST_COSINE and self.same_city >= LEAST_SAME

    def __str__(self) -> str:
        return (
            f"cosine {self.cosine:.4f} at the median of {self.photos} photos, the same city for"
            f" {100 * self.same_city:.0f} %"
        )


def write_int8(
    encoder: OnnxEncoder, file: Path, folder: Path, answer: Answer
) -> tuple[Path | None, str]:
    """Write the int8 form of an exported transformer, unless it gives other answers.

    Args:
        encoder: in full precision.
        file: of the encoder.
        folder: to write to.
        answer: maps embeddings to locations.

    Returns:
        The file, None if there is none; and what was found, for a model card.
    """
    path = folder / FILES[INT8]
    try:
        quantise(file, path)
    except ValueError as error:
        return None, f"no int8 form, because {error}"
    small = OnnxEncoder(replace(encoder.spec, form=INT8), folder)
    found = agreement(encoder, small, sample_photos(), answer)
    if not found.sufficient:
        path.unlink(missing_ok=True)
        return None, f"no int8 form, because it gives other answers: {found}"
    return path, f"with an int8 form: {found}"


def agreement(
    one: ImageEncoder, other: ImageEncoder, photos: list[Image.Image], answer: Answer
) -> Agreement:
    """Compare two encoders that share one preprocessing."""
    pixels = np.stack([one.spec.preprocessing(photo) for photo in photos])
    parts = np.split(pixels, range(_BATCH, len(pixels), _BATCH))
    a, b = (np.concatenate([encoder.embed(part) for part in parts]) for encoder in (one, other))
    distance_km = haversine_km(answer(a), answer(b))
    return Agreement(
        len(photos),
        float(np.median((a * b).sum(axis=1))),
        float((distance_km <= SAME_ANSWER_KM).mean()),
    )


def sample_photos() -> list[Image.Image]:
    """Return small photos of all continents: thumbnails of the starter bundle."""
    import pyarrow as pa

    path = EMBEDDED / STARTER / thumbnails.FILE
    images = pa.ipc.open_file(pa.memory_map(str(path))).read_all()["image"]
    rows = np.linspace(0, len(images) - 1, PHOTOS).astype(int).tolist()
    return [Image.open(io.BytesIO(images[row].as_py())).convert("RGB") for row in rows]
