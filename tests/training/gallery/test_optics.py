"""Location clusters as published: OPTICS in each geocell, noise left out, members kept."""

import numpy as np
import pytest

from geocells.sphere import destination, haversine_km
from geoloc.encoders.base import normalise
from tests.geoloc.retrieval.test_gallery import make_cells
from training.data.manifest import Manifest
from training.gallery.optics import PRESETS, build_published_gallery, optics_clusters


def towns(seed: int, count: int = 40):
    """Draw places (3 * count + 30, 2) in three towns and scattered around them."""
    rng = np.random.default_rng(seed)
    parts = [
        destination(place, rng.uniform(0, 360, count), rng.gamma(2.0, reach, count))
        for place, reach in (((5.0, 1.0), 0.5), ((5.5, 1.5), 2.0), ((4.0, 3.0), 0.1))
    ]
    return np.vstack([*parts, rng.uniform((1, 0.5), (9, 9.5), (30, 2))])


def by_scikit(latlon, min_samples, xi):
    """Labels of scikit-learn from all distances in km, with zeros replaced as published."""
    from sklearn.cluster import OPTICS

    distance = np.maximum(haversine_km(latlon[:, None], latlon), 1e-5)
    return OPTICS(min_samples=min_samples, xi=xi, metric="precomputed").fit(distance).labels_


def groups(labels):
    """Return the clusters as sets of rows."""
    return {frozenset(np.flatnonzero(labels == number)) for number in set(labels.tolist()) - {-1}}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("min_samples", "xi"), [PRESETS["pigeon"], (20, 0.1)])
def test_clusters_equal_those_of_scikit_learn(seed, min_samples, xi):
    latlon = towns(seed)
    found = optics_clusters(latlon, np.zeros(len(latlon), int), min_samples, xi)
    assert groups(found) == groups(by_scikit(latlon, min_samples, xi))
    assert len(groups(found)) >= 2


def test_many_photos_at_one_point_are_a_cluster():
    latlon = np.vstack([np.repeat([(5.0, 1.0)], 30, axis=0), towns(0)])
    found = optics_clusters(latlon, np.zeros(len(latlon), int), *PRESETS["pigeon"])
    assert len(set(found[:30].tolist())) == 1
    assert found[0] >= 0


def test_cells_are_clustered_apart_and_small_ones_as_a_whole():
    cell = np.repeat([3, 1, 2], [50, 2, 60])
    latlon = np.vstack([towns(1)[:50], towns(2)[:2], towns(3)[:60]])
    found = optics_clusters(latlon, cell, 10, 0.1)
    assert found[50:52].tolist() == [0, 0], "fewer photos than min_samples"
    for number in set(found.tolist()) - {-1}:
        assert len(set(cell[found == number].tolist())) == 1
    of_cluster = [cell[found == number][0] for number in range(found.max() + 1)]
    assert of_cluster == sorted(of_cluster)


def test_the_gallery_has_mean_prototypes_and_all_members_but_noise():
    latlon = towns(0)
    features = normalise(np.random.default_rng(1).normal(size=(len(latlon), 8)))
    words = np.array([f"photo {row}" for row in range(len(latlon))], object)
    manifest = Manifest(words, latlon, words, np.zeros(len(latlon)), *[words] * 5)
    cells = make_cells()
    gallery = build_published_gallery(manifest, features, cells, "pigeon")
    labels = optics_clusters(latlon, cells.locate(latlon), *PRESETS["pigeon"])
    kept = np.flatnonzero(labels >= 0)
    assert 0 < len(kept) < len(latlon)
    assert sorted(gallery.members.author.tolist()) == sorted(words[kept].tolist())
    means = normalise([features[labels == n].sum(axis=0) for n in range(labels.max() + 1)])
    home = gallery.clusters.cell.astype(np.int64)[:, None]
    found = gallery.best_in(means.astype(np.float32), home)
    assert found.cluster[:, 0].tolist() == list(range(len(means)))
    assert found.similarity == pytest.approx(1.0, abs=1e-2)
    assert gallery.clusters.count.sum() == len(kept)
