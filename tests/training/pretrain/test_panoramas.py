"""The views of a place are read together, and views of other places do not enter their mean."""

import numpy as np
import pyarrow as pa
import torch

from training.pretrain.panoramas import Panoramas, Views, views_of_one_place

TABLE = pa.table({
    "photo_id": list("abcdefgh"),
    "location_id": ["x", "y", "x", "y", "", "x", "z", "x"],
    "split": ["train", "val", "train", "val", "train", "train", "test", "train"],
})  # fmt: skip


def test_places_have_all_their_views_and_no_test_photos():
    panoramas = Panoramas.of(TABLE)
    names = np.array(panoramas.table["photo_id"].to_pylist())[panoramas.rows]
    assert {"".join(views) for views in names} == {"acfh", "bdbd", "eeee"}
    assert ["".join(names[place]) for place in panoramas.val] == ["bdbd"]
    assert sorted("".join(names[place]) for place in panoramas.train) == ["acfh", "eeee"]


def test_photos_without_locations_are_places_of_one_view():
    panoramas = Panoramas.of(TABLE.drop_columns("location_id"))
    assert panoramas.rows.shape == (7, 1)
    assert sorted(panoramas.rows.ravel()) == list(range(7))


def test_an_item_is_all_views_of_a_place():
    asked = []

    class Photos:
        def __getitems__(self, items):
            asked.extend(items)

    Views(Photos(), np.array([[4, 5], [6, 7]])).__getitems__([(3, 1), (3, 0)])
    assert asked == [(3, 6), (3, 7), (3, 4), (3, 5)]


def test_a_view_read_in_place_of_a_broken_one_does_not_enter_the_mean():
    weights, view = views_of_one_place(torch.tensor([[9, 2, 2, 2], [5, 5, 5, 5]]))
    assert torch.allclose(weights, torch.tensor([[0, 1 / 3, 1 / 3, 1 / 3], [0.25] * 4]))
    assert view.tolist() == [1, 0]
