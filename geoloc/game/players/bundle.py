"""Players that a bundle provides: its whole pipeline, and parts of it as baselines."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import cached_property

import numpy as np

from geoloc.belief.fusion import group_mean
from geoloc.encoders.pipeline import encode_all
from geoloc.game.places import Places
from geoloc.game.protocol import Answer
from geoloc.geolocator import Geolocator
from geoloc.types import Float32Array, Float64Array, IndexArray

BLOCK = 64
"""Places that are embedded before they are answered."""


class BundleAnswers:
    """One bundle, which looks at every place once for all players that are parts of it."""

    def __init__(self, name: str) -> None:
        """Name or path of the bundle."""
        self._name = name
        self._known: dict[tuple[str, int], dict[str, Answer]] = {}

    @cached_property
    def geolocator(self) -> Geolocator:
        """The bundle, loaded when first needed; raises BundleError."""
        return Geolocator.from_bundle(self._name)

    @cached_property
    def prior(self) -> Float64Array:
        """(2,) degrees: the best answer before a photo is seen."""
        ranker = self.geolocator.bundle.ranker
        best = ranker.space.expected_utility(ranker.heads.prior[None]).argmax()
        point: Float64Array = ranker.cells.centroids[best]
        return point

    def ask(self, places: Places) -> Iterator[dict[str, Answer]]:
        """What each method answers about each place, in their order."""
        for start in range(0, len(places), BLOCK):
            block = places.take(np.arange(start, min(start + BLOCK, len(places))))
            keys = list(zip(block.name, map(len, block.views), strict=True))
            new = [row for row, key in enumerate(keys) if key not in self._known]
            if new:
                found = self._look(block.take(new))
                self._known |= zip((keys[row] for row in new), found, strict=True)
            yield from (self._known[key] for key in keys)

    def _look(self, places: Places) -> list[dict[str, Answer]]:
        start = time.perf_counter()
        place_of = np.repeat(np.arange(len(places)), [len(views) for views in places.views])
        files = [file for views in places.views for file in views]
        encoded = encode_all(self.geolocator.encoder, files)
        unreadable = np.delete(place_of, encoded.index).tolist()
        problems = dict(zip(unreadable, map(str, encoded.errors), strict=True))
        complete = ~np.isin(place_of[encoded.index], unreadable)
        vectors, rows = encoded.embeddings[complete], place_of[encoded.index][complete]
        answered, group = np.unique(rows, return_inverse=True)
        by_method = self._answer(vectors, group) if len(answered) else {}
        seconds = (time.perf_counter() - start) / len(places)
        found: list[dict[str, Answer]] = [
            dict.fromkeys(METHODS, Answer(seconds=seconds, problem=problems.get(row, "")))
            for row in range(len(places))
        ]
        for method, points in by_method.items():
            for row, (lat, lon) in zip(answered.tolist(), points.tolist(), strict=True):
                found[row][method] = Answer(lat, lon, seconds)
        return found

    def _answer(self, vectors: Float32Array, group: IndexArray) -> dict[str, Float64Array]:
        """(G, 2) degrees by method, from embeddings (N, D) of the views of G places."""
        ranker = self.geolocator.bundle.ranker
        several = len(vectors) > group[-1] + 1
        ranking = self.geolocator.rank(vectors, group=group if several else None)
        belief = ranker.heads.classify(ranker.heads.features(group_mean(vectors, group)))
        return {
            "full": ranking.latlon[:, 0],
            "nearest": ranker.gallery.members.latlon[np.maximum(ranking.neighbour[:, 0], 0)],
            "centroid": ranker.cells.centroids[belief.argmax(axis=1)],
        }


METHODS = ("full", "nearest", "centroid")
"""Everything together; where the most similar known photo was taken; the middle of the geocell that
the classifier believes in most, which is PIGEON without refinement."""


class BundlePlayer:
    """One method of a bundle."""

    def __init__(self, name: str, answers: BundleAnswers, method: str) -> None:
        """See `METHODS`."""
        self.name, self._answers, self._method = name, answers, method
        self.kind = "bundle" if method == "full" else "baseline"

    def ask(self, places: Places, seconds: float) -> Iterator[Answer]:
        """See `Player`."""
        for found in self._answers.ask(places):
            answer = found[self._method]
            late = answer.seconds > seconds
            yield Answer(seconds=answer.seconds, problem="too late") if late else answer


class PriorPlayer:
    """Gives the best answer that can be given with closed eyes, always the same."""

    kind = "baseline"

    def __init__(self, name: str, answers: BundleAnswers) -> None:
        """Whose prior it is."""
        self.name, self._answers = name, answers

    def ask(self, places: Places, seconds: float) -> Iterator[Answer]:
        """See `Player`."""
        lat, lon = self._answers.prior.tolist()
        yield from (Answer(lat, lon, 0.0) for _ in range(len(places)))
