"""Labels that are computed once equal the published ones, cut off at 10 tau."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geocells.sphere import unit_vectors
from training.heads.losses import smoothed_labels
from training.heads.smoothing import CUTOFF, SmoothedLabels

places = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


@given(
    st.lists(places, min_size=1, max_size=9),
    st.lists(places, min_size=1, max_size=9),
    st.floats(10, 3000),
    st.sampled_from(["nearest", "true"]),
    st.data(),
)
@settings(deadline=None, max_examples=80)
def test_labels_are_the_published_ones_above_the_cutoff(photos, cells, tau_km, reference, data):
    photos, cells = np.array(photos), np.array(cells)
    cell = np.array([data.draw(st.integers(0, len(cells) - 1)) for _ in photos])
    vectors = torch.from_numpy(unit_vectors(photos)), torch.from_numpy(unit_vectors(cells))
    exact = smoothed_labels(*vectors, tau_km, reference, torch.from_numpy(cell)).double()
    rows = torch.arange(len(photos)).flip(0)
    got = SmoothedLabels(photos, cell, cells, tau_km, reference)(rows).double()
    exact = exact[rows]
    share = exact / exact.amax(dim=1, keepdim=True)
    kept = share > np.exp(-CUTOFF) * 1.01
    finite = torch.isfinite(exact) & (exact < 1e30)
    ratio = (got / exact)[kept & finite]
    # half precision, and float32 distances of 20,000 km in `smoothed_labels`
    assert ratio.numpy() == pytest.approx(np.ones(len(ratio)), abs=8e-3)
    assert (got[share < np.exp(-CUTOFF) * 0.99] == 0).all()


def test_labels_without_smoothing_are_the_own_cells():
    rng = np.random.default_rng(0)
    cells, cell = rng.uniform(-60, 60, (7, 2)), np.array([3, 0, 6, 6])
    labels = SmoothedLabels(rng.uniform(-60, 60, (4, 2)), cell, cells, 0.0)
    assert torch.equal(labels(torch.arange(4)).argmax(dim=1), torch.from_numpy(cell))
    assert labels(torch.tensor([2, 1])).sum(dim=1).tolist() == [1.0, 1.0]


def test_cells_without_photos_and_cells_at_one_place_are_allowed():
    cells = np.array([[10.0, 10.0], [10.0, 10.0], [50.0, 50.0], [10.0, 10.5]])
    labels = SmoothedLabels(np.array([[10.0, 10.0]]), np.array([1]), cells, 75.0)
    (row,) = labels(torch.tensor([0])).tolist()
    assert row[0] == row[1] == 1.0
    assert row[2] == 0.0
    assert 0.3 < row[3] < 0.6
