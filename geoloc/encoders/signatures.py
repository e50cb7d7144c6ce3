"""Signatures: small pictures of a photo's texture, by which a copy of the photo is verified.

A signature is the brightness of the photo on a grid, relative to the surroundings of each cell and
to the contrast there. Brighter and recompressed copies have the same one; a crop shows a window
of it.
"""

from __future__ import annotations

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


def signature(pixels: Float32Array) -> UInt8Array:
    """Return the signature (SIDE, SIDE) of one photo.

    Args:
        pixels: (3, size, size), the input of a network; see `Preprocessing`.
    """
    means, blur = _means(pixels.shape[1]), _gaussian()
    grey = means @ pixels.mean(axis=0) @ means.T
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


@cache
def _means(size: int) -> Float32Array:
    """Return the matrix (SIDE, size) that averages the pixels of each cell along one axis."""
    edge, pixel = np.linspace(0.0, size, SIDE + 1), np.arange(size)
    overlap = np.minimum(edge[1:, None], pixel + 1) - np.maximum(edge[:-1, None], pixel)
    share = np.maximum(overlap, 0.0)
    return np.asarray(share / share.sum(axis=1, keepdims=True), np.float32)
