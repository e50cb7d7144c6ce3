"""Rankings with some rows from another ranking, whose members are counted after its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from geoloc.answer.ranking import Ranking
from geoloc.types import BoolArray

_ROWS_OF_MEMBERS = ("neighbour", "known")


def with_rows(
    ranking: Ranking,
    other: Ranking,
    chosen: BoolArray,
    first: int,
    of_members: Sequence[str] = _ROWS_OF_MEMBERS,
) -> Ranking:
    """Return a ranking with some of its rows from another one.

    Retrieval features stay those of the first, because they differ in length.

    Args:
        ranking: of N photos.
        other: of the same photos.
        chosen: (N,) the rows to take from `other`.
        first: the number of the first member of `other`, which counts from 0.
        of_members: columns whose numbers count members.
    """
    if not chosen.any():
        return ranking
    columns: dict[str, Any] = {}
    for field in fields(Ranking):
        if field.name == "features":
            continue
        own, its = getattr(ranking, field.name), getattr(other, field.name)
        if field.name == "confidence":
            pairs = zip(own, its, chosen, strict=True)
            columns["confidence"] = [b if taken else a for a, b, taken in pairs]
            continue
        if field.name in of_members:
            its = np.where(its >= 0, its + first, its)
        width = max(own.shape[1], its.shape[1]) if own.ndim > 1 else 0
        own, its = (_as_wide(each, width, field.name) for each in (own, its))
        own = own.copy()
        own[chosen] = its[chosen]
        columns[field.name] = own
    return replace(ranking, **columns)


def _as_wide(column: Any, width: int, name: str) -> Any:  # noqa: ANN401  (N, P, …) of any type
    """Return a column with so many places in a row: none (-1) or 0 beyond the last."""
    if column.ndim < 2 or column.shape[1] == width:
        return column
    fill = -1 if name in ("cell", "neighbour", "similarity") else 0
    more = np.full((len(column), width - column.shape[1], *column.shape[2:]), fill, column.dtype)
    return np.concatenate([column, more], axis=1)
