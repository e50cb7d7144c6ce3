"""`SunWitness`: where on the Earth the sun stands as high as the user measured."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from geoloc.belief.witnesses.cell_samples import CellSamples
from geoloc.belief.witnesses.shadow import Shadow
from geoloc.belief.witnesses.solar import sub_solar_point, sun_position
from geoloc.guess import Finding
from geoloc.observation import Observation
from geoloc.photos.decode import Photo
from geoloc.types import Float32Array, Float64Array

STEP = timedelta(minutes=4)
"""The sun moves by at most one degree between two moments of a window that are tried."""

MOST_STEPS = 2000

MISTAKEN = 0.05
"""Probability that a measurement is a mistake: a slope, a wrong shadow, a wrong clock."""

CELL_DEG = 0.25
"""Added to the error for the size of the parts of a cell between two sample points."""

SAMPLING_DEG = 2.0
"""No cell has a sample point nearer to the circle than this, and four standard deviations: the sun
is so high over the open sea only."""


class SunWitness:
    """The band of the Earth where the sun has a measured elevation at a time."""

    name = "sun"

    def __init__(self, samples: CellSamples, shadow: Shadow) -> None:
        """Compute the band; it is the same for all photos.

        Args:
            samples: of the cells of a bundle.
            shadow: what the user measured.
        """
        self._shadow = shadow
        self._likelihood, self.possible = _band(samples.points, shadow)

    def evidence(self, photo: Photo) -> Observation | None:
        """Return the band as evidence, whatever the photo shows."""
        shadow = self._shadow
        if not self.possible:
            meaning = "at that time the sun is so high over no land; check measurement and time"
            return Observation(self.name, (Finding("shadow", shadow.text, meaning, used=False),))
        lat, lon = sub_solar_point(shadow.start)
        distance = 90.0 - shadow.elevation_deg
        meaning = (
            f"the sun is {shadow.elevation_deg:.1f}° ± {shadow.error_deg:.1f}° high, as on a circle"
            f" of {distance * 111.19:.0f} km around {lat:.1f}, {lon:.1f}, where it is in the zenith"
        )
        if shadow.end > shadow.start:
            meaning += f" at {shadow.start:%H:%M} UTC, and on those of the other times"
        finding = Finding("shadow", shadow.text, meaning)
        return Observation(self.name, (finding,), self._likelihood)


def _band(points: Float64Array, shadow: Shadow) -> tuple[Float32Array, bool]:
    """Return the log-likelihood (C,), and whether the sun is so high over any cell.

    Args:
        points: (C, S, 2) degrees in each cell.
        shadow: the measurement; each moment of its window is equally probable.
    """
    flat = points.reshape(-1, 2)
    span = shadow.end - shadow.start
    steps = min(max(int(span / STEP), 0) + 1, MOST_STEPS)
    moments = [shadow.start + span * (i / max(steps - 1, 1)) for i in range(steps)]
    deviation = float(np.hypot(shadow.error_deg, CELL_DEG))
    total, best = np.zeros(len(flat)), np.inf
    for moment in moments:
        elevation, _ = sun_position(flat, moment)
        z = (elevation - shadow.elevation_deg) / deviation
        best = min(best, float(np.abs(z).min()) * deviation)
        total += np.exp(-0.5 * z**2) / (deviation * np.sqrt(2 * np.pi))
    density = (total / steps).reshape(points.shape[:2]).mean(axis=1)
    # the elevations of the daylit half of the Earth are spread over 90 degrees
    likelihood = np.log((1.0 - MISTAKEN) * density + MISTAKEN / 90.0)
    return likelihood.astype(np.float32), best <= 4.0 * deviation + SAMPLING_DEG
