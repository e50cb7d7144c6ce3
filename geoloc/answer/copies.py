"""Guesses about copies: the place of the known photo, which is as sure as its coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from geocells.sphere import haversine_km
from geoloc.answer.calibration import CLAIM_KM
from geoloc.answer.explain import describe, exif_distance_km
from geoloc.answer.ranker import Ranker
from geoloc.belief.fusion import ConstraintMask
from geoloc.guess import Candidate, Guess, Neighbour, RegionCell
from geoloc.photos.decode import Photo
from geoloc.retrieval.copies import LEAST_PRECISION_KM, Copies
from geoloc.types import Float32Array, Int64Array

CERTAIN = 0.99
"""Probability of the place of a copy; the rest is for another photo that looks the same."""


class CopyRecogniser:
    """Places copies of the gallery photos of one bundle where these were taken."""

    def __init__(self, ranker: Ranker, copies: Copies | None) -> None:
        """Take the gallery and its signatures; without signatures nothing is recognised."""
        self._ranker, self._copies = ranker, copies

    def apply(
        self,
        guesses: list[Guess],
        embeddings: Float32Array,
        groups: Sequence[Sequence[Photo]],
        constraint: ConstraintMask | None = None,
    ) -> list[Guess]:
        """Return guesses in which gallery photos answer for groups of their copies.

        One does if at least half of the group are copies of photos of its place.

        Args:
            guesses: (G,) about groups.
            embeddings: (N, D) of all photos, group after group.
            groups: (G,) photos of one place, or single photos.
            constraint: places outside are not answered.
        """
        copies = self._copies
        if copies is None:
            return guesses
        features, gallery = self._ranker.heads.features(embeddings), self._ranker.gallery
        signatures = [photo.signature for group in groups for photo in group]
        found = copies.find(features, signatures, gallery, constraint)
        ends = np.cumsum([len(group) for group in groups])[:-1]
        members = [self._of_group(rows) for rows in np.split(found, ends)]
        return [
            guess if row < 0 else self._answered(guess, row, float(copies.precision_km[row]))
            for guess, row in zip(guesses, members, strict=True)
        ]

    def _of_group(self, rows: Int64Array) -> int:
        """Return the gallery photo that answers for a group, from those (n,) of its photos."""
        copies = rows[rows >= 0]
        if not len(copies):
            return -1
        cluster, count = np.unique(self._ranker.gallery.members.cluster[copies], return_counts=True)
        if 2 * count.max() < len(rows):
            return -1
        place = cluster[count.argmax()]
        return int(copies[self._ranker.gallery.members.cluster[copies] == place][0])

    def _answered(self, guess: Guess, row: int, precision_km: float) -> Guess:
        gallery, cells = self._ranker.gallery, self._ranker.cells
        members = gallery.members
        lat, lon = map(float, members.latlon[row])
        (place,) = describe(members.latlon[row : row + 1])
        cell = int(gallery.clusters.cell[members.cluster[row]])
        cell_id = str(cells.cell_id[cell])
        radius = max(precision_km, LEAST_PRECISION_KM)
        others = [
            replace(each, probability=min(each.probability, 1.0 - CERTAIN))
            for each in guess.candidates
            if haversine_km((lat, lon), (each.lat, each.lon)) > CLAIM_KM["city"]
        ]
        first = Candidate(lat, lon, CERTAIN, cell_id, place)
        path = (str(cells.country[cell]), str(cells.region[cell]), cell_id)
        return replace(
            guess,
            lat=lat,
            lon=lon,
            radius_50_km=radius,
            radius_80_km=radius,
            radius_95_km=radius,
            confidence="city",
            chance_200km=CERTAIN,
            probability=CERTAIN,
            contradictory=False,
            calibrated=True,
            place=place,
            candidates=(first, *others)[: max(len(guess.candidates), 1)],
            region=(RegionCell(cell_id, CERTAIN, 0.5),),
            evidence=replace(guess.evidence, cell_path=path),
            exif_distance_km=exif_distance_km(guess.exif, lat, lon),
            witnesses=tuple(
                replace(each, lat_without=None, lon_without=None, place_without=None)
                for each in guess.witnesses
            ),
            copy_of=Neighbour(
                lat=lat,
                lon=lon,
                similarity=1.0,
                source=str(members.source[row]),
                licence=str(members.licence[row]),
                author=str(members.author[row]),
            ),
        )
