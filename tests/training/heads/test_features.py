"""Features in a temporary file: their values, their order, and a full disk."""

import errno
import tempfile

import numpy as np
import pytest
import torch

from geoloc.encoders.base import normalise
from geoloc.errors import TableError
from training.heads import features as module
from training.heads.examples import Examples
from training.heads.features import Features, blocks, principal_components

COUNT, DIM = 3000, 12


@pytest.fixture
def examples() -> Examples:
    rng = np.random.default_rng(0)
    embeddings = rng.normal(1.0, np.arange(1, DIM + 1), (COUNT, DIM)).astype(np.float16)
    return Examples(embeddings, np.zeros((COUNT, 2)), rng.uniform(0, 2, COUNT).astype(np.float32))


@pytest.fixture
def small_windows(monkeypatch):
    """Windows and blocks so small that 3,000 photos fill several of them."""
    monkeypatch.setattr(module, "BLOCK", 8)
    monkeypatch.setattr(module, "_WINDOW", 64 * 8)
    monkeypatch.setattr(module, "_ROWS_AT_ONCE", 700)


def test_features_are_projected_and_of_unit_length(examples, small_windows):
    mean, projection = principal_components(examples, 5, 0.25)
    features = Features(examples, mean, projection)
    stored = torch.cat(list(features.in_order())).float().numpy()
    expected = normalise((examples.embeddings.astype(np.float32) - mean) @ projection)
    assert stored == pytest.approx(expected, abs=1e-3)
    assert (len(features), features.width) == (COUNT, 5)


def test_components_are_those_of_the_weighted_covariance(examples, small_windows):
    mean, projection = principal_components(examples, DIM, 0.5)
    data, weights = examples.embeddings.astype(np.float64), examples.weights
    assert mean == pytest.approx(np.average(data, axis=0, weights=weights), abs=1e-3)
    whitened = np.cov(((data - mean) @ projection).T, aweights=weights, ddof=0)
    assert whitened == pytest.approx(np.eye(DIM), abs=1e-2)


def test_every_photo_comes_once_in_an_epoch_with_its_features(examples, small_windows):
    mean, projection = principal_components(examples, 5, 0.0)
    features = Features(examples, mean, projection)
    in_order = torch.cat(list(features.in_order()))
    rows, values = zip(*features.batches(100, 3, 1), strict=True)
    assert len(rows) == features.steps(100)
    assert torch.cat(rows).sort().values.tolist() == list(range(COUNT))
    assert torch.equal(torch.cat(values), in_order[torch.cat(rows)])
    again = torch.cat([row for row, _ in features.batches(100, 3, 1)])
    other = torch.cat([row for row, _ in features.batches(100, 3, 2)])
    assert torch.equal(again, torch.cat(rows))
    assert not torch.equal(other, torch.cat(rows))


def test_neighbours_in_the_file_are_spread_over_an_epoch(examples, small_windows):
    mean, projection = principal_components(examples, 5, 0.0)
    rows = torch.cat([row for row, _ in Features(examples, mean, projection).batches(64, 0, 0)])
    assert (rows[1:] - rows[:-1]).abs().float().median() > 100


def test_mapped_embeddings_are_read_like_those_in_memory(examples, tmp_path, small_windows):
    np.save(tmp_path / "embeddings.npy", examples.embeddings)
    mapped = np.load(tmp_path / "embeddings.npy", mmap_mode="r")
    read = [block.copy() for block in blocks(mapped)]
    assert np.array_equal(np.concatenate(read), examples.embeddings)


def test_a_full_disk_is_one_clear_line(examples, monkeypatch):
    class Full:
        def write(self, content: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", Full)
    with pytest.raises(TableError, match=r"No space left on device while storing .* TMPDIR"):
        Features(examples, *principal_components(examples, 5, 0.0))
