"""Answers within a constraint: nothing outside, and radii no wider than what was given."""

import numpy as np
import pytest

from geoloc.belief.constraints import parse
from geoloc.errors import ConstraintError
from tests.geoloc.answer.drawn import draw

AREAS = ("Peru", "Bavaria, Germany", "48.86,2.35,50km", "-34,151,0.8km", "-10,20,10,40")


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("within", AREAS)
def test_nothing_of_the_answer_lies_outside(starter, within, together):
    mask, constraint = starter.restrict(within), parse(within)
    group = np.repeat(np.arange(4), 4) if together else None
    ranking = starter.rank(draw(starter.bundle.ranker, 16, 1), mask, group)
    assert (ranking.belief[:, mask.share == 0.0] == 0.0).all()
    assert ranking.belief.sum(axis=1) == pytest.approx(1.0, abs=1e-4)
    assert constraint.contains(ranking.answer).all()
    assert constraint.contains(ranking.latlon[ranking.cell >= 0]).all()
    shown = ranking.neighbour[ranking.neighbour >= 0]
    members = starter.bundle.ranker.gallery.members
    assert mask.clusters[members.cluster[shown]].all()


@pytest.mark.parametrize("within", AREAS)
def test_radii_are_nested_and_end_where_the_constraint_does(starter, within):
    mask = starter.restrict(within)
    ranking = starter.rank(draw(starter.bundle.ranker, 16, 2), mask)
    assert (np.diff(ranking.radii_km, axis=1) >= 0.0).all()
    assert (ranking.radii_km <= mask.reach_km(ranking.answer)[:, None] * 1.0001).all()


def test_no_claim_says_what_was_given(starter):
    embeddings = draw(starter.bundle.ranker, 60, 3)
    country = starter.rank(embeddings, starter.restrict("Australia"))
    assert "country" not in country.confidence
    region = starter.rank(embeddings, starter.restrict("-33.87,151.21,90km"))
    assert not {"country", "region"} & set(region.confidence)
    city = starter.rank(embeddings, starter.restrict("-33.87,151.21,5km"))
    assert set(city.confidence) == {"not sure"}


def test_photos_that_contradict_the_constraint_are_answered_inside_it(starter):
    sydney = starter.bundle.ranker.gallery.members.latlon[:, 0] < -30.0
    embeddings = draw(starter.bundle.ranker, 200, 4)
    assert sydney.any()
    ranking = starter.rank(embeddings, starter.restrict("Mongolia"))
    assert parse("Mongolia").contains(ranking.answer).all()
    assert np.isfinite(ranking.probability).all()


@pytest.mark.parametrize(
    ("within", "message"),
    [("-55,-140,1km", "the model has no place there; give a larger area"),
     ("10,20,-10,40", "south")],
)  # fmt: skip
def test_a_constraint_without_a_cell_is_a_clear_error(starter, within, message):
    with pytest.raises(ConstraintError, match=message) as caught:
        starter.restrict(within)
    assert "\n" not in str(caught.value)
