"""How fine geocells are, and how dense units are split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Clustering = Literal["optics", "hdbscan"]


@dataclass(frozen=True)
class CellConfig:
    """The constants of the semantic geocell algorithm; the defaults are PIGEON's."""

    min_count: int = 30
    """Units with fewer photos are united with a neighbour in their country."""
    max_count: int = 60
    """Units with more photos are split."""
    rounds: tuple[tuple[int, float], ...] = ((8, 0.05), (10, 0.025), (15, 0.015))
    """(min_samples, xi) of density clustering, tried in this order on each unit."""
    clustering: Clustering = "optics"
    """What finds clusters; HDBSCAN has no xi."""
    most_sites: int = 1000
    """Photos of a unit are thinned to so many weighted sites before they are clustered."""
    touch_deg: float = 0.01
    """Units of one country are neighbours if their borders come as close; maps have gaps."""
    reach: float = 2.0
    """A unit that touches no other looks for one in its bounding box, enlarged so many times."""

    def __post_init__(self) -> None:
        if not 1 <= self.min_count <= self.max_count:
            raise ValueError(
                f"min_count {self.min_count} and max_count {self.max_count}:"
                " expected 1 <= min_count <= max_count"
            )
        if any(samples < 1 or not 0.0 < xi < 1.0 for samples, xi in self.rounds):
            raise ValueError(f"rounds {self.rounds}: expected min_samples >= 1 and 0 < xi < 1")
        if self.most_sites < 2:
            raise ValueError(f"most_sites {self.most_sites}: expected 2 or more")

    @classmethod
    def of_size(cls, max_count: int) -> CellConfig:
        """Cells of half to `max_count` photos, with PIGEON's rounds in proportion."""
        default = cls()
        share = max_count / default.max_count
        rounds = tuple((max(2, round(samples * share)), xi) for samples, xi in default.rounds)
        return cls(max(1, max_count // 2), max_count, rounds)


PRESETS = {
    "pigeon": CellConfig(),
    "pigeotto": CellConfig(1000, 2000, ((300, 0.05), (400, 0.005), (1000, 0.0001))),
}
"""PIGEON for some 100,000 street views of the world, PIGEOTTO for millions of photos."""
