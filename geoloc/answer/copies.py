"""Photos that show what a gallery photo shows, copies and next frames, are placed where it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise

import numpy as np

from geocells.sphere import haversine_km
from geoloc.answer.judge import CLAIM_KM
from geoloc.answer.ranker import Ranker
from geoloc.answer.ranking import Ranking
from geoloc.belief.fusion import ConstraintMask
from geoloc.photos.decode import Photo
from geoloc.retrieval.copies import LEAST_PRECISION_KM, Copies
from geoloc.types import BoolArray, Float32Array, Float64Array, Int64Array

PLACE_KM = 1.0
"""Gallery photos of one scene are closer together than this."""


@dataclass(frozen=True, eq=False)
class _Known:
    """Gallery photos that answer for photos or groups."""

    member: Int64Array
    """(N,) rows of the member table; -1 for none."""
    is_copy: BoolArray
    """(N,)"""


class CopyRecogniser:
    """Places photos of known scenes where the gallery photos of one bundle were taken."""

    def __init__(self, ranker: Ranker, copies: Copies | None) -> None:
        """Take the gallery and its signatures; without signatures nothing is recognised."""
        self._ranker, self._copies = ranker, copies

    @property
    def photos(self) -> int:
        """Number of photos in the gallery."""
        return len(self._ranker.gallery.members)

    def apply(
        self,
        ranking: Ranking,
        embeddings: Float32Array,
        groups: Sequence[Sequence[Photo]],
        constraint: ConstraintMask | None = None,
    ) -> Ranking:
        """Return a ranking in which gallery photos answer for groups that show their scenes.

        Args:
            ranking: of G groups.
            embeddings: (N, D) of all photos, group after group.
            groups: (G,) photos of one place, or single photos.
            constraint: places outside are not answered.
        """
        copies = self._copies
        photos = [photo for group in groups for photo in group]
        if copies is None or all(photo.signature is None for photo in photos):
            return ranking
        known = self._of_photos(copies, embeddings, photos, constraint)
        if not (known.member >= 0).any():
            return ranking
        starts = np.cumsum([0, *map(len, groups)])
        chosen = []
        for row, (start, end) in enumerate(pairwise(starts.tolist())):
            own = np.arange(start, end)[known.member[start:end] >= 0]
            one = self._of_group(known.member[own], known.is_copy[own], end - start)
            if one >= 0:
                chosen.append((row, own[one]))
        return self._placed(ranking, chosen, known, copies) if chosen else ranking

    def _of_photos(
        self,
        copies: Copies,
        embeddings: Float32Array,
        photos: Sequence[Photo],
        constraint: ConstraintMask | None,
    ) -> _Known:
        """Return the gallery photos that single photos are copies of, or show the scenes of."""
        gallery, frames = self._ranker.gallery, self._ranker.calibration.frames
        features = self._ranker.heads.features(embeddings)
        signatures = [photo.signature for photo in photos]
        compared = copies.compare(features, signatures, gallery, constraint)
        member = compared.copies(float(copies.threshold[0]))
        is_copy = member >= 0
        if frames is not None:
            member = np.where(is_copy, member, compared.frames(frames, gallery))
        return _Known(member, is_copy)

    def _of_group(self, member: Int64Array, is_copy: BoolArray, photos: int) -> int:
        """Return which of the recognised photos of a group answers for it; -1 for none.

        At least half of the group has to show one place, and no other one as often.
        """
        if len(member) < 2:
            return -1 if 2 * len(member) < photos else 0
        latlon = self._ranker.gallery.members.latlon[member]
        distance = haversine_km(latlon[:, None], latlon)
        near = (distance <= PLACE_KM).sum(axis=1)
        best = int(np.lexsort((~is_copy, -near))[0])
        elsewhere = near[distance[best] > PLACE_KM]
        tied = len(elsewhere) > 0 and elsewhere.max() == near[best]
        return -1 if tied or 2 * near[best] < photos else best

    def _placed(
        self, ranking: Ranking, chosen: Sequence[tuple[int, int]], known: _Known, copies: Copies
    ) -> Ranking:
        """Return a ranking with the places of gallery photos: rows, and which known photo is it."""
        result = _writable(ranking)
        rows, which = np.array(chosen).T
        places = self._ranker.gallery.members.latlon[known.member[which]]
        away = haversine_km(places[:, None], ranking.latlon[rows]) > CLAIM_KM["city"]
        for row, one, others in zip(rows.tolist(), which.tolist(), away, strict=True):
            is_copy, member = bool(known.is_copy[one]), int(known.member[one])
            self._place(result, row, member, copies, others, is_copy=is_copy)
        return result

    def _place(
        self,
        ranking: Ranking,
        row: int,
        member: int,
        copies: Copies,
        away: BoolArray,
        *,
        is_copy: bool,
    ) -> None:
        """Write the place of a gallery photo into a row of a ranking; see `_put_first`."""
        calibration, gallery = self._ranker.calibration, self._ranker.gallery
        frames = calibration.frames
        precision = max(float(copies.precision_km[member]), LEAST_PRECISION_KM)
        chance, radii = calibration.copy_chance, np.full(3, precision)
        if not is_copy and frames is not None:
            chance, radii = frames.chance, np.maximum(frames.radii_km, precision)
        place = gallery.members.latlon[member]
        cell = gallery.clusters.cell[gallery.members.cluster[member]]
        _put_first(ranking, row, int(cell), place, chance, away)
        ranking.belief[row] *= 1.0 - chance
        ranking.belief[row, cell] += chance
        ranking.answer[row], ranking.answer_cell[row] = place, cell
        ranking.answer_probability[row] = ranking.localisability[row] = chance
        ranking.radii_km[row], ranking.confidence[row] = radii, "city"
        ranking.calibrated[row], ranking.contradictory[row] = True, False
        ranking.agreement[row] = max(float(ranking.agreement[row]), chance)
        ranking.known[row], ranking.is_copy[row] = member, is_copy


def _put_first(
    ranking: Ranking, row: int, cell: int, place: Float64Array, chance: float, away: BoolArray
) -> None:
    """Make a place the first of a row; other places (P,) are left out unless they are `away`."""
    width = ranking.cell.shape[1]
    kept = np.flatnonzero((ranking.cell[row] >= 0) & away)[: width - 1]
    end = 1 + len(kept)
    rest = np.minimum(ranking.probability[row, kept], 1.0 - chance)
    ranking.latlon[row, 1:end] = ranking.latlon[row, kept]
    ranking.cell[row, 1:end] = ranking.cell[row, kept]
    ranking.place_mass[row, 1:end] = ranking.place_mass[row, kept]
    ranking.probability[row, 1:end] = rest
    ranking.cell[row, end:], ranking.place_mass[row, end:] = -1, 0.0
    ranking.probability[row, end:] = 0.0
    ranking.cell[row, 0], ranking.latlon[row, 0] = cell, place
    ranking.place_mass[row, 0] = ranking.probability[row, 0] = chance


def _writable(ranking: Ranking) -> Ranking:
    """Return a ranking with arrays of its own."""
    parts = {each.name: getattr(ranking, each.name) for each in fields(ranking)}
    return replace(ranking, **{name: value.copy() for name, value in parts.items()})
