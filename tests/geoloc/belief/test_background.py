"""The background of a bundle: storage in 8 bits, and damaged files."""

import shutil

import numpy as np
import pytest

from geoloc.belief.background import Background, collection_codes
from geoloc.bundle import directory
from geoloc.encoders.base import normalise
from geoloc.errors import BundleError

NAMES = np.array(["Ann", "repo", "Ann", ""], dtype=object)


def background(dim: int) -> Background:
    rng = np.random.default_rng(0)
    embeddings = normalise(np.maximum(rng.standard_cauchy((4, dim)), 0))
    return Background.of(embeddings, rng.uniform(-80, 80, (4, 2)), NAMES)


def test_embeddings_and_places_survive_storage(tmp_path):
    rng = np.random.default_rng(1)
    embeddings = normalise(rng.exponential(size=(300, 1280)))
    latlon = rng.uniform(-80, 80, (300, 2))
    names = rng.integers(0, 9, 300).astype(str).astype(object)
    Background.of(embeddings, latlon, names).write(tmp_path / "background.safetensors")
    assert (tmp_path / "background.safetensors").stat().st_size < 1.02 * 300 * (1280 + 12)
    read = Background.read(tmp_path / "background.safetensors")
    assert (read.embeddings * embeddings).sum(axis=1).min() > 0.999
    assert np.abs(read.latlon - latlon).max() < 1e-4
    assert np.array_equal(read.collection, collection_codes(names))


def test_photos_of_a_collection_are_left_out_by_its_name():
    left = background(8).without(NAMES[:1])
    assert left.collection.tolist() == collection_codes(NAMES[[1, 3]]).tolist()
    assert len(background(8).without(np.array([], dtype=object))) == 4


@pytest.fixture
def copy(tmp_path):
    """Return a copy of the starter, and a function that seals it with a background."""
    folder = tmp_path / "copy"
    shutil.copytree(directory.EMBEDDED / "starter", folder)
    spec = directory.load(folder).encoder_spec

    def seal(content: Background):
        (folder / "bundle.json").unlink()
        content.write(folder / directory.BACKGROUND)
        directory.seal(folder, "copy", spec, {}, {})
        return folder

    return spec, seal


def test_bundle_holds_its_background(copy):
    spec, seal = copy
    loaded = directory.load(seal(background(spec.dim))).background
    assert np.array_equal(loaded.quantised, background(spec.dim).quantised)


def test_background_of_another_encoder_is_refused(copy):
    spec, seal = copy
    folder = seal(background(spec.dim + 1))
    with pytest.raises(BundleError, match=r"background\.safetensors.*another encoder"):
        directory.load(folder)


def test_damaged_background_is_named_in_the_error(copy, tmp_path):
    spec, seal = copy
    folder = seal(background(spec.dim))
    (folder / directory.BACKGROUND).write_bytes(b"no")
    with pytest.raises(BundleError, match=r"background\.safetensors: damaged.*checksum"):
        directory.load(folder)
    with pytest.raises(BundleError, match=r"background\.safetensors: not a readable file"):
        Background.read(folder / directory.BACKGROUND)
