"""Rounding of weights to integers that changes a layer's outputs least.

Rounding each weight to the nearest integer is not best: the error of one weight can be made up for
by its neighbours, because inputs of a layer are correlated. This is the method of GPTQ (Frantar et
al. 2023), which follows Optimal Brain Surgeon, with one scale per output channel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geoloc.types import Float32Array, Float64Array

MOST = 64
"""Largest integer of a weight: 7 bits. CPUs with AVX2 but without VNNI add pairs of products of
8-bit numbers in 16 bits, which overflow with weights of 8 bits: 2 x 255 x 127 is over 32,767."""

DAMPING = 0.01
"""Added to the diagonal of the inputs' second moments, as a share of its mean."""

SHARES = (1.0, 0.9, 0.8)
"""Range of the integers that are tried for each channel, as a share of its largest weight."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """Moments of what a layer multiplies with its weights, in G groups of K inputs."""

    mean: Float64Array
    """(G, K)"""
    second: Float64Array
    """(G, K, K) mean of the products of pairs."""


@dataclass(frozen=True, eq=False)
class Rounded:
    """Weights as integers."""

    integers: Float64Array
    """(G, O, K) -MOST..MOST."""
    scale: Float64Array
    """(G, O) of each output channel."""
    shift: Float64Array
    """(G, O) what rounding takes from the mean output, to be added to the bias."""


def round_weights(weights: Float32Array, inputs: Inputs, least: Float64Array) -> Rounded:
    """Round the weights of a layer.

    Args:
        weights: (G, O, K) of G groups with O outputs each.
        inputs: what the layer multiplies with them.
        least: (G, O) smallest scale of each output, so that its bias can be an integer as well.
    """
    largest = np.abs(weights).max(axis=2)
    scale = np.maximum(largest / MOST, least)
    integers = np.rint(weights / scale[:, :, None]).astype(np.float64)
    error = _error(integers, scale, weights, inputs)
    for share in SHARES:
        other = np.maximum(largest * share / MOST, least)
        tried = _round(weights, inputs.second, other)
        found = _error(tried, other, weights, inputs)
        better = found < error
        error, scale = np.where(better, found, error), np.where(better, other, scale)
        integers = np.where(better[:, :, None], tried, integers)
    lost = weights - integers * scale[:, :, None]
    return Rounded(integers, scale, (lost * inputs.mean[:, None]).sum(axis=2))


def _error(
    integers: Float64Array, scale: Float64Array, weights: Float32Array, inputs: Inputs
) -> Float64Array:
    """Return the mean square (G, O) of what rounding changes in the outputs."""
    difference = integers * scale[:, :, None] - weights
    return np.asarray(((difference @ inputs.second) * difference).sum(axis=2), np.float64)


def _round(weights: Float32Array, second: Float64Array, scale: Float64Array) -> Float64Array:
    """Round input after input; the others, not rounded yet, make up for the error of each."""
    power = np.einsum("gkk->gk", second)
    order = np.argsort(-power.mean(axis=0))  # important inputs first, while others can still adapt
    left = weights[:, :, order].astype(np.float64)
    moments = second[:, order][:, :, order]
    inputs = len(order)
    damping = DAMPING * power.mean(axis=1) + 1e-9
    moments[:, np.arange(inputs), np.arange(inputs)] += damping[:, None]
    effect = np.linalg.cholesky(np.linalg.inv(moments)).transpose(0, 2, 1)
    integers = np.empty_like(left)
    for k in range(inputs):
        integers[:, :, k] = np.clip(np.rint(left[:, :, k] / scale), -MOST, MOST)
        error = (left[:, :, k] - integers[:, :, k] * scale) / effect[:, k, k][:, None]
        left[:, :, k + 1 :] -= error[:, :, None] * effect[:, k, k + 1 :][:, None]
    return integers[:, :, np.argsort(order)]
