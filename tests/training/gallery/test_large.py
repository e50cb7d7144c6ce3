"""Galleries in bounded memory are those of `build_gallery`."""

import numpy as np
import pytest

from geocells.partition.build import build_cells
from geocells.partition.config import CellConfig
from geoloc.belief.heads import Heads
from geoloc.encoders.base import normalise
from training.data.manifest import Manifest
from training.gallery import large
from training.gallery.cluster import build_gallery


@pytest.fixture(scope="module")
def photos():
    """Photos of towns on both sides of the date line, far north, and of one dense city."""
    rng = np.random.default_rng(0)
    centres = np.array([(-17.8, 179.9), (-17.7, -179.9), (78.2, 15.6), (47.4, 8.5), (1.99, 9.99)])
    latlon = centres[rng.integers(0, 5, 3000)] + rng.normal(0.0, 0.2, (3000, 2))
    latlon[:, 1] = (latlon[:, 1] + 180.0) % 360.0 - 180.0
    text = np.full(3000, "", dtype=object)
    manifest = Manifest(text, latlon, text, np.zeros(3000), *[text] * 5)
    return manifest, normalise(rng.standard_normal((3000, 24)))


def test_result_is_that_of_the_build_in_memory(photos, tmp_path, monkeypatch):
    manifest, vectors = photos
    monkeypatch.setattr(large, "_SUMMED_AT_ONCE", 100)
    monkeypatch.setattr(large, "_LOCATED_AT_ONCE", 700)
    cells = build_cells(np.unique(manifest.latlon, axis=0), CellConfig.of_size(100))
    projection = np.linalg.qr(np.random.default_rng(1).standard_normal((24, 16)))[0]
    some = np.zeros(1, np.float32)
    heads = Heads(
        np.zeros(24, np.float32), projection.astype(np.float32), some, some, some, some, some
    )
    whole = build_gallery(manifest, heads.features(vectors), cells)
    blocks = iter(np.array_split(vectors.astype(np.float16), 7))
    made = large.build_large_gallery(manifest, blocks, heads, cells, tmp_path)
    assert (made.members.latlon == whole.members.latlon).all()
    assert (made.clusters.count == whole.clusters.count).all()
    rows = np.arange(len(whole.clusters))
    same = (made.prototypes_of(rows) * whole.prototypes_of(rows)).sum(axis=1)
    assert same.min() > 0.999
    similarity, member = made.most_similar(heads.features(vectors[:50]), 1)
    assert similarity[:, 0] == pytest.approx(1.0, abs=0.01)
    assert (made.members.latlon[member[:, 0]] == manifest.latlon[:50]).all()


def test_tiles_cover_everything_once_with_what_is_in_reach(photos):
    latlon = photos[0].latlon
    seen = []
    for core, near in large.tiles(latlon, 30.0):
        assert np.isin(core, near).all()
        seen.append(core)
    assert (np.sort(np.concatenate(seen)) == np.arange(len(latlon))).all()
