"""Signatures: small pictures of a photo's texture, by which a copy of the photo is verified.

A signature is the brightness of the photo on a grid, relative to the surroundings of each cell and
to the contrast there. Brighter and recompressed copies have the same one; a crop shows a window
of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from geoloc.types import Float32Array, UInt8Array

SIDE = 24
"""Rows and columns of a signature, which has one byte for each cell."""

SURROUNDINGS = 2.0
"""Standard deviation, in cells, of the Gaussian weights of a cell's surroundings."""

FLOOR = 0.3
"""Local contrast, as a share of the photo's mean, below which noise is not amplified."""

GREY, STEP = 128.0, 40.0
"""Stored values of a cell like its surroundings, and of one unit of local contrast."""


def signature(
    pixels: Float32Array | UInt8Array, std: Sequence[float] = (1 / 255,) * 3
) -> UInt8Array:
    """Return the signature (SIDE, SIDE) of one photo.

    Args:
        pixels: (3, size, size), the input of a network, or the same before normalisation; see
            `Preprocessing`.
        std: by which normalisation would divide each channel, of values in 0..1; for an input of a
            network the default, which leaves it as it is.
    """
    weights = [np.float32(1.0 / (3.0 * 255.0 * each)) for each in std]
    grey = _cell_means(sum(w * channel for w, channel in zip(weights, pixels, strict=True)))
    blur = _gaussian()
    detail = grey - blur @ grey @ blur.T
    power = blur @ detail**2 @ blur.T
    scaled = detail / np.sqrt(power + FLOOR**2 * power.mean() + 1e-9)
    return np.asarray(np.clip(np.rint(GREY + STEP * scaled), 0, 255), np.uint8)


def values(signatures: UInt8Array) -> Float32Array:
    """Return signatures (..., SIDE, SIDE) in units of local contrast."""
    return (signatures.astype(np.float32) - np.float32(GREY)) / np.float32(STEP)


@cache
def _gaussian() -> Float32Array:
    """Return the matrix (SIDE, SIDE) that blurs one axis."""
    cell = np.arange(SIDE)
    weight = np.exp(-0.5 * ((cell[:, None] - cell) / SURROUNDINGS) ** 2)
    return np.asarray(weight / weight.sum(axis=1, keepdims=True), np.float32)


def _cell_means(grey: Float32Array) -> Float32Array:
    """Return the mean (SIDE, SIDE) of a picture (size, size) in each cell of the grid.

    A matrix product would start the threads of BLAS, which then wait on the cores that decode
    other photos.
    """
    size = len(grey)
    edge = np.linspace(0.0, size, SIDE + 1)
    whole = np.minimum(edge.astype(np.intp), size - 1)
    part = (edge - whole)[:, None].astype(np.float32)  # 1 at the end: the last line is added again
    values = grey
    for _ in range(2):  # rows, then columns
        sums = np.add.reduceat(values, whole[:-1], axis=0)
        sums[-1] -= values[-1]
        cut = part * values[whole]
        values = np.ascontiguousarray((sums - cut[:-1] + cut[1:]).T) * np.float32(SIDE / size)
    return values
