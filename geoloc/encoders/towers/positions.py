"""Positions of patches: learned ones at another resolution, and rotary tables."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geoloc.types import Float32Array

_CUBIC = -0.75
"""Coefficient of the bicubic kernel, that of torch."""


@dataclass(frozen=True, eq=False)
class Rotary:
    """Rotary positions (RoPE, Su et al. 2021) of P patches, for heads of H numbers."""

    cos: Float32Array
    """(P, H)"""
    sin: Float32Array
    """(P, H)"""
    turn: Float32Array
    """(H, H) maps a row to its quarter turn, which is multiplied by the sine."""


def dinov3_rotary(side: int, head: int, theta: float = 100.0) -> Rotary:
    """Return the positions of DINOv3 for `side` by `side` patches: centres in -1..1."""
    centre = 2.0 * (np.arange(side) + 0.5) / side - 1.0
    place = np.stack(np.meshgrid(centre, centre, indexing="ij"), axis=-1).reshape(-1, 2)
    frequency = theta ** -np.arange(0.0, 1.0, 4.0 / head)
    angle = np.tile((2.0 * math.pi * place[:, :, None] * frequency).reshape(len(place), -1), 2)
    turn, half = np.zeros((head, head), np.float32), head // 2
    turn[np.arange(half) + half, np.arange(half)] = -1.0
    turn[np.arange(half), np.arange(half) + half] = 1.0
    return _rotary(angle, turn)


def perception_rotary(side: int, head: int) -> Rotary:
    """Return the positions of the Perception Encoder for `side` by `side` patches, counted from 1.

    Half of the numbers turn with the column, half with the row, in neighbouring pairs.
    """
    count = np.arange(side) + 1.0
    row, column = (each.ravel() for each in np.meshgrid(count, count, indexing="ij"))
    frequency = 10_000.0 ** -(np.arange(head // 4) / (head // 4))
    angle = np.concatenate([place[:, None] * frequency for place in (column, row)], axis=1)
    turn, even = np.zeros((head, head), np.float32), np.arange(0, head, 2)
    turn[even + 1, even], turn[even, even + 1] = -1.0, 1.0
    return _rotary(np.repeat(angle, 2, axis=1), turn)


def _rotary(angle: npt.NDArray[np.floating], turn: Float32Array) -> Rotary:
    return Rotary(np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32), turn)


def resampled(learned: Float32Array, side: int, offset: float = 0.1) -> Float32Array:
    """Return learned positions (P, D) of a square for `side` by `side` patches, as DINOv2 does.

    Bicubic, without smoothing, with DINOv2's offset: the scale is (side + offset) / old side.
    """
    old = math.isqrt(len(learned))
    if old == side:
        return learned
    weights = _bicubic(old, side, (side + offset) / old)
    grid = learned.reshape(old, old, -1).astype(np.float64)
    made = np.einsum("ir,jc,rcd->ijd", weights, weights, grid, optimize=True)
    return np.asarray(made.reshape(side * side, -1), np.float32)


def _bicubic(old: int, new: int, scale: float) -> npt.NDArray[np.float64]:
    """Return the weights (new, old) of bicubic interpolation along one axis."""
    place = (np.arange(new) + 0.5) / scale - 0.5
    first = np.floor(place).astype(int)
    weights = np.zeros((new, old))
    for step in range(-1, 3):
        away = np.abs(place - (first + step))
        near = ((_CUBIC + 2.0) * away - (_CUBIC + 3.0)) * away**2 + 1.0
        far = ((_CUBIC * away - 5.0 * _CUBIC) * away + 8.0 * _CUBIC) * away - 4.0 * _CUBIC
        column = np.clip(first + step, 0, old - 1)
        np.add.at(weights, (np.arange(new), column), np.where(away <= 1.0, near, far))
    return weights
