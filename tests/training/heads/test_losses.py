"""Published values, definitions and gradients of the head losses."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geocells.sphere import destination, pairwise_km, unit_vectors
from training.heads.losses import (
    masked_cross_entropy,
    masked_mse,
    smoothed_labels,
    soft_cross_entropy,
)


def vectors(latlon) -> torch.Tensor:
    return torch.from_numpy(unit_vectors(latlon))


def test_smoothed_labels_have_the_published_values():
    here = np.array([[48.0, 11.0]])
    cells = np.concatenate([destination(here, 90.0, km) for km in (10.0, 85.0, 160.0)])
    labels = smoothed_labels(vectors(here), vectors(cells), 75.0)
    assert labels[0].numpy() == pytest.approx([1.0, np.exp(-1), np.exp(-2)], abs=1e-5)
    share = labels / labels.sum()
    assert share[0].numpy() == pytest.approx([0.6652, 0.2447, 0.0900], abs=5e-5)


places = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


@given(
    st.lists(places, min_size=1, max_size=9),
    st.lists(places, min_size=2, max_size=9),
    st.floats(10, 500),
    st.data(),
)
@settings(deadline=None, max_examples=60)
def test_smoothed_labels_match_their_definition(photos, cells, tau_km, data):
    photos, cells = np.array(photos), np.array(cells)
    cell = np.array([data.draw(st.integers(0, len(cells) - 1)) for _ in photos])
    distance = pairwise_km(photos, cells)
    inputs = vectors(photos), vectors(cells), tau_km
    nearest = np.exp((distance.min(axis=1, keepdims=True) - distance) / tau_km)
    # float32 distances of 20,000 km are off by some metres, and tau is 10 km or more
    assert smoothed_labels(*inputs).numpy() == pytest.approx(nearest, abs=4e-3)
    true_km = distance[np.arange(len(photos)), cell][:, None]
    got = smoothed_labels(*inputs, "true", torch.from_numpy(cell)).numpy()
    exponent = np.clip((true_km - distance) / tau_km, -60, 60)
    assert np.log(np.clip(got, np.exp(-60), np.exp(60))) == pytest.approx(exponent, abs=0.02)


def test_labels_do_not_depend_on_the_batch():
    rng = np.random.default_rng(0)
    photos, cells = rng.uniform(-80, 80, (700, 2)), rng.uniform(-80, 80, (600, 2))
    together = smoothed_labels(vectors(photos), vectors(cells), 75.0)
    alone = [smoothed_labels(vectors(photos[i : i + 1]), vectors(cells), 75.0) for i in (0, 431)]
    assert torch.allclose(together[[0, 431]], torch.cat(alone), atol=1e-6)


def test_cross_entropy_equals_that_of_torch():
    logits, labels = torch.randn(6, 9), torch.rand(6, 9)
    published = soft_cross_entropy(logits, labels, normalise=False)
    assert torch.allclose(published, torch.nn.functional.cross_entropy(logits, labels))
    share = labels / labels.sum(dim=1, keepdim=True)
    normalised = torch.nn.functional.cross_entropy(logits, share)
    assert torch.allclose(soft_cross_entropy(logits, labels), normalised)


def test_photos_are_weighted():
    logits, labels = torch.randn(2, 5), torch.rand(2, 5)
    first = soft_cross_entropy(logits[:1], labels[:1])
    assert torch.allclose(soft_cross_entropy(logits, labels, torch.tensor([2.0, 0.0])), first)


@pytest.mark.parametrize("normalise", [True, False])
def test_gradients_match_finite_differences(normalise):
    logits = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    labels, weights = torch.rand(4, 5, dtype=torch.float64), torch.rand(4, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda z: soft_cross_entropy(z, labels, weights, normalise=normalise), logits
    )
    target = torch.tensor([[1.0, np.nan, 0.2, 3.0, np.nan]] * 4, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda z: masked_mse(z, target), logits)
    classes = torch.tensor([1, -1, 4, 0])
    assert torch.autograd.gradcheck(lambda z: masked_cross_entropy(z, classes), logits)


def test_unknown_targets_have_no_gradient():
    values = torch.randn(3, 2, requires_grad=True)
    target = torch.tensor([[np.nan, 1.0], [np.nan, np.nan], [0.5, np.nan]])
    masked_mse(values, target).backward()
    assert torch.equal(values.grad == 0, torch.isnan(target))
    nothing = torch.full((3, 2), np.nan)
    assert masked_mse(values, nothing) == 0
    assert masked_cross_entropy(torch.randn(3, 4), torch.full((3,), -1)) == 0
