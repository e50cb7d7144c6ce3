"""Correlation of a photo's signature with the best window of another one's, as a crop shows it."""

from __future__ import annotations

from functools import cache

import numpy as np

from geoloc.encoders.signatures import SIDE, values
from geoloc.types import Float32Array, Float64Array, UInt8Array

SIZES = (1.0, 0.9, 0.8)
"""Sides of the windows searched first, as shares of the whole."""

STRIDE = 0.05
"""Largest distance between these windows."""

COARSE = SIDE // 2
"""Rows and columns of the grid that is compared in the first search."""

PROMISING = 0.4
"""Correlation in the first search from which a window is refined."""

MARGIN = 1
"""Cells at the edges that are not compared in the end: their surroundings are cut off."""

STEPS = (0.025, 0.012, 0.006)
"""Steps of the refinement, each tried twice along both axes."""

LARGEST = 1.05
"""Largest side of a refined window."""

MOVES = np.array(
    [[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1], [1, -1], [-1, 1], [1, -2], [-1, 2]], np.float64
)
"""Changes of (start, side) that one step tries."""

CHUNK = 128
"""Pairs compared at once, whose windows fit in a CPU's cache."""


def correlations(photos: UInt8Array, others: UInt8Array) -> Float32Array:
    """Return the correlation (N,), -1..1, of each photo with the best window of another.

    Args:
        photos: (N, SIDE, SIDE) signatures.
        others: (N, SIDE, SIDE) signatures, of which the photos may show 75-100 % of each side.
    """
    found = [np.empty(0, np.float32)]
    for at in range(0, len(photos), CHUNK):
        shown, whole = values(photos[at : at + CHUNK]), values(others[at : at + CHUNK])
        score, window = _search(shown, whole)
        rows = np.flatnonzero(score >= PROMISING)
        if len(rows):
            score[rows] = _refine(shown[rows], whole[rows], window[rows])
        found.append(score)
    return np.concatenate(found)


def _search(shown: Float32Array, whole: Float32Array) -> tuple[Float32Array, Float64Array]:
    """Return the best correlation (N,) on the coarse grid, and its windows (N, 2, 2)."""
    windows = _windows()
    sampling = _sampling(windows, COARSE)
    target = _unit(sampling[0] @ shown @ sampling[0].T)
    rows = sampling @ whole[:, None]
    score = np.stack([_correlation(rows @ each.T, target[:, None]) for each in sampling], axis=2)
    best = score.reshape(len(shown), -1).argmax(axis=1)
    down, across = np.divmod(best, len(windows))
    return score[np.arange(len(shown)), down, across], np.stack(
        [windows[down], windows[across]], axis=1
    )


def _refine(shown: Float32Array, whole: Float32Array, window: Float64Array) -> Float32Array:
    """Return the correlation (N,) after the windows (N, 2, 2) moved and grew in small steps."""
    target = _unit(shown[:, MARGIN:-MARGIN, MARGIN:-MARGIN])[:, None]
    score = np.empty(len(shown), np.float32)
    for step in np.repeat(STEPS, 2):
        for axis in (0, 1):
            moved = window[:, axis, None] + step * MOVES
            moved[..., 1] = np.minimum(moved[..., 1], LARGEST)
            tried, fixed = _inner(moved), _inner(window[:, 1 - axis])
            if axis == 0:
                pictures = tried @ (whole @ fixed.transpose(0, 2, 1))[:, None]
            else:
                pictures = (fixed @ whole)[:, None] @ tried.transpose(0, 1, 3, 2)
            tries = _correlation(pictures, target)
            window[:, axis] = moved[np.arange(len(moved)), tries.argmax(axis=1)]
            score = tries.max(axis=1)
    return score


@cache
def _windows() -> Float64Array:
    """Return the start and side (L, 2) of the windows searched first, along one axis."""
    spans = [
        (start, side)
        for side in SIZES
        for start in np.linspace(0.0, 1.0 - side, 1 + round((1.0 - side) / STRIDE))
    ]
    return np.array(spans)


def _sampling(windows: Float64Array, count: int) -> Float32Array:
    """Return matrices (..., count, SIDE) that sample windows (..., 2) at `count` points."""
    points = (np.arange(count) + 0.5) / count
    cell = (windows[..., :1] + windows[..., 1:] * points) * SIDE - 0.5
    distance = np.abs(np.clip(cell, 0.0, SIDE - 1.0)[..., None] - np.arange(SIDE))
    return np.maximum(1.0 - distance, 0.0).astype(np.float32)


def _inner(windows: Float64Array) -> Float32Array:
    """Return matrices that sample windows as signatures do, without the margin."""
    return _sampling(windows, SIDE)[..., MARGIN:-MARGIN, :]


def _unit(pictures: Float32Array) -> Float32Array:
    """Return pictures (..., H, W) with mean 0 and length 1."""
    centred = pictures - pictures.mean(axis=(-2, -1), keepdims=True)
    length = np.sqrt((centred**2).sum(axis=(-2, -1), keepdims=True))
    return np.asarray(centred / np.maximum(length, 1e-6), np.float32)


def _correlation(pictures: Float32Array, target: Float32Array) -> Float32Array:
    """Return the correlation (...,) of pictures (..., H, W) with a target from `_unit`."""
    count = pictures.shape[-1] * pictures.shape[-2]
    flat = pictures.reshape(*pictures.shape[:-2], count)
    aim = np.broadcast_to(target, pictures.shape).reshape(flat.shape)
    power = (flat**2).sum(axis=-1) - flat.sum(axis=-1) ** 2 / count
    product = (flat * aim).sum(axis=-1)
    return np.asarray(product / np.sqrt(np.maximum(power, 1e-9)), np.float32)
