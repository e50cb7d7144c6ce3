"""`ScriptIdentifier`: the script of a line that the recogniser may not be able to read.

What the recogniser makes of strange letters is characteristic: it hesitates between other letters
in Hangul than in Thai. Its log-probabilities of some characters, their mean and their maximum along
the line, therefore tell the scripts apart; `training.witnesses.scripts` fits the linear classifier
on simulated signs and on false detections in photos.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from safetensors import safe_open

from geoloc.belief.heads import softmax
from geoloc.types import Float32Array, Int64Array

WEIGHTS = Path(__file__).with_name("scripts.safetensors")

CHARACTERS = 512
"""Characters whose probabilities are used."""

NOTHING = "none"
"""Class of detections that are no text."""

_FLOOR = 1e-9


def characters(count: int) -> Int64Array:
    """Return the classes, of `count`, whose probabilities are used: the Latin ones and a sample."""
    rng = np.random.default_rng(1)
    sample = rng.choice(np.arange(220, count), CHARACTERS - 220, replace=False)
    return np.unique(np.concatenate([np.arange(220), sample]))


def describe(probabilities: Float32Array, classes: Int64Array) -> Float32Array:
    """Return the features (2 x CHARACTERS,) of a line.

    Args:
        probabilities: (T, number of characters) from the recogniser.
        classes: from `characters`.
    """
    log = np.log(probabilities[:, classes] + _FLOOR)
    log -= log.mean(axis=1, keepdims=True)
    return np.concatenate([log.mean(axis=0), log.max(axis=0)]).astype(np.float32)


@dataclass(frozen=True, eq=False)
class ScriptIdentifier:
    """A linear classifier of lines."""

    names: tuple[str, ...]
    """(S,) scripts, and NOTHING."""
    weight: Float32Array
    """(2 x CHARACTERS, S)"""
    bias: Float32Array
    """(S,)"""

    def __call__(self, features: Float32Array) -> dict[str, float]:
        """Return the probability of each script from features (2 x CHARACTERS,)."""
        chance = softmax((features @ self.weight + self.bias)[None])[0]
        return dict(zip(self.names, chance.tolist(), strict=True))

    @classmethod
    @cache
    def load(cls) -> ScriptIdentifier:
        """Return the classifier that is part of the package."""
        with safe_open(WEIGHTS, "np") as file:
            names = tuple(file.metadata()["names"].split())
            weight, bias = (file.get_tensor(name) for name in ("weight", "bias"))
        return cls(names, weight.astype(np.float32), bias.astype(np.float32))
