"""The public way to ask: photos in, `Guess` out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache, cached_property
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from geocells import places
from geocells.columns import objects
from geocells.sphere import haversine_km
from geocells.table import CellTable
from geoloc.answer.calibration import LEVELS
from geoloc.answer.explain import Witness
from geoloc.answer.ranker import Ranking
from geoloc.belief.fusion import Restriction, credible_region
from geoloc.bundle import directory as bundles
from geoloc.encoders.base import ImageEncoder
from geoloc.encoders.pipeline import Load, ahead, encode
from geoloc.errors import PhotoError
from geoloc.guess import Candidate, Exif, Guess, Place, RegionCell
from geoloc.photos.decode import Photo, Source, load
from geoloc.types import Float32Array

SHOWN_CANDIDATES = 5
SHOWN_CELLS = 100


class Geolocator:
    """Answers where photos were taken.

    Example:
        >>> geolocator = Geolocator.from_bundle("starter")  # doctest: +SKIP
        >>> guess = geolocator.locate("photo.jpg")  # doctest: +SKIP
        >>> print(guess.place, guess.radius_km)  # doctest: +SKIP
    """

    def __init__(
        self, bundle: bundles.Bundle, encoder: ImageEncoder | None = None, load: Load = load
    ) -> None:
        """Use a loaded bundle; its own encoder is loaded when first needed.

        Args:
            bundle: the model.
            encoder: another encoder that gives the same embeddings.
            load: how photos are read, for callers with limits of their own.
        """
        self.bundle = bundle
        self._given_encoder = encoder
        self.load = load

    @classmethod
    def from_bundle(cls, name_or_path: str | os.PathLike[str] = "starter") -> Geolocator:
        """Load a bundle by path, or an embedded one by name.

        Raises:
            BundleError: it is missing or damaged.
            MissingExtraError: a library it needs is not installed.
        """
        return cls(bundles.load(name_or_path))

    @property
    def cells(self) -> CellTable:
        """The geocells of the bundle."""
        return self.bundle.cells

    @cached_property
    def encoder(self) -> ImageEncoder:
        """The image encoder."""
        return self._given_encoder or self.bundle.build_encoder()

    def locate(
        self, source: Source, top: int = SHOWN_CANDIDATES, within: str | None = None
    ) -> Guess:
        """Answer one photo.

        Args:
            source: a path, bytes, an open binary file or a PIL image.
            top: how many candidates the answer names.
            within: what is known beforehand, for example "Portugal" or "48.86,2.35,50km"; see
                `geoloc.belief.constraints.parse`.

        Raises:
            PhotoError: the photo cannot be read.
            ConstraintError: `within` is not understood, or no geocell lies there.
        """
        answer = next(self.locate_many([source], top, within))
        if isinstance(answer, PhotoError):
            raise answer
        return answer

    def locate_many(
        self, sources: Iterable[Source], top: int = SHOWN_CANDIDATES, within: str | None = None
    ) -> Iterator[Guess | PhotoError]:
        """Answer photos in order, as they are encoded; an unreadable one yields its error."""
        known = self.restrict(within)
        for encoded in ahead(encode(self.encoder, sources, load=self.load)):
            readable = [item for item in encoded.photos if isinstance(item, Photo)]
            guesses = iter(self.guess(encoded.embeddings, readable, top, known))
            for item in encoded.photos:
                yield item if isinstance(item, PhotoError) else next(guesses)

    def locate_together(
        self, sources: Sequence[Source], top: int = SHOWN_CANDIDATES, within: str | None = None
    ) -> Guess:
        """Answer several photos of one place, views of a panorama or frames of a video, as one.

        Raises:
            PhotoError: one of them cannot be read.
            ConstraintError: `within` is not understood, or no geocell lies there.
        """
        known = self.restrict(within)
        photos: list[Photo] = []
        embeddings = []
        for encoded in encode(self.encoder, sources, load=self.load):
            for item in encoded.photos:
                if isinstance(item, PhotoError):
                    raise item
                photos.append(item)
            embeddings.append(encoded.embeddings)
        if not photos:
            raise PhotoError("no photos: give at least one")
        return self.guess_together(np.concatenate(embeddings), [photos], top, known)[0]

    def attribution(self, source: Source) -> Float32Array | None:
        """Which patches of a photo speak for its answer, and which against it.

        Returns:
            (rows, columns) signed, on the encoder's patch grid; None where the encoder is no vision
            transformer in torch.

        Raises:
            PhotoError: the photo cannot be read.
        """
        from geoloc.answer.attribution import answer_direction, attribution_map

        preprocessing = self.encoder.spec.preprocessing
        pixels = preprocessing(self.load(source, min_side=preprocessing.min_side).image)
        embedding = self.encoder.embed(pixels[None])
        cell = int(self.bundle.ranker.rank(embedding).cell[0, 0])
        direction = answer_direction(self.bundle.ranker.heads, embedding[0], cell)
        return attribution_map(self.encoder, pixels, direction)

    def guess(
        self,
        embeddings: Float32Array,
        photos: list[Photo],
        top: int = SHOWN_CANDIDATES,
        known: Restriction | None = None,
    ) -> list[Guess]:
        """Answer from embeddings (N, D), for callers that keep them."""
        if not photos:
            return []
        # BLAS threads spin for a while after each product, on the cores that encode the next photos
        with _thread_pools().limit(limits=1, user_api="blas"):
            ranking = self.bundle.ranker.rank(embeddings, known)
        return self._guesses(ranking, photos, top, known)

    def guess_together(
        self,
        embeddings: Float32Array,
        groups: Sequence[Sequence[Photo]],
        top: int = SHOWN_CANDIDATES,
        known: Restriction | None = None,
    ) -> list[Guess]:
        """One answer for each group of photos of one place, from embeddings of all (N, D) in order.

        The answer bears the names of all photos, and the metadata of the first.
        """
        if not groups:
            return []
        sizes = [len(photos) for photos in groups]
        with _thread_pools().limit(limits=1, user_api="blas"):
            group = np.repeat(np.arange(len(groups)), sizes)
            ranking = self.bundle.ranker.rank_together(embeddings, group, known)
        named = [replace(p[0], name=", ".join(each.name for each in p)) for p in groups]
        guesses = self._guesses(ranking, named, top, known)
        return [replace(guess, photos=size) for guess, size in zip(guesses, sizes, strict=True)]

    def restrict(self, within: str | None) -> Restriction | None:
        """What is known beforehand, as this bundle's cells and clusters see it.

        Raises:
            ConstraintError: it is not understood, or no geocell lies there.
        """
        if within is None:
            return None
        from geoloc.belief.constraints import parse, require

        constraint = parse(within)
        require(constraint, self.cells)
        share = constraint.cells(self.cells)
        touched = np.flatnonzero(share > 0.0)
        centroids = self.cells.centroids.copy()
        centroids[touched] = constraint.point_in(self.cells, touched.astype(np.int64))
        clusters = constraint.contains(self.bundle.ranker.gallery.clusters.latlon)
        return Restriction(constraint.name, share, centroids, clusters)

    def _guesses(
        self,
        ranking: Ranking,
        photos: list[Photo],
        top: int,
        known: Restriction | None,
    ) -> list[Guess]:
        shown = ranking.latlon[:, :top]
        words = _describe(shown.reshape(-1, 2))
        per_photo = shown.shape[1]
        guesses = [
            self._one(ranking, i, photo, words[i * per_photo :][:per_photo])
            for i, photo in enumerate(photos)
        ]
        name = known.name if known else ""
        return [replace(guess, within=name) for guess in guesses]

    def _one(self, ranking: Ranking, i: int, photo: Photo, words: list[Place]) -> Guess:
        lat, lon = map(float, ranking.latlon[i, 0])
        radii = {name: float(km) for name, km in zip(LEVELS, ranking.radii_km[i], strict=True)}
        return Guess(
            photo=photo.name,
            lat=lat,
            lon=lon,
            radius_km=radii["80"],
            radii_km=radii,
            confidence=ranking.confidence[i],
            localisability=float(ranking.localisability[i]),
            place=words[0],
            candidates=tuple(
                Candidate(
                    lat=float(ranking.latlon[i, rank, 0]),
                    lon=float(ranking.latlon[i, rank, 1]),
                    probability=float(ranking.belief[i, cell]),
                    cell_id=str(self.cells.cell_id[cell]),
                    place=words[rank],
                )
                for rank, cell in enumerate(ranking.cell[i, : len(words)])
                if cell >= 0
            ),
            region=self._region(ranking.belief[i]),
            neighbours=self._witness.neighbours(ranking, i),
            evidence=self._witness.evidence(ranking, i),
            exif=photo.exif,
            exif_distance_km=_exif_distance_km(photo.exif, lat, lon),
            bundle=self.bundle.name,
            agreement=float(ranking.agreement[i]),
        )

    def _region(self, belief: Float32Array) -> tuple[RegionCell, ...]:
        limits = list(self.bundle.ranker.calibration.region.values())
        cell, level = credible_region(belief, limits, SHOWN_CELLS)
        columns = (self.cells.cell_id[cell], belief[cell], level)
        return tuple(map(RegionCell, *(column.tolist() for column in columns)))

    @cached_property
    def _witness(self) -> Witness:
        return Witness(self.bundle.ranker, self.bundle.attributes)


@cache
def _thread_pools() -> ThreadpoolController:
    return ThreadpoolController()


def _describe(latlon: np.ndarray[Any, Any]) -> list[Place]:
    """Name coordinates (N, 2), each distinct one once."""
    distinct, back = np.unique(latlon, axis=0, return_inverse=True)
    table = places.describe(distinct)
    columns = [objects(table[name]) for name in table.column_names]
    named = [Place(*row) for row in zip(*columns, strict=True)]
    return [named[row] for row in back.ravel()]


def _exif_distance_km(exif: Exif, lat: float, lon: float) -> float | None:
    if exif.lat is None or exif.lon is None:
        return None
    return float(haversine_km([lat, lon], [exif.lat, exif.lon]))
