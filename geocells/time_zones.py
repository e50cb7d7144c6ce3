"""UTC offsets of time zones on a date, from an embedded extract of the tz database.

The extract covers EARLIEST to LATEST; the offsets of the last year with a known rule are used after
that. The zones are those that `geocells.attributes.time_zone` returns.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache

import numpy as np
import numpy.typing as npt

from geocells.borders.hierarchy import DATA
from geocells.types import Int64Array

EARLIEST, LATEST = 1995, 2037
"""Years that the extract covers."""

FILE = "zone_offsets.npz"


def utc_offset_min(zones: npt.ArrayLike, when: datetime) -> Int64Array:
    """Return the offset (N,) of local time from UTC in minutes, for zones (N,) on a date.

    Args:
        zones: IANA names.
        when: a time with a zone; before EARLIEST the first known offset counts.

    Raises:
        KeyError: an unknown zone.
    """
    hour = int(when.astimezone(UTC).timestamp() // 3600)
    starts, minutes, first, row = _table()
    names, place = np.unique(np.asarray(zones, dtype=str), return_inverse=True)
    offsets = np.empty(len(names), np.int64)
    for i, name in enumerate(names.tolist()):
        begin, end = first[row[name]], first[row[name] + 1]
        at = int(np.searchsorted(starts[begin:end], hour, side="right")) - 1
        offsets[i] = minutes[begin + max(at, 0)]
    return offsets[place]


@cache
def _table() -> tuple[Int64Array, Int64Array, Int64Array, dict[str, int]]:
    """Return when offsets begin, the offsets, the first row of each history, and that of a zone.

    Returns:
        (R,) hours since 1970, (R,) minutes, (H + 1,) rows, and the history of each zone by name.
    """
    with np.load(DATA / FILE) as stored:
        starts, minutes, first = (
            stored[name].astype(np.int64) for name in ("start_h", "minutes", "first")
        )
        row = dict(zip(stored["zone"].tolist(), stored["history"].tolist(), strict=True))
    return starts, minutes, first, row
