"""Priors over the cells: where photos are taken, and where a bundle is used."""

from __future__ import annotations

import numpy as np

from geoloc.types import Float32Array, Float64Array, Int64Array

SHIFT = 0.5
"""Share of the correction for the prior of use that is made; see `label_shift`."""


def label_shift(trained: Float64Array, used: Float32Array) -> Float32Array:
    """Return the log odds (C,) that turn beliefs under the training prior into those of use.

    Only the share SHIFT of the whole correction (label shift, Saerens et al. 2002) is made, because
    the weights of large groups have already been reduced in training.

    Args:
        trained: (C,) weight of the training photos in each cell.
        used: (C,) prior of use.
    """
    share = trained / trained.sum()
    odds = np.log(used + 1e-12) - np.log(share + 1e-12)
    return np.asarray(np.where(trained > 0.0, SHIFT * odds, 0.0), np.float32)


def density_prior(count: Int64Array) -> Float32Array:
    """Return the prior (C,) from the number of photos in each cell; all are greater than 0."""
    share = (count + 0.1) / (count + 0.1).sum()
    return np.asarray(share, np.float32)
