"""Places without photos, and players of known skill."""

from pathlib import Path

import numpy as np

from geocells.sphere import destination
from geoloc.game.places import Places
from geoloc.game.protocol import Answer


def places_at(latlon: np.ndarray, views: tuple[Path, ...] = ()) -> Places:
    names = np.array([f"place {i}" for i in range(len(latlon))], dtype=object)
    return Places(names, np.asarray(latlon, float), (views,) * len(latlon), names)


class Skilled:
    """A player with a typical error, who refuses a share of the places."""

    kind = "log"

    def __init__(self, name: str, typical_km: float, refuses: float = 0.0) -> None:
        self.name, self.typical_km, self.refuses = name, typical_km, refuses
        self.asked = 0

    def ask(self, places, seconds):
        rng = np.random.default_rng(int(self.typical_km))
        miss = np.minimum(self.typical_km * rng.lognormal(0, 1, len(places)), 19_000)
        pins = destination(places.latlon, rng.uniform(0, 360, len(places)), miss)
        for (lat, lon), chance in zip(pins.tolist(), rng.random(len(places)), strict=True):
            self.asked += 1
            yield Answer(problem="refused") if chance < self.refuses else Answer(lat, lon, 0.5)
