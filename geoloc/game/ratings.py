"""Ratings from pairwise results: Elo and Bradley-Terry."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from geoloc.types import Float64Array

START = 1500.0
"""Initial rating, and the mean of all ratings."""

PER_STRENGTH = 400.0 / np.log(10.0)
"""Rating points per unit of log-odds: 400 points are ten to one."""

K_FACTOR = 16.0

_STEPS = 100


def elo(score: npt.NDArray[np.floating], k: float = K_FACTOR) -> Float64Array:
    """Return Elo ratings, averaged over the second half of the games (Elo 1978).

    In each period every pair plays once, and all ratings are updated together, so that the order of
    players and of pairings within a period does not matter. The average estimates the value that
    a rating fluctuates around.

    Args:
        score: (..., P, P, G) result of game G for the row's player against the column's: 1 for a
            win, 0.5 for a draw, 0 for a loss.
        k: rating points that one result can move.

    Returns:
        (..., P) ratings with mean `START`.
    """
    players = score.shape[-2]
    others = ~np.eye(players, dtype=bool)
    rating = np.full(score.shape[:-2], START)
    total, half = np.zeros(rating.shape), score.shape[-1] // 2
    for number, period in enumerate(np.moveaxis(score, -1, 0)):
        lead = rating[..., :, None] - rating[..., None, :]
        expected = 1.0 / (1.0 + 10.0 ** (-lead / 400.0))
        rating = rating + k * ((period - expected) * others).sum(axis=-1)
        if number >= half:
            total += rating
    mean: Float64Array = total / (score.shape[-1] - half)
    return mean


def bradley_terry(wins: Float64Array, prior: float = 0.5) -> Float64Array:
    """Return maximum-likelihood ratings (Bradley and Terry 1952).

    The probability that i beats j is 1 / (1 + 10^((rating_j - rating_i) / 400)). Solved by Newton's
    method on the concave log-likelihood.

    Args:
        wins: (..., P, P) games that the row's player won against the column's; a draw is half a
            win for each.
        prior: wins added to each side of each pair; with 0, a player who always wins has no finite
            rating.

    Returns:
        (..., P) ratings with mean `START`.
    """
    players = wins.shape[-1]
    won = wins * (1.0 - np.eye(players)) + prior * (1.0 - np.eye(players))
    games = won + np.swapaxes(won, -1, -2)
    strength = np.zeros(wins.shape[:-1])
    for _ in range(_STEPS):
        chance = 1.0 / (1.0 + np.exp(strength[..., None, :] - strength[..., :, None]))
        slope = (won - games * chance).sum(axis=-1)
        weight = games * chance * (1.0 - chance)
        curvature = np.eye(players) * weight.sum(axis=-1)[..., None] - weight
        # strengths are defined up to a constant; this term fixes it
        step = np.linalg.solve(curvature + 1.0 / players, slope[..., None])[..., 0]
        strength = strength + np.clip(step, -1.0, 1.0)
        if np.abs(step).max() < 1e-10:
            break
    centred: Float64Array = strength - strength.mean(axis=-1, keepdims=True)
    rating: Float64Array = START + PER_STRENGTH * centred
    return rating
