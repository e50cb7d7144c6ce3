"""`TripParameters`: the numbers of the model of a journey, which `learn` fits on held-out walks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from geoloc.errors import BundleError
from geoloc.trips.model.pace import STEADY, Pace
from geoloc.types import Float64Array

FILE = "trips.json"
"""Name of the file in a bundle; bundles without it use the defaults below."""

MODES = ("staying", "walking", "driving", "train")
"""Modes of motion on the ground; flying reaches any place with the probability of its prior."""

RADII = ("between", "beyond", "recognised", "guessed", "alone")
"""Cases with radii of their own: between two anchors, beyond the last one, the scene of another
photo, by the pictures of a journey, and by a single picture."""

RADIUS_FEATURES = 11


def _same_slopes(constants: tuple[float, ...], *slopes: float) -> tuple[tuple[float, ...], ...]:
    """Return weights whose levels differ in their constants only."""
    return tuple(_complete((each, *slopes)) for each in constants)


def _complete(weights: Sequence[float]) -> tuple[float, ...]:
    """Return weights for all features; earlier versions had 6 of them, see `Bridge.features`."""
    if len(weights) == RADIUS_FEATURES:
        return tuple(weights)
    six = (*weights, *[0.0] * (6 - len(weights)))
    return (*six, 0.0, 0.0, *six[1:4])


@dataclass(frozen=True)
class TripParameters:
    """Weights of evidence, motion by gap, and radii by case."""

    alpha: float = 0.05
    """Largest exponent of the visual evidence of a photo; see `Evidence.exponents`."""
    nowhere: float = 0.05
    """Probability that a photo shows no place, or misleads."""
    motion: tuple[tuple[float, ...], ...] = (
        (0.50, 0.40, 0.08, 0.02),
        (0.35, 0.40, 0.20, 0.05),
        (0.30, 0.30, 0.30, 0.10),
        (0.40, 0.20, 0.25, 0.15),
        (0.45, 0.20, 0.20, 0.15),
        (0.40, 0.15, 0.20, 0.25),
    )
    """(GAPS_S, MODES) shares of the modes; rows sum to 1."""
    flight: tuple[float, ...] = (1e-5, 1e-4, 1e-3, 1e-2, 0.03, 0.1)
    """By gap: probability of a flight."""
    pace: Pace = STEADY
    """When somebody moves between two known positions."""
    same_scene: float = 0.93
    """Similarity of retrieval features from which on two photos show one scene."""
    radii: dict[str, tuple[tuple[float, ...], ...]] = field(
        default_factory=lambda: {
            "between": _same_slopes((-2.2, -1.3, -0.4), 0.5, 0.3, 0.1, 0.6),
            "beyond": _same_slopes((-1.6, -0.8, 0.1), 0.6, 0.6, 0.6, 0.2, 0.5),
            "recognised": _same_slopes((-1.6, -0.5, 1.0), 0.0),
            "guessed": _same_slopes((0.0, 0.4, 0.9), 0.5, 0.5),
            "alone": _same_slopes((0.0, 0.0, 0.0), 1.0),
        }
    )
    """By case: (levels 50, 80, 95; RADIUS_FEATURES) weights of the logarithm of the radius in km;
    see `radii_km`."""
    calibrated: bool = False
    """Whether these numbers were fitted; radii of the defaults are estimates."""

    def radii_km(self, case: str, features: Float64Array) -> Float64Array:
        """Return the radii (N, 3) of N photos.

        Args:
            case: one of RADII.
            features: (N, 3, RADIUS_FEATURES), by level: a constant, and logarithms; see
                `Bridge.features` and `stretches.guessed_features`.
        """
        weights = np.asarray(self.radii[case])
        log_km = (features * weights).sum(axis=2)
        radii = np.exp(np.clip(log_km, np.log(0.005), np.log(20015.0)))
        return np.asarray(np.maximum.accumulate(radii, axis=1))

    def write(self, path: Path) -> None:
        """Write a JSON file."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> TripParameters:
        """Read a file that `write` wrote; the defaults if there is none.

        Raises:
            BundleError: it is damaged.
        """
        if not path.is_file():
            return cls()
        try:
            return cls.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BundleError(
                f"{path}: not readable ({error}); fetch or make the bundle again"
            ) from error

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TripParameters:
        """Return the parameters of a dict made by `dataclasses.asdict`."""
        radii = {case: tuple(map(_complete, values["radii"][case])) for case in RADII}
        pace = values.get("pace", asdict(STEADY))
        return cls(
            **{
                **values,
                "motion": tuple(map(tuple, values["motion"])),
                "flight": tuple(values["flight"]),
                "pace": Pace(pace["night"], tuple(pace["under_way"])),
                "radii": radii,
            }
        )
