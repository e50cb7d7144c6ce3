"""A geolocator for many people at once, whose photos and words are not to be trusted."""

from __future__ import annotations

import os
import threading
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from demo.api.batching import BatchingEncoder, Together
from geoloc.belief.constraints import ConstraintError
from geoloc.belief.fusion import ConstraintMask
from geoloc.bundle.directory import Bundle
from geoloc.encoders.base import ImageEncoder
from geoloc.geolocator import DEFAULT_TOP, Geolocator, unnamed_photos
from geoloc.guess import Guess
from geoloc.photos.decode import Photo, load
from geoloc.types import Float32Array

MAX_MEGAPIXELS = 64
"""Larger than what cameras of people make, and small enough for several at once in memory."""

FILE_ENDINGS = (".geojson", ".json")


@dataclass(frozen=True, eq=False)
class _Question:
    embeddings: Float32Array
    photos: Sequence[Photo]
    top: int
    constraint: ConstraintMask | None


class ServedGeolocator(Geolocator):
    """Encodes and ranks together what comes at the same time, and decodes a few photos at once."""

    def __init__(
        self,
        bundle: Bundle,
        encoder: ImageEncoder | None = None,
        max_megapixels: int = MAX_MEGAPIXELS,
    ) -> None:
        """Load the encoder, unless one is given."""
        super().__init__(
            bundle, BatchingEncoder(encoder or bundle.build_encoder()), self._load_in_turn
        )
        self._max_megapixels = max_megapixels
        self._decoding = threading.Semaphore(os.cpu_count() or 1)
        self._together: Together[_Question, list[Guess]] = Together(
            self._guess_all, lambda question: len(question.photos)
        )

    def guess(
        self,
        embeddings: Float32Array,
        photos: Sequence[Photo] | None = None,
        top: int = DEFAULT_TOP,
        constraint: ConstraintMask | None = None,
    ) -> list[Guess]:
        """See `Geolocator.guess`."""
        photos = unnamed_photos(len(embeddings)) if photos is None else photos
        return self._together(_Question(embeddings, photos, top, constraint))

    def restrict(self, within: str | None) -> ConstraintMask | None:
        """See `Geolocator.restrict`; never reads a file, whose name would come from outside."""
        if within and within.strip().lower().endswith(FILE_ENDINGS):
            raise ConstraintError("a file's name says nothing here; give the GeoJSON text itself")
        return super().restrict(within)

    def _load_in_turn(
        self,
        source: Any,  # noqa: ANN401
        *,
        name: str | None = None,
        min_side: int | None = None,
        skip_pixels: Container[str] = (),
    ) -> Photo:
        with self._decoding:  # a decoded photo is up to a hundred times as large as its file
            return load(
                source,
                name=name,
                min_side=min_side,
                skip_pixels=skip_pixels,
                max_megapixels=self._max_megapixels,
            )

    def _guess_all(self, questions: Sequence[_Question]) -> list[list[Guess]]:
        """Answer questions that share what is known in one go; ranking one photo costs three."""
        answers: list[list[Guess]] = [[] for _ in questions]
        alike: dict[tuple[int, int], list[int]] = {}
        for row, question in enumerate(questions):
            alike.setdefault((question.top, id(question.constraint)), []).append(row)
        for rows in alike.values():
            asked = [questions[row] for row in rows]
            guesses = iter(
                super().guess(
                    np.concatenate([question.embeddings for question in asked]),
                    [photo for question in asked for photo in question.photos],
                    asked[0].top,
                    asked[0].constraint,
                )
            )
            for row, question in zip(rows, asked, strict=True):
                answers[row] = [next(guesses) for _ in question.photos]
        return answers
