"""One number per place: ranks follow the calibrated probability."""

import numpy as np
import pytest

from geoloc.answer.hedge import LOCALISED
from tests.geoloc.answer.drawn import draw


@pytest.mark.parametrize("within", [None, "Europe", "Australia", "48.86,2.35,300km"])
@pytest.mark.parametrize("together", [False, True])
def test_no_place_is_less_probable_than_the_next(starter, within, together):
    ranker, mask = starter.bundle.ranker, starter.restrict(within)
    group = np.repeat(np.arange(6), 3) if together else None
    ranking = starter.rank(draw(ranker, 18, 5), mask, group)
    listed = np.where(ranking.cell >= 0, ranking.probability, 0.0)
    assert (np.diff(listed, axis=1) <= 1e-6).all()
    assert ((ranking.probability >= 0.0) & (ranking.probability <= 1.0)).all()
    assert (ranking.answer_probability <= ranking.probability[:, 0] + 1e-6).all()


def test_the_first_place_is_the_answer_if_it_is_not_improbable(starter):
    ranking = starter.rank(draw(starter.bundle.ranker, 200, 6, noise=2.0))
    sure = ranking.probability[:, 0] >= LOCALISED
    assert 0 < sure.sum() < len(sure)
    assert (ranking.answer[sure] == ranking.latlon[sure, 0]).all()
    assert (ranking.answer_probability[sure] == ranking.probability[sure, 0]).all()


def test_candidates_of_a_guess_have_the_probabilities_of_the_ranking(starter):
    embeddings = draw(starter.bundle.ranker, 10, 7)
    ranking = starter.rank(embeddings)
    for row, guess in enumerate(starter.guess(embeddings)):
        shown = [candidate.probability for candidate in guess.candidates]
        assert shown == sorted(shown, reverse=True)
        assert shown == pytest.approx(ranking.probability[row, : len(shown)].tolist())
        assert guess.probability == pytest.approx(float(ranking.answer_probability[row]))
