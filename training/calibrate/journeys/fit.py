"""Fit the model of a journey on held-out walks: evidence, motion by gap, scenes, and radii."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from geocells.sphere import haversine_km
from geoloc.bundle import directory as bundles
from geoloc.trips.model import motion
from geoloc.trips.model.anchors import Anchors
from geoloc.trips.model.bridge import bridge
from geoloc.trips.model.pace import GAPS_S, Pace
from geoloc.trips.model.parameters import FILE, TripParameters
from geoloc.trips.model.stretches import cut, locate
from geoloc.types import Float32Array, Float64Array, IndexArray, StrArray
from training.calibrate.heldout import HeldOut
from training.calibrate.journeys.pace import fit_pace
from training.calibrate.journeys.radii import fit_radii
from training.calibrate.journeys.walks import Route, Walk, held_out_walks, known_rows, place_walk
from training.data.manifest import Manifest

ALPHAS = (0.02, 0.05, 0.1, 0.2, 0.35)
"""Stays on walks have less than the last one anyway. With more, single photos of a country that no
model knows were believed."""

SAME_SCENE = (0.7, 0.75, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97)
SCENE_KM, SCENE_PRECISION = 1.0, 0.95
"""A pair of similar photos shows one scene if they are this near, in this share of the pairs."""

APART_S = 1800.0
"""Pairs nearer in time say nothing about recognition: they are near each other anyway."""

SHARES = (0.0, 1e-9, 0.01, 0.05, 0.1)
"""Shares of geotags that are known; a tiny one means a single geotag."""

PRIOR_PAIRS = 20.0
"""Pairs of photos that the default shares of motion count for."""

LEAST = 40
"""Photos of a case from which on its radii are fitted."""

FIT_REPEATS = 2
LEAST_ANSWERS = 500
"""Photos of a source, counted once for each time that other geotags are kept."""

FEW_WALKS = 8
"""Radii that rest on fewer walks are not calibrated."""

Answers = list[tuple[StrArray, Float64Array, Float64Array]]
"""Case (N,), features (N, levels, F) and error (N,) in km of photos without their geotags."""


@dataclass(frozen=True, eq=False)
class Errors:
    """M answers to photos without their geotags."""

    case: StrArray
    features: Float64Array
    """(M, levels, F)"""
    km: Float64Array
    weight: Float64Array
    """(M,) every source weighs the same in each case."""
    person: IndexArray
    """(M,) number of the source if it is real journeys of a person, else -1."""

    @classmethod
    def of(cls, sources: Sequence[Answers], real: Sequence[Answers] = ()) -> Errors:
        """Join the answers of several sources, and of the real journeys of several people."""
        joined = []
        people = [*(-1 for _ in sources), *range(len(real))]
        for person, source in zip(people, [*sources, *real], strict=True):
            if not source:
                continue
            case, features, km = (np.concatenate(each) for each in zip(*source, strict=True))
            _, number, count = np.unique(case.astype(str), return_inverse=True, return_counts=True)
            joined.append((case, features, km, 1.0 / count[number], np.full(len(km), person)))
        return cls(*(np.concatenate(each) for each in zip(*joined, strict=True)))

    def radii(self, case: str) -> tuple[tuple[float, ...], ...] | None:
        """Return the fitted radii of a case; None for fewer than LEAST answers."""
        rows = np.flatnonzero(self.case == case)
        if len(rows) < LEAST:
            return None
        return fit_radii(self.features[rows], self.km[rows], self.weight[rows], self.person[rows])


def fit_trips(
    walks: Sequence[Walk],
    journeys: Sequence[Walk] = (),
    routes: Sequence[Route] = (),
    real: Sequence[Sequence[Route]] = (),
    base: TripParameters | None = None,
    seed: int = 0,
) -> TripParameters:
    """Fit all parameters on held-out photos.

    Args:
        walks: at least a few, each with the evidence of models that never saw it.
        journeys: simulated ones of many days, through photos of collections that the models never
            saw; see `simulated.py`.
        routes: simulated ones without pictures, for the motion and the radii by time alone.
        real: the same with real times, by collection; each weighs as much as all walks.
        base: what is not fitted; without routes, that is motion and radii by time.
        seed: of the geotags that are kept.
    """
    parameters = replace(base or TripParameters(), calibrated=True)
    cases = {"recognised", "guessed"}
    if routes or base is None:
        order = [(walk.time_s, walk.latlon) for walk in walks]
        every = [*order, *routes, *(route for own in real for route in own)]
        pace = fit_pace([order, routes, *real])
        parameters = replace(parameters, motion=_motion(every), pace=pace)
        cases |= {"between", "beyond"}
    if walks:
        parameters = replace(parameters, same_scene=_same_scene(walks))
        parameters = replace(parameters, alpha=_alpha(walks, journeys, parameters))
    made = [_answers(each, parameters, seed) for each in (walks, journeys)]
    errors = Errors.of(
        [*made, _by_time(routes, parameters.pace, seed)],
        [_by_time(each, parameters.pace, seed) for each in real],
    )
    radii = dict(parameters.radii)
    for case in sorted(cases):
        radii[case] = errors.radii(case) or radii[case]
    return replace(parameters, radii=radii)


def fit_learned_trips(
    manifest: Manifest, embeddings: Float32Array, held_out: HeldOut
) -> TripParameters | None:
    """Fit the evidence on the walks of a library that is learned; None for fewer than FEW_WALKS.

    How people move, and the radii by time alone, are those of the starter bundle.

    Args:
        manifest: N photos.
        embeddings: (N, D).
        held_out: of the cross-validation, whose first N photos are those of the manifest.
    """
    fold = held_out.ranker[: len(manifest)]
    walks = held_out_walks(manifest, embeddings, held_out.rankers, fold)
    if len(walks) < FEW_WALKS:
        return None
    return fit_trips(walks, base=TripParameters.read(bundles.load("starter").path / FILE))


def _alpha(walks: Sequence[Walk], journeys: Sequence[Walk], parameters: TripParameters) -> float:
    """Return the exponent with the least mean logarithm of the error without any geotag."""

    def error(walk: Walk, chosen: TripParameters) -> float:
        logs = [
            np.log1p(
                haversine_km(
                    locate(walk.evidence.take(rows), walk.time_s[rows], chosen).latlon,
                    walk.latlon[rows],
                )
            )
            for rows in (np.arange(len(walk.time_s))[each] for each in cut(walk.time_s))
        ]
        return float(np.concatenate(logs).mean())

    def loss(alpha: float) -> float:
        chosen = replace(parameters, alpha=alpha)
        sources = filter(None, (walks, journeys))
        return sum(float(np.mean([error(walk, chosen) for walk in each])) for each in sources)

    return min(ALPHAS, key=loss)


def _motion(routes: Sequence[Route]) -> tuple[tuple[float, ...], ...]:
    """Return the shares of the modes by gap: expectation maximisation, with the defaults as prior.

    Each mode has the density exp(-km / scale) / (2 pi scale²) of the distance after a gap.
    """
    gaps, distances = [], []
    for time_s, latlon in routes:
        for step in (1, 2, 4, 8, 16):
            gaps.append(time_s[step:] - time_s[:-step])
            distances.append(haversine_km(latlon[:-step], latlon[step:]))
    gap, km = np.concatenate(gaps), np.concatenate(distances)
    knot = np.abs(np.log(np.maximum(gap, 1.0))[:, None] - np.log(GAPS_S)).argmin(axis=1)
    shares = np.asarray(TripParameters().motion)
    for number in range(len(GAPS_S)):
        rows = np.flatnonzero(knot == number)
        if not len(rows):
            continue
        scale = np.array([motion.scales_km(max(float(each), 1.0)) for each in gap[rows]])
        density = np.exp(-km[rows, None] / scale) / scale**2 + 1e-300
        prior, share = shares[number].copy(), shares[number].copy()
        for _ in range(30):
            posterior = share * density
            posterior /= posterior.sum(axis=1, keepdims=True)
            share = posterior.sum(axis=0) + PRIOR_PAIRS * prior
            share /= share.sum()
        shares[number] = share
    return tuple(tuple(float(f"{value:.4g}") for value in row) for row in shares)


def _same_scene(walks: Sequence[Walk]) -> float:
    """Return the smallest similarity from which on most similar photos were taken near by."""
    similarity, km = [], []
    for walk in walks:
        cosine = walk.evidence.features @ walk.evidence.features.T
        cosine[np.abs(walk.time_s[:, None] - walk.time_s) < APART_S] = -1.0
        best = cosine.argmax(axis=1)
        similarity.append(cosine[np.arange(len(best)), best])
        km.append(haversine_km(walk.latlon, walk.latlon[best]))
    alike, near = np.concatenate(similarity), np.concatenate(km) <= SCENE_KM
    for least in SAME_SCENE:
        chosen = alike >= least
        if chosen.sum() >= LEAST and near[chosen].mean() >= SCENE_PRECISION:
            return least
    return SAME_SCENE[-1]


def _answers(walks: Sequence[Walk], parameters: TripParameters, seed: int) -> Answers:
    """Return case, features and error in km of the photos of each walk without their geotags."""
    rng = np.random.default_rng(seed)
    found = []
    for walk in walks:
        for share in SHARES:
            for _ in range(FIT_REPEATS if share else 1):
                known = known_rows(len(walk.time_s), share, rng)
                placed = place_walk(walk, known, parameters)
                km = haversine_km(placed.latlon, walk.latlon)
                found.append((placed.case[~known], placed.features[~known], km[~known]))
    return found


def _by_time(routes: Sequence[Route], pace: Pace, seed: int) -> Answers:
    """Return case, features and error in km of the photos of routes, by other positions alone."""
    rng = np.random.default_rng(seed)
    found = []
    repeats = -(-LEAST_ANSWERS // max(1, sum(len(time_s) for time_s, _ in routes)))
    for time_s, latlon in routes:
        for share in SHARES[1:] * repeats:
            known = known_rows(len(time_s), share, rng)
            rows = np.flatnonzero(known)
            bridged = bridge(Anchors.of(time_s[rows], latlon[rows], rows), time_s[~known], pace)
            case = np.where(bridged.between, "between", "beyond").astype(object)
            km = haversine_km(bridged.latlon, latlon[~known])
            found.append((case, bridged.features(), km))
    return found
