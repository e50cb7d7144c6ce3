"""Places with all their views, which fine-tuning reads together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from torch import Tensor

from geoloc.types import IndexArray
from training.data.loading import Batch, CaptionedPhotos
from training.data.table import strings_of
from training.heads.examples import location_numbers


@dataclass(frozen=True, eq=False)
class Panoramas:
    """The L places of N photos, with V views each; V is 1 if no place has several photos."""

    table: pa.Table
    place: IndexArray
    """(N,) place of each photo."""
    rows: IndexArray
    """(L, V) photos of each place; a place with fewer than V repeats some."""
    train: IndexArray
    """Places of the split train."""
    val: IndexArray
    """Places of the split val."""

    @classmethod
    def of(cls, table: pa.Table) -> Panoramas:
        """Group the photos of the splits train and val by `location_id`."""
        split = strings_of(table, "split")
        kept = np.flatnonzero((split == "train") | (split == "val"))
        table, split = table.take(pa.array(kept)), split[kept]
        place = location_numbers(table)
        order = np.argsort(place, kind="stable")
        first, count = np.unique(place[order], return_index=True, return_counts=True)[1:]
        views = np.arange(count.max(initial=1))
        rows = order[first[:, None] + views % count[:, None]]
        of_train = split[rows[:, 0]] == "train"
        return cls(table, place, rows, np.flatnonzero(of_train), np.flatnonzero(~of_train))


class Views:
    """A dataset of places; an item (epoch, number) is all views of the place at this number."""

    def __init__(self, photos: CaptionedPhotos, rows: IndexArray) -> None:
        """Store the dataset of the photos, and the photos (L, V) of the places."""
        self._photos, self._rows = photos, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitems__(self, items: list[tuple[int, int]]) -> Batch:
        """Return the batch of all views of the places, view after view."""
        rows = ((epoch, row) for epoch, place in items for row in self._rows[place].tolist())
        return self._photos.__getitems__(list(rows))


def views_of_one_place(place: Tensor) -> tuple[Tensor, Tensor]:
    """Find the views (P, V) that were read in place of unusable ones, and are of another place.

    Returns:
        Weights (P, V) for the mean of the views of the most frequent place, 0 for the others, and
        the number (P,) of a view with weight.
    """
    own = (place == place.mode(dim=1).values[:, None]).float()
    return own / own.sum(dim=1, keepdim=True), own.argmax(dim=1)
