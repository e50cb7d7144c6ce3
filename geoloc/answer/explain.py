"""Why an answer is what it is: the photos that decided, the cell, what else the photo tells."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from geocells.attributes import KOPPEN_CLASSES, country_driving_side
from geoloc.answer.ranker import Ranker, Ranking
from geoloc.belief.attribute_heads import AttributeHeads
from geoloc.guess import Attribute, Evidence, Neighbour
from geoloc.types import Float32Array

SHOWN_NEIGHBOURS = 5

MONTHS = (
    "January February March April May June July August September October November December"
).split()


class Explainer:
    """Collects the evidence for the answers of one bundle."""

    def __init__(self, ranker: Ranker, heads: AttributeHeads | None) -> None:
        """Take the bundle's models; small bundles have no attribute heads."""
        self._ranker, self._heads = ranker, heads

    def evidence(self, ranking: Ranking, i: int) -> Evidence:
        """What speaks for answer i."""
        cells, cell = self._ranker.cells, ranking.cell[i, 0]
        path = (cells.country[cell], cells.region[cell], cells.cell_id[cell])
        attributes = [self._side(ranking.belief[i]), *self._learned(ranking.features[i : i + 1])]
        return Evidence(tuple(map(str, path)), tuple(attributes), *map(float, ranking.trust[i]))

    def neighbours(self, ranking: Ranking, i: int) -> tuple[Neighbour, ...]:
        """The known photos that look most like photo i, with what their licences ask to show."""
        members = self._ranker.gallery.members
        rows = ranking.neighbour[i, :SHOWN_NEIGHBOURS]
        return tuple(
            Neighbour(
                lat=float(members.latlon[row, 0]),
                lon=float(members.latlon[row, 1]),
                similarity=float(similarity),
                source=str(members.source[row]),
                licence=str(members.licence[row]),
                author=str(members.author[row]),
            )
            for similarity, row in zip(ranking.similarity[i], rows, strict=False)
            if row >= 0
        )

    def _side(self, belief: Float32Array) -> Attribute:
        """The side of the road on which the believed countries drive."""
        left = float((belief * self._drives_left).sum())
        side, chance = ("left", left) if left > 0.5 else ("right", 1.0 - left)
        return Attribute("driving side", side, chance)

    def _learned(self, features: Float32Array) -> list[Attribute]:
        """What the attribute heads see in one photo, features (1, K)."""
        if self._heads is None:
            return []
        climate, month = self._heads.climate(features)[0], self._heads.month(features)[0]
        numbers = {name: float(value[0]) for name, value in self._heads.numbers(features).items()}
        return [
            Attribute("climate", KOPPEN_CLASSES[int(climate.argmax())], float(climate.max())),
            Attribute("month", MONTHS[int(month.argmax())], float(month.max())),
            Attribute("elevation", f"{numbers['elevation_m']:.0f} m"),
            Attribute("people", f"{max(numbers['population_per_km2'], 0.0):.0f} per km²"),
            Attribute("temperature", f"{numbers['temperature_c']:.0f} °C"),
            Attribute("rain", f"{max(numbers['rain_mm'], 0.0):.0f} mm a year"),
        ]

    @cached_property
    def _drives_left(self) -> Float32Array:
        """(C,) 1 where the country of a cell drives on the left."""
        side = country_driving_side(self._ranker.cells.country.astype(object))
        return np.asarray(side == "left", np.float32)
