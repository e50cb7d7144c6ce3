"""A geolocator for concurrent, untrusted requests."""

from __future__ import annotations

import os
import threading
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from demo.api.batching import BatchingEncoder, MicroBatcher
from demo.api.limits import Limits
from demo.api.memory import MemoryBudget
from demo.security.grid import coarse
from geoloc.belief.areas import Constraint
from geoloc.belief.fusion import ConstraintMask
from geoloc.belief.narrowed import Narrowed
from geoloc.bundle.directory import Bundle
from geoloc.encoders.base import ImageEncoder
from geoloc.encoders.pipeline import unnamed_photos
from geoloc.errors import ConstraintError, PhotoError
from geoloc.geolocator import DEFAULT_TOP, Geolocator, Within
from geoloc.guess import Guess
from geoloc.io import machine
from geoloc.photos.decode import Photo, PhotoSource, load
from geoloc.types import Float32Array

FILE_ENDINGS = (".geojson", ".json")


@dataclass(frozen=True, eq=False)
class _RankingRequest:
    embeddings: Float32Array
    photos: Sequence[Photo]
    top: int
    constraint: ConstraintMask | None


class ConcurrentGeolocator(Geolocator):
    """A `Geolocator` that encodes and ranks concurrent requests in batches.

    The number of photos decoded at the same time is limited to the number of CPU cores, and the
    memory of all decoded photos by `MemoryBudget`, because a decoded photo takes up to a thousand
    times the memory of its file.
    """

    def __init__(
        self,
        bundle: Bundle,
        encoder: ImageEncoder | None = None,
        max_megapixels: int = Limits.megapixels,
        max_precision_km: float = 0.0,
        decode_mb: int = Limits.decode_mb,
    ) -> None:
        """Load the bundle's encoder, unless another one is given.

        Args:
            bundle: the model.
            encoder: replaces the bundle's own encoder.
            max_megapixels: larger photos are refused by their header.
            max_precision_km: questions tell places apart no more finely; 0: no limit. Answers are
                made coarse by `demo.security.precision`.
            decode_mb: memory of the decoded photos of all requests.
        """
        super().__init__(
            bundle,
            BatchingEncoder(encoder or bundle.build_encoder(), callers=lambda: len(self._present)),
            self._load_limited,
        )
        self._present: set[object] = set()  # questions that are being answered, also by copies
        self._max_megapixels = max_megapixels
        self.max_precision_km = max_precision_km
        self._decoding = threading.Semaphore(machine.cores())
        self._memory = MemoryBudget(decode_mb * 10**6, max_megapixels)
        self._explaining = threading.Lock()
        self._ranking: MicroBatcher[_RankingRequest, list[Guess]] = MicroBatcher(
            self._guess_all,
            lambda request: len(request.photos),
            callers=lambda: len(self._present),
        )

    def locate_many(
        self, sources: Iterable[PhotoSource], top: int = DEFAULT_TOP, within: Within = None
    ) -> Iterator[Guess | PhotoError]:
        """Locate photos in order; see `Geolocator.locate_many`."""
        question = object()
        self._present.add(question)
        try:
            yield from super().locate_many(sources, top, within)
        finally:
            self._present.discard(question)

    def guess(
        self,
        embeddings: Float32Array,
        photos: Sequence[Photo] | None = None,
        top: int = DEFAULT_TOP,
        constraint: ConstraintMask | None = None,
    ) -> list[Guess]:
        """Return guesses for embeddings (N, D); see `Geolocator.guess`."""
        photos = unnamed_photos(len(embeddings)) if photos is None else photos
        photos = self._without_observations(photos)
        return self._ranking(_RankingRequest(embeddings, photos, top, constraint))

    def guess_together(
        self,
        embeddings: Float32Array,
        groups: Sequence[Sequence[Photo]],
        top: int = DEFAULT_TOP,
        constraint: ConstraintMask | None = None,
    ) -> list[Guess]:
        """Return guesses for groups of photos; see `Geolocator.guess_together`."""
        groups = [self._without_observations(photos) for photos in groups]
        return super().guess_together(embeddings, groups, top, constraint)

    def _without_observations(self, photos: Sequence[Photo]) -> Sequence[Photo]:
        """Drop what witnesses found if precision is limited.

        A client can write any sign, clock or height into a photo, and tell by the answers how well
        it fits to places much closer together than the limit.
        """
        if not self.max_precision_km:
            return photos
        return [replace(photo, observations=()) for photo in photos]

    def parse(self, within: str | Sequence[str]) -> Constraint | Narrowed:
        """Parse a constraint; see `Geolocator.parse`. Refuses file names from clients.

        Raises:
            ConstraintError: `within` names a file, is not understood, or asks more precisely than
                this server answers.
        """
        texts = [within] if isinstance(within, str) else [*within]
        if any(text.strip().lower().endswith(FILE_ENDINGS) for text in texts):
            raise ConstraintError(
                "a file name is not accepted here; give the GeoJSON text itself as the constraint"
            )
        return coarse(super().parse(texts), self.max_precision_km)

    def attribution(self, source: PhotoSource, within: Within = None) -> Float32Array | None:
        """Return an attribution map, one at a time; see `Geolocator.attribution`."""
        with self._explaining:
            return super().attribution(source, within)

    def _load_limited(
        self,
        source: Any,  # noqa: ANN401
        *,
        name: str | None = None,
        min_side: int | None = None,
        skip_pixels: Container[str] = (),
    ) -> Photo:
        def load_from(source: PhotoSource) -> Photo:
            return load(
                source,
                name=name,
                min_side=min_side,
                skip_pixels=skip_pixels,
                max_megapixels=self._max_megapixels,
            )

        if hasattr(source, "read"):
            name = name or getattr(source, "name", None)
            source = source.read()
        if not isinstance(source, bytes | str | os.PathLike):  # pixels
            return load_from(source)
        with self._decoding:
            return self._memory.load(source, load_from)

    def _guess_all(self, requests: Sequence[_RankingRequest]) -> list[list[Guess]]:
        """Rank requests that share `top` and constraint in one call.

        Ranking one photo alone costs about as much as ranking three in one call.
        """
        guesses: list[list[Guess]] = [[] for _ in requests]
        groups: dict[tuple[int, int], list[int]] = {}
        for row, request in enumerate(requests):
            groups.setdefault((request.top, id(request.constraint)), []).append(row)
        for rows in groups.values():
            group = [requests[row] for row in rows]
            ranked = iter(
                super().guess(
                    np.concatenate([request.embeddings for request in group]),
                    [photo for request in group for photo in request.photos],
                    group[0].top,
                    group[0].constraint,
                )
            )
            for row, request in zip(rows, group, strict=True):
                guesses[row] = [next(ranked) for _ in request.photos]
        return guesses
