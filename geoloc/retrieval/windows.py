"""Correlation of a photo's signature with the best window of another one's, as a crop shows it."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np

from geoloc.encoders.signatures import SIDE, values
from geoloc.types import Float32Array, Float64Array, IndexArray, UInt8Array

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


def correlations(
    photos: UInt8Array, others: UInt8Array, photo: IndexArray | None = None
) -> Float32Array:
    """Return the correlation (N,), -1..1, of each photo with the best window of another.

    Args:
        photos: (P, SIDE, SIDE) signatures.
        others: (N, SIDE, SIDE) signatures, of which the photos may show 75-100 % of each side.
        photo: (N,) ascending rows of `photos` for each of the others; None for one each.
    """
    owner = np.arange(len(photos)) if photo is None else photo
    shown = values(photos)
    found = [np.empty(0, np.float32)]
    for at in range(0, len(owner), CHUNK):
        own, whole = owner[at : at + CHUNK], values(others[at : at + CHUNK])
        score, window = _search(shown, whole, own)
        rows = np.flatnonzero(score >= PROMISING)
        if len(rows):
            score[rows] = _refine(shown[own[rows]], whole[rows], window[rows])
        found.append(score)
    return np.concatenate(found)


def _search(
    shown: Float32Array, whole: Float32Array, owner: IndexArray
) -> tuple[Float32Array, Float64Array]:
    """Return the best correlation (N,) on the coarse grid, and its windows (N, 2, 2).

    The product of a target with a window of a signature is that of the signature with the target
    put back into the window: one matrix for all signatures that a photo is compared with.
    """
    windows = _windows()
    count, sampling = len(windows), _sampling(windows, COARSE)
    stacked = whole.reshape(len(whole), -1)
    product = np.empty((len(whole), count * count), np.float32)
    edges = np.flatnonzero(np.diff(owner, prepend=-1, append=-1))
    for start, end in pairwise(edges.tolist()):
        target = _unit(sampling[0] @ shown[owner[start]] @ sampling[0].T)
        back = np.matmul(sampling.transpose(0, 2, 1), target).reshape(-1, COARSE)
        put = (back @ np.hstack([*sampling])).reshape(count, SIDE, count, SIDE)
        product[start:end] = stacked[start:end] @ put.transpose(1, 3, 0, 2).reshape(SIDE**2, -1)
    score = product / _contrast(whole, sampling).reshape(len(whole), -1)
    best = score.argmax(axis=1)
    down, across = np.divmod(best, count)
    return score[np.arange(len(whole)), best], np.stack([windows[down], windows[across]], axis=1)


def _contrast(whole: Float32Array, sampling: Float32Array) -> Float32Array:
    """Return the length (N, L, L) of all windows of pictures (N, SIDE, SIDE) without their means.

    A sample is a mean of two neighbours, so that the sum of squares of a window is made of the
    products of cells with themselves and with their neighbours.
    """
    grams = np.matmul(sampling.transpose(0, 2, 1), sampling)  # (L, SIDE, SIDE), tridiagonal
    own, beside = (np.diagonal(grams, at, 1, 2) for at in (0, 1))
    power = _weighted(whole**2, own, own)
    power += 2.0 * _weighted(whole[:, :, 1:] * whole[:, :, :-1], own, beside)
    power += 2.0 * _weighted(whole[:, 1:] * whole[:, :-1], beside, own)
    crossed = whole[:, 1:, 1:] * whole[:, :-1, :-1] + whole[:, 1:, :-1] * whole[:, :-1, 1:]
    power += 2.0 * _weighted(crossed, beside, beside)
    total = _weighted(whole, sampling.sum(axis=1), sampling.sum(axis=1))
    square = power - total**2 / sampling.shape[1] ** 2
    return np.asarray(np.sqrt(np.maximum(square, 1e-9)), np.float32)


def _weighted(pictures: Float32Array, down: Float32Array, across: Float32Array) -> Float32Array:
    """Return the sums (N, L, L) of pictures (N, H, W) weighted by (L, H) and (L, W)."""
    count, height, width = pictures.shape
    rows = (pictures.reshape(-1, width) @ across.T).reshape(count, height, -1)
    sums = down @ rows.transpose(1, 0, 2).reshape(height, -1)
    return np.asarray(sums.reshape(len(down), count, -1).transpose(1, 0, 2), np.float32)


def _refine(shown: Float32Array, whole: Float32Array, window: Float64Array) -> Float32Array:
    """Return the correlation (N,) after the windows (N, 2, 2) moved and grew in small steps."""
    target = _unit(shown[:, MARGIN:-MARGIN, MARGIN:-MARGIN])
    targets = target, np.ascontiguousarray(target.transpose(0, 2, 1))
    wholes = whole, np.ascontiguousarray(whole.transpose(0, 2, 1))
    score = np.empty(len(shown), np.float32)
    for step in np.repeat(STEPS, 2):
        for axis in (0, 1):
            moved = window[:, axis, None] + step * MOVES
            moved[..., 1] = np.minimum(moved[..., 1], LARGEST)
            fixed = _sampling(window[:, 1 - axis], SIDE)[:, MARGIN:-MARGIN]
            lines = wholes[axis] @ fixed.transpose(0, 2, 1)
            tries = _along(lines, targets[axis], moved)
            best = tries.argmax(axis=1)
            window[:, axis] = moved[np.arange(len(moved)), best]
            score = tries[np.arange(len(moved)), best]
    return score


def _along(lines: Float32Array, target: Float32Array, windows: Float64Array) -> Float32Array:
    """Return the correlation (N, T) of targets with windows along the first axis of pictures.

    Args:
        lines: (N, SIDE, W) pictures that are sampled along their second axis already.
        target: (N, H, W) from `_unit`.
        windows: (N, T, 2) start and side.
    """
    pairs = len(windows)
    points = (np.arange(MARGIN, SIDE - MARGIN) + 0.5) / SIDE
    cell = (windows[..., :1] + windows[..., 1:] * points) * SIDE - 0.5
    cell = np.clip(cell, 0.0, SIDE - 1.0)
    upper = np.minimum(cell.astype(np.intp), SIDE - 2)
    share = (cell - upper).astype(np.float32)

    def sampled(table: Float32Array) -> Float32Array:
        """Return entries (N, T, H) of a table (N, H, SIDE) or (N, 1, SIDE) at the samples."""
        height = table.shape[1]
        at = upper + SIDE * (np.arange(pairs)[:, None, None] * height + np.arange(height))
        above, below = (np.take(table, at + line, mode="clip") for line in (0, 1))
        return np.asarray(above + share * (below - above), np.float32)

    product = sampled(target @ lines.transpose(0, 2, 1)).sum(axis=2)
    total = sampled(lines.sum(axis=2)[:, None]).sum(axis=2)
    own = np.einsum("nij,nij->ni", lines, lines)
    beside = np.zeros_like(own)
    beside[:, :-1] = np.einsum("nij,nij->ni", lines[:, 1:], lines[:, :-1])
    at = upper + SIDE * np.arange(pairs)[:, None, None]
    above, below, both = (
        np.take(table, at + line, mode="clip") for table, line in ((own, 0), (own, 1), (beside, 0))
    )
    rest = 1.0 - share
    power = (rest * (rest * above + 2.0 * share * both) + share**2 * below).sum(axis=2)
    power -= total**2 / target[0].size
    return np.asarray(product / np.sqrt(np.maximum(power, 1e-9)), np.float32)


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


def _unit(pictures: Float32Array) -> Float32Array:
    """Return pictures (..., H, W) with mean 0 and length 1."""
    centred = pictures - pictures.mean(axis=(-2, -1), keepdims=True)
    length = np.sqrt((centred**2).sum(axis=(-2, -1), keepdims=True))
    return np.asarray(centred / np.maximum(length, 1e-6), np.float32)
