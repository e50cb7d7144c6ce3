"""`Explainer`: turn rankings into guesses with place names, regions, neighbours and evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from geocells import places
from geocells.attributes import KOPPEN_CLASSES, country_driving_side
from geocells.columns import objects
from geocells.sphere import haversine_km
from geoloc.answer.packs.joined import JoinedRanker
from geoloc.answer.ranking import Ranking
from geoloc.belief.attribute_heads import AttributeHeads
from geoloc.belief.fusion import ConstraintMask, credible_region
from geoloc.guess import (
    Account,
    Attribute,
    Candidate,
    Evidence,
    Exif,
    Guess,
    Neighbour,
    Place,
    RegionCell,
)
from geoloc.photos.decode import Photo
from geoloc.types import Float32Array, Float64Array

MAX_NEIGHBOURS = 5
"""Neighbours in a `Guess`."""

MAX_REGION_CELLS = 100
"""Cells of the credible region in a `Guess`."""

MONTHS = (
    "January February March April May June July August September October November December"
).split()


class Explainer:
    """Builds the guesses of one bundle, with the evidence for each."""

    def __init__(self, ranker: JoinedRanker, heads: AttributeHeads | None) -> None:
        """Take the models of a bundle.

        Args:
            ranker: whose rankings are explained.
            heads: attribute heads; None for bundles without them.
        """
        self._ranker, self._heads = ranker, heads

    def guesses(
        self,
        bundle: str,
        ranking: Ranking,
        photos: Sequence[Photo],
        top: int,
        constraint: ConstraintMask | None = None,
        accounts: Sequence[tuple[Account, ...]] = (),
    ) -> list[Guess]:
        """Return the guess of each photo.

        Args:
            bundle: its name and form, which every guess carries.
            ranking: of N photos.
            photos: (N,) their names and metadata.
            top: number of candidates in each guess.
            constraint: under which the photos were ranked.
            accounts: (N,) of the witnesses; () for none.
        """
        latlon = np.concatenate([ranking.answer[:, None], ranking.latlon[:, :top]], axis=1)
        named = describe(latlon.reshape(-1, 2))
        per_photo = latlon.shape[1]
        within = constraint.name if constraint else None
        guesses = [
            self._guess(bundle, ranking, i, photo, named[i * per_photo :][:per_photo], within)
            for i, photo in enumerate(photos)
        ]
        if not any(accounts):
            return guesses
        return [replace(g, witnesses=a) for g, a in zip(guesses, accounts, strict=True)]

    def _guess(
        self,
        bundle: str,
        ranking: Ranking,
        i: int,
        photo: Photo,
        named: list[Place],
        within: str | None,
    ) -> Guess:
        lat, lon = map(float, ranking.answer[i])
        radius_50_km, radius_80_km, radius_95_km = map(float, ranking.radii_km[i])
        return Guess(
            photo=photo.name,
            lat=lat,
            lon=lon,
            radius_50_km=radius_50_km,
            radius_80_km=radius_80_km,
            radius_95_km=radius_95_km,
            confidence=ranking.confidence[i],
            chance_200km=float(ranking.localisability[i]),
            probability=float(ranking.answer_probability[i]),
            place=named[0],
            candidates=self._candidates(ranking, i, named[1:]),
            region=self._region(ranking, i),
            neighbours=self._neighbours(ranking, i),
            evidence=self._evidence(ranking, i),
            exif=photo.exif,
            exif_distance_km=exif_distance_km(photo.exif, lat, lon),
            bundle=bundle,
            photos=(photo.name,),
            agreement=float(ranking.agreement[i]),
            contradictory=bool(ranking.contradictory[i]),
            calibrated=bool(ranking.calibrated[i]),
            within=within,
            copy_of=self._known(ranking, i, copy=True),
            frame_of=self._known(ranking, i, copy=False),
        )

    def _candidates(self, ranking: Ranking, i: int, named: list[Place]) -> tuple[Candidate, ...]:
        return tuple(
            Candidate(
                lat=float(ranking.latlon[i, rank, 0]),
                lon=float(ranking.latlon[i, rank, 1]),
                probability=float(ranking.probability[i, rank]),
                cell_id=str(self._ranker.cells.cell_id[cell]),
                place=named[rank],
            )
            for rank, cell in enumerate(ranking.cell[i, : len(named)])
            if cell >= 0
        )

    def _region(self, ranking: Ranking, i: int) -> tuple[RegionCell, ...]:
        belief, limits = ranking.belief[i], ranking.region_limits[i].tolist()
        cell, level = credible_region(belief, limits, MAX_REGION_CELLS)
        columns = (self._ranker.cells.cell_id[cell], belief[cell], level)
        return tuple(map(RegionCell, *(column.tolist() for column in columns)))

    def _neighbours(self, ranking: Ranking, i: int) -> tuple[Neighbour, ...]:
        """Return the gallery photos most similar to photo i, with their attribution."""
        rows = ranking.neighbour[i, :MAX_NEIGHBOURS]
        return tuple(
            self._neighbour(int(row), float(similarity))
            for similarity, row in zip(ranking.similarity[i], rows, strict=False)
            if row >= 0
        )

    def _known(self, ranking: Ranking, i: int, *, copy: bool) -> Neighbour | None:
        """Return the gallery photo that photo i is a copy of, or else shows the scene of."""
        row = int(ranking.known[i])
        if row < 0 or bool(ranking.is_copy[i]) != copy:
            return None
        found = ranking.similarity[i][ranking.neighbour[i] == row]
        return self._neighbour(row, 1.0 if copy else float(found.max(initial=0.0)))

    def _neighbour(self, row: int, similarity: float) -> Neighbour:
        photo = self._ranker.members_at(np.array([row]))
        return Neighbour(
            lat=float(photo.latlon[0, 0]),
            lon=float(photo.latlon[0, 1]),
            similarity=min(similarity, 1.0),  # coded vectors are not quite unit vectors
            source=str(photo.source[0]),
            licence=str(photo.licence[0]),
            author=str(photo.author[0]),
        )

    def _evidence(self, ranking: Ranking, i: int) -> Evidence:
        cells, cell = self._ranker.cells, ranking.answer_cell[i]
        path = (cells.country[cell], cells.region[cell], cells.cell_id[cell])
        attributes = [
            self._driving_side(ranking.belief[i]),
            *self._attributes(ranking.features[i : i + 1]),
        ]
        prior, *others = map(float, ranking.source_weights[i])
        classifier, retrieval = others[0] + others[2], others[1] + others[3]
        return Evidence(tuple(map(str, path)), tuple(attributes), prior, classifier, retrieval)

    def _driving_side(self, belief: Float32Array) -> Attribute:
        """Return the more probable side of the road, from the belief (C,) in each country."""
        left = float((belief * self._drives_left).sum())
        side, chance = ("left", left) if left > 0.5 else ("right", 1.0 - left)
        return Attribute("driving side", side, chance)

    def _attributes(self, features: Float32Array) -> list[Attribute]:
        """Return the predictions of the attribute heads from features (1, K)."""
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


def describe(latlon: Float64Array) -> list[Place]:
    """Return the places of coordinates (N, 2); each distinct coordinate is looked up once."""
    distinct, back = np.unique(latlon, axis=0, return_inverse=True)
    table = places.describe(distinct)
    columns = [objects(table[name]) for name in table.column_names]
    named = [Place(*row) for row in zip(*columns, strict=True)]
    return [named[row] for row in back.ravel()]


def exif_distance_km(exif: Exif, lat: float, lon: float) -> float | None:
    """Return the distance from a place to the position in the file's EXIF; None without one."""
    if exif.lat is None or exif.lon is None:
        return None
    return float(haversine_km([lat, lon], [exif.lat, exif.lon]))
