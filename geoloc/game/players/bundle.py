"""Players that use a bundle: its full pipeline, and parts of it as baselines."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np

from geoloc.belief.fusion import group_mean
from geoloc.encoders.pipeline import encode_all
from geoloc.game.places import Places
from geoloc.game.protocol import Answer
from geoloc.geolocator import Geolocator
from geoloc.photos.decode import Photo
from geoloc.types import Float32Array, Float64Array, IndexArray

METHODS = ("full", "nearest", "centroid")
"""The full pipeline; the location of the most similar gallery photo; and the centroid of the most
probable geocell of the classifier, which is PIGEON without refinement."""

BLOCK = 64
"""Places that are embedded and answered together."""


class BundleAnswers:
    """Answers of all methods of one bundle; each place is embedded once for all of them."""

    def __init__(self, name: str) -> None:
        """Prepare to answer with a bundle, given by name or path."""
        self._name = name
        self._cache: dict[tuple[str, int], dict[str, Answer]] = {}

    @cached_property
    def geolocator(self) -> Geolocator:
        """The bundle, loaded when first used; raises BundleError."""
        return Geolocator.from_bundle(self._name)

    @cached_property
    def prior(self) -> Float64Array:
        """(2,) degrees: the point of highest expected utility under the prior, without a photo."""
        ranker = self.geolocator.bundle.ranker
        best = ranker.space.expected_utility(ranker.heads.prior[None]).argmax()
        point: Float64Array = ranker.cells.centroids[best]
        return point

    def ask(self, places: Places) -> Iterator[dict[str, Answer]]:
        """Yield the answers of all METHODS for every place, in order."""
        for start in range(0, len(places), BLOCK):
            block = places.take(np.arange(start, min(start + BLOCK, len(places))))
            keys = list(zip(block.name, map(len, block.views), strict=True))
            new = [row for row, key in enumerate(keys) if key not in self._cache]
            if new:
                answers = self._answer(block.take(new))
                self._cache |= zip((keys[row] for row in new), answers, strict=True)
            yield from (self._cache[key] for key in keys)

    def _answer(self, places: Places) -> list[dict[str, Answer]]:
        """Return the answers for N places; one with an unreadable view has no pin."""
        start = time.perf_counter()
        place_of_view = np.repeat(np.arange(len(places)), [len(views) for views in places.views])
        files = [file for views in places.views for file in views]
        encoded = encode_all(self.geolocator.encoder, files)
        unreadable = np.delete(place_of_view, encoded.index).tolist()
        problems = dict(zip(unreadable, map(str, encoded.errors), strict=True))
        place = place_of_view[encoded.index]
        complete = ~np.isin(place, unreadable)
        answered, group = np.unique(place[complete], return_inverse=True)
        points: dict[str, Float64Array] = {}
        if len(answered):
            photos = [encoded.photos[row] for row in np.flatnonzero(complete)]
            points = self._locate(encoded.embeddings[complete], photos, group)
        seconds = (time.perf_counter() - start) / len(places)
        answers: list[dict[str, Answer]] = [
            dict.fromkeys(METHODS, Answer(seconds=seconds, problem=problems.get(row, "")))
            for row in range(len(places))
        ]
        for method, latlon in points.items():
            for row, (lat, lon) in zip(answered.tolist(), latlon.tolist(), strict=True):
                answers[row][method] = Answer(lat, lon, seconds)
        return answers

    def _locate(
        self, embeddings: Float32Array, photos: Sequence[Photo], group: IndexArray
    ) -> dict[str, Float64Array]:
        """Return points (G, 2) in degrees by method, from embeddings (N, D) of views of G places.

        Args:
            embeddings: of the views.
            photos: (N,) the views.
            group: (N,) ascending place of each view, 0..G-1.
        """
        ranker, joined = self.geolocator.bundle.ranker, self.geolocator.bundle.joined
        several = len(embeddings) > group[-1] + 1
        ranking = self.geolocator.rank(embeddings, group=group if several else None, photos=photos)
        belief = ranker.heads.classify(
            ranker.heads.features(
                group_mean(embeddings, np.ones(len(embeddings), np.float32), group)
            )
        )
        return {
            "full": ranking.answer,
            "nearest": joined.members_at(np.maximum(ranking.neighbour[:, 0], 0)).latlon,
            "centroid": ranker.cells.centroids[belief.argmax(axis=1)],
        }


class BundlePlayer:
    """A player that answers with one of METHODS."""

    def __init__(self, name: str, answers: BundleAnswers, method: str) -> None:
        """Play with one method of a bundle.

        Args:
            name: of the player.
            answers: of the bundle; players of the same bundle share them.
            method: one of METHODS.
        """
        self.name, self._answers, self._method = name, answers, method
        self.kind = "bundle" if method == "full" else "baseline"

    def ask(self, places: Places, seconds: float) -> Iterator[Answer]:
        """Yield an answer for every place; see `Player`."""
        for by_method in self._answers.ask(places):
            answer = by_method[self._method]
            late = answer.seconds > seconds
            yield Answer(seconds=answer.seconds, problem="too late") if late else answer


class PriorPlayer:
    """A player that gives the best answer under the prior for every place, without a photo."""

    kind = "baseline"

    def __init__(self, name: str, answers: BundleAnswers) -> None:
        """Play with the prior of a bundle."""
        self.name, self._answers = name, answers

    def ask(self, places: Places, seconds: float) -> Iterator[Answer]:
        """Yield the same answer for every place; see `Player`."""
        lat, lon = self._answers.prior.tolist()
        yield from (Answer(lat, lon, 0.0) for _ in range(len(places)))
