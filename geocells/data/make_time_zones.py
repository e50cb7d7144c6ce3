"""Build the files of time zones: where each zone lies, and its UTC offsets."""

import bisect
import json
import re
import zoneinfo
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from geocells import time_zones

DATA = Path(__file__).parent


def main(source: Path) -> None:
    """Write both files; SOURCE holds the script of tz-lookup, and tzdata is installed."""
    write_time_zones(source)
    write_zone_offsets()


def write_time_zones(source: Path) -> None:
    """Extract the quadtree and the names of its zones from the JavaScript file."""
    script = (source / "tz_lookup_cc0.js").read_text(encoding="utf-8")
    tree = re.search(r'X="([^"]*)"', script)
    zones = re.search(r"T=(\[[^\]]*\])", script)
    if tree is None or zones is None:
        raise ValueError(
            "tz_lookup_cc0.js: unexpected layout; use version 11.7 of @photostructure/tz-lookup"
        )
    stored = {"tree": tree[1], "zones": json.loads(zones[1])}
    (DATA / "time_zones.json").write_text(json.dumps(stored) + "\n", encoding="utf-8")


def write_zone_offsets() -> None:
    """Write when the UTC offset of each time zone changed; equal histories are stored once."""
    zones = json.loads((DATA / "time_zones.json").read_text(encoding="utf-8"))["zones"]
    histories: dict[tuple[tuple[int, int], ...], int] = {}
    history = [
        histories.setdefault(_offsets(zoneinfo.ZoneInfo(name)), len(histories)) for name in zones
    ]
    rows = [row for each in histories for row in each]
    first = np.cumsum([0, *map(len, histories)])
    np.savez_compressed(
        DATA / time_zones.FILE,
        start_h=np.array([start for start, _ in rows], np.int32),
        minutes=np.array([minutes for _, minutes in rows], np.int16),
        first=first.astype(np.int32),
        zone=np.array(zones),
        history=np.array(history, np.int16),
    )


def _offsets(zone: zoneinfo.ZoneInfo) -> tuple[tuple[int, int], ...]:
    """Return the hours since 1970 at which an offset begins, and the offset in minutes."""

    def minutes(hour: int) -> int:
        offset = datetime.fromtimestamp(3600 * hour, zone).utcoffset()
        assert offset is not None
        return round(offset.total_seconds() / 60)

    first, last = (
        int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) // 3600
        for year in (time_zones.EARLIEST, time_zones.LATEST + 1)
    )
    found = [(first, minutes(first))]
    step = 24  # shorter than any period between two changes
    for low in range(first, last, step):
        if minutes(low + step) != found[-1][1]:
            hour = bisect.bisect_left(
                range(low, low + step), True, key=lambda h: minutes(h) != found[-1][1]
            )
            found.append((low + hour, minutes(low + hour)))
    return tuple(found)
