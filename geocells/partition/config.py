"""Settings of the semantic geocell algorithm, and presets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Clustering = Literal["optics", "hdbscan"]


@dataclass(frozen=True)
class CellConfig:
    """Settings of the semantic geocell algorithm; the defaults are those of PIGEON."""

    min_count: int = 30
    """Units with fewer photos are merged with a neighbour in the same country."""
    max_count: int = 60
    """Units with more photos are split."""
    rounds: tuple[tuple[int, float], ...] = ((8, 0.05), (10, 0.025), (15, 0.015))
    """(min_samples, xi) of the clustering rounds, tried in this order on each unit."""
    clustering: Clustering = "optics"
    """Clustering algorithm; HDBSCAN does not use xi."""
    max_sites: int = 1000
    """Photos of a unit are thinned to at most this number of weighted sites for clustering."""
    touch_deg: float = 0.01
    """Largest gap, in degrees, between the borders of neighbours; border files have gaps."""
    reach: float = 2.0
    """A unit without neighbours may merge with units within its bounding box, scaled by this."""

    def __post_init__(self) -> None:
        if not 1 <= self.min_count <= self.max_count:
            raise ValueError(
                f"min_count {self.min_count} and max_count {self.max_count}:"
                " expected 1 <= min_count <= max_count"
            )
        if any(samples < 1 or not 0.0 < xi < 1.0 for samples, xi in self.rounds):
            raise ValueError(f"rounds {self.rounds}: expected min_samples >= 1 and 0 < xi < 1")
        if self.max_sites < 2:
            raise ValueError(f"max_sites {self.max_sites}: expected 2 or more")

    @classmethod
    def of_size(cls, max_count: int) -> CellConfig:
        """Return settings for cells of `max_count` / 2 to `max_count` photos.

        The min_samples of PIGEON's clustering rounds are scaled in proportion.
        """
        default = cls()
        share = max_count / default.max_count
        rounds = tuple((max(2, round(samples * share)), xi) for samples, xi in default.rounds)
        return cls(max(1, max_count // 2), max_count, rounds)


PRESETS = {
    "pigeon": CellConfig(),
    "pigeotto": CellConfig(1000, 2000, ((300, 0.05), (400, 0.005), (1000, 0.0001))),
}
"""PIGEON is for about 100,000 street views worldwide, PIGEOTTO for millions of photos."""
