"""Fit the model of a journey on held-out walks: evidence, motion by gap, scenes, and radii."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from geocells.sphere import haversine_km
from geoloc.answer.ranker import Ranker
from geoloc.trips.model import motion
from geoloc.trips.model.evidence import Evidence, of_ranking
from geoloc.trips.model.parameters import GAPS_S, TripParameters
from geoloc.trips.model.placing import Placement, place
from geoloc.trips.model.stretches import locate
from geoloc.types import BoolArray, Float32Array, Float64Array, IndexArray, StrArray
from training.calibrate.heldout import HeldOut
from training.data.manifest import Manifest

ALPHAS = (0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.08, 0.15)
SAME_SCENE = (0.7, 0.75, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97)
SCENE_KM, SCENE_PRECISION = 1.0, 0.95
"""A pair of similar photos shows one scene if they are this near, in this share of the pairs."""

APART_S = 1800.0
"""Pairs nearer in time say nothing about recognition: they are near each other anyway."""

SHARES = (0.0, 1e-9, 0.01, 0.05, 0.1)
"""Shares of geotags that are known; a tiny one means a single geotag."""

LEVELS = (0.5, 0.8, 0.95)
PRIOR_PAIRS = 20.0
"""Pairs of photos that the default shares of motion count for."""

LEAST = 40
"""Photos of a case from which on its radii are fitted."""

FIT_REPEATS = 2

WALK_STEP_S = 150.0
"""Simulated time between two photos of a walk whose order is known: four hours for 100 photos."""

WALK_PHOTOS, WALK_STEP_KM = 40, 1.0
"""A group of so many photos, most of which were taken this near the one before, is a walk."""

FEW_WALKS = 8
"""Radii that rest on fewer walks are not calibrated."""


@dataclass(frozen=True, eq=False)
class Walk:
    """N photos of one held-out walk or journey, in order of time."""

    time_s: Float64Array
    latlon: Float64Array
    """(N, 2) degrees."""
    evidence: Evidence
    """By models that never saw the walk."""


def held_out_walks(
    manifest: Manifest, embeddings: Float32Array, rankers: Sequence[Ranker], fold: IndexArray
) -> list[Walk]:
    """Return the walks among N photos: groups in the order of their table, with a simulated clock.

    Args:
        manifest: N photos.
        embeddings: (N, D).
        rankers: by fold; none has seen the groups of its fold.
        fold: (N,) the ranker that answers each photo.
    """
    walks = []
    group = manifest.group.astype(str)
    for name in np.unique(group):
        rows = np.flatnonzero(group == name)
        if len(rows) < WALK_PHOTOS:
            continue
        step_km = haversine_km(manifest.latlon[rows[:-1]], manifest.latlon[rows[1:]])
        if np.median(step_km) > WALK_STEP_KM or not step_km.any():
            continue
        ranker = rankers[int(fold[rows[0]])]
        evidence = of_ranking(ranker, ranker.rank(embeddings[rows]))
        walks.append(Walk(WALK_STEP_S * np.arange(len(rows)), manifest.latlon[rows], evidence))
    return walks


def known_rows(count: int, share: float, rng: np.random.Generator) -> BoolArray:
    """Return which of N photos keep their geotags: none, one, or a share but at least one."""
    known = np.zeros(count, bool)
    if share > 0.0:
        known[rng.choice(count, max(1, round(share * count)), replace=False)] = True
    return known


def place_walk(walk: Walk, known: BoolArray, parameters: TripParameters) -> Placement:
    """Place a walk of which some photos have their positions."""
    latlon = np.where(known[:, None], walk.latlon, np.nan)
    return place(walk.time_s, latlon, walk.evidence, parameters)


def fit_trips(walks: Sequence[Walk], seed: int = 0) -> TripParameters:
    """Fit all parameters on held-out walks.

    Args:
        walks: at least a few, each with the evidence of models that never saw it.
        seed: of the geotags that are kept.
    """
    parameters = replace(TripParameters(), motion=_motion(walks), same_scene=_same_scene(walks))
    parameters = replace(parameters, alpha=_alpha(walks, parameters), calibrated=True)
    errors = _errors(walks, parameters, seed)
    radii = dict(parameters.radii)
    for case in ("between", "beyond", "recognised", "guessed"):
        chosen = errors[0] == case
        if chosen.sum() >= LEAST:
            radii[case] = fit_radii(errors[1][chosen], errors[2][chosen], case)
    return replace(parameters, radii=radii)


def fit_learned_trips(
    manifest: Manifest, embeddings: Float32Array, held_out: HeldOut
) -> TripParameters | None:
    """Fit the model on the walks of a library that is learned; None for fewer than FEW_WALKS.

    Args:
        manifest: N photos.
        embeddings: (N, D).
        held_out: of the cross-validation, whose first N photos are those of the manifest.
    """
    fold = held_out.ranker[: len(manifest)]
    walks = held_out_walks(manifest, embeddings, held_out.rankers, fold)
    return fit_trips(walks) if len(walks) >= FEW_WALKS else None


def _alpha(walks: Sequence[Walk], parameters: TripParameters) -> float:
    """Return the exponent with the least mean logarithm of the error without any geotag."""

    def loss(alpha: float) -> float:
        chosen = replace(parameters, alpha=alpha)
        return float(
            np.mean([
                np.log1p(haversine_km(locate(w.evidence, w.time_s, chosen).latlon, w.latlon)).mean()
                for w in walks
            ])
        )  # fmt: skip

    return min(ALPHAS, key=loss)


def _motion(walks: Sequence[Walk]) -> tuple[tuple[float, ...], ...]:
    """Return the shares of the modes by gap: expectation maximisation, with the defaults as prior.

    Each mode has the density exp(-km / scale) / (2 pi scale²) of the distance after a gap.
    """
    gaps, distances = [], []
    for walk in walks:
        for step in (1, 2, 4, 8, 16):
            gaps.append(walk.time_s[step:] - walk.time_s[:-step])
            distances.append(haversine_km(walk.latlon[:-step], walk.latlon[step:]))
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


def _errors(
    walks: Sequence[Walk], parameters: TripParameters, seed: int
) -> tuple[StrArray, Float64Array, Float64Array]:
    """Return case (M,), features (M, 3, F) and error (M,) in km of photos without their geotags."""
    rng = np.random.default_rng(seed)
    cases, features, errors = [], [], []
    for walk in walks:
        for share in SHARES:
            for _ in range(FIT_REPEATS if share else 1):
                known = known_rows(len(walk.time_s), share, rng)
                placed = place_walk(walk, known, parameters)
                cases.append(placed.case[~known])
                features.append(placed.features[~known])
                errors.append(haversine_km(placed.latlon, walk.latlon)[~known])
    return np.concatenate(cases), np.concatenate(features), np.concatenate(errors)


def fit_radii(
    features: Float64Array, error_km: Float64Array, case: str
) -> tuple[tuple[float, ...], ...]:
    """Return the weights (levels, F) of the logarithm of the radius.

    The slopes are those of least squares on log km, not negative; the constant of each level is the
    quantile of what they leave.
    """
    log_km = np.log(np.maximum(error_km, 0.01))
    middle = features[:, 1]
    slopes = np.zeros(features.shape[2])
    used = [column for column in (1, 2) if np.ptp(middle[:, column]) > 1e-9]
    if case == "guessed":
        used = [1]
    if used:
        design = np.column_stack([np.ones(len(middle)), middle[:, used]])
        solved = np.linalg.lstsq(design, log_km, rcond=None)[0][1:]
        slopes[used] = np.clip(solved, 0.0, 2.0)
    rows = []
    for number, level in enumerate(LEVELS):
        left = log_km - features[:, number, 1:] @ slopes[1:]
        constant = float(np.quantile(left, level))
        rows.append(tuple(float(f"{value:.4g}") for value in (constant, *slopes[1:])))
    return tuple(rows)
