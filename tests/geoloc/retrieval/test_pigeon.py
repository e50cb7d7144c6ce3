"""Refinement as published with PIGEON."""

import numpy as np
import pytest

from geocells.sphere import haversine_km
from geoloc.retrieval.pigeon import PRESETS, Refinement, refine, weigh
from tests.geoloc.retrieval.test_gallery import (
    CELLS,
    EMPTY,
    make_cells,
    make_gallery,
    queries,
    restrict,
)

ANYWHERE = float("inf")


def sure_of(*cells):
    """Return the belief that is concentrated in one cell for each photo."""
    return np.eye(CELLS, dtype=np.float32)[list(cells)]


def photo_rows(gallery, found):
    """Return a gallery photo at the place of each answer (N, 2)."""
    away = haversine_km(found[:, None], gallery.members.latlon)
    assert (away.min(axis=1) < 1e-6).all()
    return away.argmin(axis=1)


def test_weights_equal_precomputed_values():
    chance = np.array([[0.5, 0.3, 0.2]], np.float32)
    distance = np.array([[10.0, 9.0, 8.0]], np.float32)
    nearness = weigh(np.ones((1, 3), np.float32), distance, 1.6)
    assert nearness[0] == pytest.approx([0.1573, 0.2938, 0.5489], abs=5e-5)
    weight = weigh(chance, distance, 1.6)
    assert weight[0] == pytest.approx([0.0787, 0.0881, 0.1098], abs=1e-4)
    assert weight.argmax() == 2
    sharper = weigh(chance, distance, 0.6)
    assert sharper.argmax() == 2
    assert sharper[0, 2] / sharper[0, 1] == pytest.approx(2 / 3 * np.exp(1 / 0.6), rel=1e-4)


def test_presets_equal_the_published_values():
    assert PRESETS["pigeon"] == Refinement(5, 1.6, 1000.0)
    assert PRESETS["pigeotto"] == Refinement(40, 0.6, 100_000.0)


def test_the_most_similar_photo_of_the_best_cluster_is_the_answer():
    gallery, prototypes, features = make_gallery()
    rows = np.arange(len(gallery.members))
    gallery.members.latlon[:] += np.column_stack([rows % 4, rows % 4]) * 0.01  # each its own place
    photos, _ = queries(30)
    belief = sure_of(*[3] * 30)
    found = refine(Refinement(5, 1.6, ANYWHERE), belief, photos, gallery, make_cells()).latlon
    best = 9 + (photos @ prototypes[9:12].T).argmax(axis=1)
    product = np.where(gallery.members.cluster == best[:, None], photos @ features.T, np.nan)
    row = photo_rows(gallery, found)
    assert row.tolist() == np.nanargmax(product, axis=1).tolist()
    assert not (row == np.nanargmin(product, axis=1)).any()


def test_a_less_probable_cell_wins_with_a_much_nearer_prototype():
    gallery, prototypes, _ = make_gallery()
    photos = prototypes[[6, 6]]  # a cluster of cell 2
    belief = np.zeros((2, CELLS), np.float32)
    belief[:, 7], belief[0, 2], belief[1, 2] = 0.9, 0.1, 1e-9
    found = refine(Refinement(5, 1.6, ANYWHERE), belief, photos, gallery, make_cells()).latlon
    assert gallery.members.cluster[photo_rows(gallery, found)].tolist()[0] == 6
    assert make_cells().locate(found).tolist() == [2, 7]


def test_only_the_top_cells_are_refined():
    gallery, prototypes, _ = make_gallery()
    belief = np.full((1, CELLS), 0.05, np.float32)
    belief[0, 7], belief[0, 2] = 0.4, 0.1
    for top, cell in ((1, 7), (2, 2), (99, 2)):
        found = refine(
            Refinement(top, 0.6, ANYWHERE), belief, prototypes[6:7], gallery, make_cells()
        )
        assert make_cells().locate(found.latlon).tolist() == found.cell.tolist() == [cell]


def test_a_refined_answer_too_far_away_is_rejected():
    gallery, prototypes, _ = make_gallery()
    belief = np.zeros((1, CELLS), np.float32)
    belief[0, 10], belief[0, 0] = 0.6, 0.4
    cells, photo = make_cells(), prototypes[:1]  # a cluster of cell 0, 11,000 km from cell 10
    believed = refine(Refinement(2, 0.6, 20_000.0), belief, photo, gallery, cells).latlon
    assert cells.locate(believed).tolist() == [0]
    guarded = refine(Refinement(2, 0.6, 1000.0), belief, photo, gallery, cells).latlon
    assert guarded.tolist() == cells.centroids[[10]].tolist()


def test_a_cell_without_clusters_is_chosen_only_if_all_are_empty():
    gallery, _, _ = make_gallery()
    photos, _ = queries(40)
    belief = sure_of(*[EMPTY] * 40)
    belief[:, 4] = 1e-30
    far, cells = Refinement(2, 0.6, ANYWHERE), make_cells()
    assert (cells.locate(refine(far, belief, photos, gallery, cells).latlon) == 4).all()
    alone = refine(Refinement(1, 0.6, ANYWHERE), belief, photos, gallery, cells).latlon
    assert (alone == cells.centroids[EMPTY]).all()


def test_a_constraint_excludes_clusters_and_centroids_outside():
    gallery, prototypes, _ = make_gallery()
    mask = restrict(gallery, [2])
    belief = sure_of(2, 2)
    answers = refine(PRESETS["pigeon"], belief, prototypes[[0, 7]], gallery, make_cells(), mask)
    assert answers.cell.tolist() == [2, 2]
    assert set(gallery.members.cluster[photo_rows(gallery, answers.latlon)]) <= {6, 7, 8}
