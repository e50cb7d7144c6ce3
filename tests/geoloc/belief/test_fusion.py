"""Beliefs over geocells: pooling, updates, fusion of groups, masks, credible regions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoloc.belief.fusion import (
    CREDIBLE_LEVELS,
    CellSpace,
    ConstraintMask,
    credible_region,
    fuse,
    group_mean,
    information,
    mass_before,
    mix,
    pool,
    spread_km,
    update,
)
from geoloc.belief.heads import softmax

# three cells around Paris, one in Tokyo
CENTROIDS = np.array([(48.85, 2.35), (48.9, 2.5), (48.7, 2.2), (35.7, 139.7)])

few = settings(max_examples=60, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def beliefs(count: int, cells: int, seed: int, spread: float = 3.0):
    return softmax(np.random.default_rng(seed).normal(0, spread, (count, cells)))


def fuse_equally(belief, prior, group):
    return fuse(belief, prior, group, np.ones(group.max() + 1))


def mean_of(vectors, group):
    return group_mean(vectors, np.ones(len(vectors), np.float32), group)


def test_pool_is_a_weighted_mixture():
    sources = [np.array([[1.0, 0.0]], np.float32), np.array([[0.0, 1.0]], np.float32)]
    assert pool(sources, np.array([[0.25, 0.75]], np.float32)).tolist() == [[0.25, 0.75]]


def test_log_likelihoods_add_up():
    prior = np.array([0.7, 0.1, 0.1, 0.1, 0.0], np.float32)
    likelihood = np.array([1.0, 6.0, 2.0, 1.0, 9.0]) * 0.1
    once = update(prior, np.log(likelihood))
    assert once == pytest.approx(prior * likelihood / (prior * likelihood).sum(), abs=1e-6)
    assert once[4] == 0.0
    assert update(once, np.log(likelihood)) == pytest.approx(update(prior, 2 * np.log(likelihood)))
    assert update(prior, np.log(likelihood) + 7.0) == pytest.approx(once, abs=1e-6)
    in_asia = np.array([-np.inf, -np.inf, -np.inf, 0.0, 0.0])
    assert update(np.stack([prior, once]), in_asia)[:, 3] == pytest.approx([1.0, 1.0])


def test_expected_utility_hedges_between_neighbours():
    belief = np.array([[0.22, 0.2, 0.2, 0.38]], np.float32)
    assert belief.argmax() == 3
    utility = CellSpace(CENTROIDS).expected_utility(belief)
    assert utility.argmax() == 0
    assert (utility > 0).all()
    assert (utility <= 1).all()


def test_spread_is_the_radius_that_holds_the_share():
    distances = np.array([[0.0, 10.0, 100.0, 9000.0]], np.float32)
    belief = np.array([[0.5, 0.25, 0.15, 0.1]], np.float32)
    assert spread_km(belief, distances, (0.5, 0.8, 0.95)).tolist() == [[0.0, 100.0, 9000.0]]


@given(seed=seeds, count=st.integers(1, 12), data=st.data())
@few
def test_fusion_does_not_depend_on_the_order_of_photos(seed, count, data):
    belief, prior = beliefs(count, 9, seed), beliefs(1, 9, seed + 1)[0]
    group = np.unique(data.draw(st.lists(st.integers(0, 3), min_size=count, max_size=count)),
                      return_inverse=True)[1]  # fmt: skip
    order = np.array(data.draw(st.permutations(range(count))))
    one, other = (
        fuse_equally(belief, prior, group),
        fuse_equally(belief[order], prior, group[order]),
    )
    assert one == pytest.approx(other, abs=1e-6)
    assert one.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    means = (mean_of(vectors, rows) for vectors, rows in
             ((belief, group), (belief[order], group[order])))  # fmt: skip
    assert next(means) == pytest.approx(next(means), abs=1e-6)


@given(seed=seeds, count=st.integers(1, 5))
@few
def test_a_group_of_one_photo_keeps_its_belief(seed, count):
    belief, prior = beliefs(count, 9, seed), beliefs(1, 9, seed + 1)[0]
    belief[:, 3] = prior[3] = 0.0
    belief, prior = belief / belief.sum(axis=1, keepdims=True), prior / prior.sum()
    fused = fuse_equally(belief, prior, np.arange(count))
    assert fused == pytest.approx(belief, abs=1e-5)
    assert (fused[:, 3] == 0.0).all()


def test_fusion_multiplies_likelihood_ratios():
    prior = np.array([0.5, 0.3, 0.2], np.float32)
    belief = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3]], np.float32)
    product = belief[0] * belief[1] / prior
    assert fuse_equally(belief, prior, np.zeros(2, int))[0] == pytest.approx(
        product / product.sum()
    )
    nothing_new = np.stack([belief[0], prior, prior])
    assert fuse_equally(nothing_new, prior, np.zeros(3, int))[0] == pytest.approx(belief[0])


def test_groups_are_independent():
    belief, prior = beliefs(6, 9, 0), beliefs(1, 9, 1)[0]
    group = np.array([1, 0, 1, 0, 1, 1])
    together = fuse_equally(belief, prior, group)
    means = mean_of(belief, group)
    for number in (0, 1):
        mine = belief[group == number]
        alone = np.zeros(len(mine), int)
        assert together[number] == pytest.approx(fuse_equally(mine, prior, alone)[0], abs=1e-6)
        assert means[number] == pytest.approx(mean_of(mine, alone)[0], abs=1e-6)
    assert np.linalg.norm(means, axis=1) == pytest.approx(1.0)


@given(seed=seeds, exponent=st.floats(0.05, 1.0))
@few
def test_an_exponent_tempers_the_evidence_of_every_photo(seed, exponent):
    belief, prior = beliefs(3, 9, seed, 1.0), beliefs(1, 9, seed + 1, 1.0)[0]
    fused = fuse(belief, prior, np.zeros(3, int), np.array([exponent]))[0]
    product = prior * ((belief / prior) ** exponent).prod(axis=0)
    assert fused == pytest.approx(product / product.sum(), abs=1e-4)
    assert fuse(belief, prior, np.zeros(3, int), np.zeros(1))[0] == pytest.approx(prior, abs=1e-5)


def test_a_photo_whose_belief_is_the_prior_has_no_information():
    prior = beliefs(1, 9, 0)[0]
    sure = np.eye(9, dtype=np.float32)[[int(prior.argmin())]]
    assert information(prior[None], prior) == pytest.approx([0.0], abs=1e-5)
    assert information(sure, prior)[0] == pytest.approx(1.0 - prior.min(), abs=1e-3)


@given(seed=seeds)
@few
def test_information_lies_between_0_and_1_and_grows_with_certainty(seed):
    belief, prior = beliefs(6, 9, seed), beliefs(1, 9, seed + 1)[0]
    found = information(belief, prior)
    assert ((found >= 0.0) & (found <= 1.0)).all()
    halfway = 0.5 * belief + 0.5 * prior
    assert (information(halfway, prior) <= found + 1e-5).all()


def test_a_mixture_keeps_every_place_of_contradicting_photos():
    sure = np.eye(4, dtype=np.float32)[[0, 3, 1]]
    weight = np.array([1.0, 3.0, 2.0], np.float32)
    mixed = mix(sure, weight, np.array([0, 0, 1]))
    assert mixed[0] == pytest.approx([0.25, 0.0, 0.0, 0.75])
    assert mixed[1] == pytest.approx([0.0, 1.0, 0.0, 0.0])


shares = st.lists(st.sampled_from([0.0, 1e-4, 0.5, 1.0]), min_size=9, max_size=9).filter(any)


def mask_of(share) -> ConstraintMask:
    return ConstraintMask("there", np.array(share, np.float32), np.zeros((9, 2)), np.zeros(0, bool))


@given(seed=seeds, share=shares, spread=st.sampled_from([1.0, 5.0, 40.0]))
@few
def test_a_mask_leaves_no_belief_outside(seed, share, spread):
    belief, prior = beliefs(5, 9, seed, spread), beliefs(1, 9, seed + 1)
    masked = mask_of(share).mask(belief, prior)
    assert masked.dtype == np.float32
    assert (masked[:, np.array(share) == 0.0] == 0.0).all()
    assert masked.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    inside = belief * np.array(share)
    some = inside.sum(axis=1) > 1e-6
    kept = inside / np.maximum(inside.sum(axis=1, keepdims=True), 1e-12)
    assert masked[some] == pytest.approx(kept[some], abs=1e-5)
    assert mask_of(np.ones(9)).mask(belief, prior) == pytest.approx(belief, abs=1e-6)


def test_a_mask_falls_back_to_the_prior():
    belief = np.eye(9, dtype=np.float32)[[0, 1]]
    prior = np.full((2, 9), 1 / 9, np.float32)
    masked = mask_of([0, 0.5, 0.5, 1.0, 0, 0, 0, 0, 0]).mask(belief, prior)
    assert masked[0] == pytest.approx([0, 0.25, 0.25, 0.5, 0, 0, 0, 0, 0])
    assert masked[1] == pytest.approx(np.eye(9)[1])


def test_mass_before_is_the_belief_in_more_probable_cells():
    belief = np.array([[0.1, 0.5, 0.2, 0.2], [0.25, 0.25, 0.25, 0.25]], np.float32)
    for cell, before in enumerate([0.9, 0.0, 0.5, 0.5]):
        found = mass_before(belief, np.array([cell, cell]))
        assert found == pytest.approx([before, 0.0])


def test_credible_cells_are_ranked_and_have_the_smallest_level():
    belief = np.array([0.1, 0.5, 0.15, 0.25, 0.0], np.float32)
    cell, level = credible_region(belief, CREDIBLE_LEVELS, max_cells=10)
    assert cell.tolist() == [1, 3, 2, 0]
    assert level.tolist() == [0.5, 0.5, 0.8, 0.95], "the cells before hold 0, 0.5, 0.75 and 0.9"
    assert credible_region(belief, (0.2, 0.4, 0.6), 10)[0].tolist() == [1, 3]
    assert credible_region(belief, (0.2, 0.4, 0.6), 10)[1].tolist() == [0.5, 0.95]
    assert credible_region(belief, CREDIBLE_LEVELS, max_cells=2)[0].tolist() == [1, 3]


@given(
    seed=seeds,
    limits=st.lists(st.floats(0, 1), min_size=3, max_size=3).map(sorted),
    most=st.integers(1, 50),
    zeros=st.integers(0, 39),
)
@few
def test_credible_regions_are_nested(seed, limits, most, zeros):
    belief = beliefs(1, 40, seed)[0]
    belief[:zeros] = 0.0
    belief /= belief.sum()
    cell, level = credible_region(belief, limits, most)
    assert 1 <= len(cell) <= most
    assert len(np.unique(cell)) == len(cell)
    assert (belief[cell] > 0.0).all()
    assert (np.diff(belief[cell]) <= 0.0).all()
    assert (np.diff(level) >= 0.0).all(), "each region is the beginning of the next"
    before = mass_before(np.tile(belief, (40, 1)), np.arange(40))
    largest = np.sort(-belief)[min(most, 40) - 1]
    for name, limit in zip(CREDIBLE_LEVELS, limits, strict=True):
        region = set(cell[level <= name])
        shown = (belief > 0.0) & (-belief <= largest)
        surely, perhaps = (shown & (before <= limit + margin) for margin in (-1e-5, 1e-5))
        assert set(np.flatnonzero(surely)) <= region <= set(np.flatnonzero(perhaps))


def test_cells_of_equal_belief_have_the_same_level():
    belief = np.array([0.5, 0.25, 0.25], np.float32)
    assert mass_before(np.tile(belief, (3, 1)), np.arange(3)).tolist() == [0.0, 0.5, 0.5]
    assert credible_region(belief, (0.1, 0.5, 0.6), max_cells=3)[1].tolist() == [0.5, 0.8, 0.8]
