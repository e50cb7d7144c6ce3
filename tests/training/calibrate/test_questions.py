"""Held-out questions: groups of one place, mixed groups, and constraints that hold the truth."""

import numpy as np
import pytest

from geoloc.belief.constraints import parse
from training.calibrate.heldout import HeldOut
from training.calibrate.questions import (
    CONSTRAINTS,
    GROUP_SIZES,
    constrained,
    draw_constraint,
    every_photo,
    groups_of_photos,
    mixed_groups,
    some_photos,
)

CITIES = np.array([(48.86, 2.35), (-33.87, 151.21), (35.68, 139.69), (-0.18, -78.47), (64.1, -21.9),
                   (-17.8, 178.0), (60.17, 24.94), (1.35, 103.82)])  # fmt: skip


def held_out_photos(per_city: int = 20) -> HeldOut:
    """Return photos of eight cities, a collection each; two rankers answer every second one."""
    count = len(CITIES) * per_city
    city = np.repeat(np.arange(len(CITIES)), per_city)
    jitter = np.random.default_rng(0).normal(0, 0.001, (count, 2))
    ranker = np.arange(count) % 2
    return HeldOut(
        [None, None], ranker, ranker != np.arange(2)[:, None], np.zeros((count, 4), np.float32),
        CITIES[city] + jitter, np.ones(count, np.float32), city.astype(np.int32),
        np.array([f"place {c}" for c in city], object), city % 2 == 0,
    )  # fmt: skip


@pytest.mark.parametrize("kind", CONSTRAINTS)
def test_drawn_constraints_are_understood_and_hold_the_truth(kind):
    rng = np.random.default_rng(0)
    found = 0
    for place in CITIES:
        for _ in range(5):
            text = draw_constraint(kind, place, rng)
            if text:
                found += 1
                assert parse(text).contains(place[None]).all(), text
    assert found >= 30


def test_groups_are_of_one_place_and_of_one_ranker():
    held_out = held_out_photos()
    asked = groups_of_photos(held_out, 500, 0)
    assert set(asked.photos.tolist()) == {size for size in GROUP_SIZES if size <= 10}
    for rows in asked.rows:
        assert len(set(rows.tolist())) == len(rows)
        assert len(set(held_out.place[rows])) == 1
        assert len(set(held_out.ranker[rows])) == 1
    for size in set(asked.photos.tolist()):
        share = asked.weights[asked.photos == size].sum() / asked.weights.sum()
        assert share == pytest.approx(1 / len(set(asked.photos.tolist())), abs=0.01)


def test_photos_without_neighbours_make_no_groups():
    assert len(groups_of_photos(held_out_photos(1), 100, 0)) == 0


def test_mixed_groups_have_a_photo_of_each_country():
    held_out = held_out_photos()
    asked = mixed_groups(held_out, groups_of_photos(held_out, 60, 0), 1)
    assert len(asked)
    for rows in asked.rows:
        assert len(set(held_out.place[rows])) == len(rows) > 1
        assert len(set(held_out.new[rows])) == 1


def test_questions_that_are_drawn_by_weight_have_equal_weights():
    held_out = held_out_photos()
    assert every_photo(held_out).weights is held_out.weights
    some = some_photos(held_out, 30, 0)
    assert len(some) == 30
    assert (some.weights == 1.0).all()
    assert len(set(some.first.tolist())) == 30


def test_constrained_questions_keep_their_photos():
    held_out = held_out_photos()
    asked = constrained(some_photos(held_out, 24, 0), held_out, 0)
    assert 16 <= len(asked) <= 24
    for rows, within in zip(asked.rows, asked.within, strict=True):
        assert parse(within).contains(held_out.latlon[rows]).all()
