"""The commands `geoloc-train cells` and `geoloc-train cells report`."""

import re
from pathlib import Path

import numpy as np
import pytest

from geocells.table import CellTable
from geoloc.errors import TableError
from training.data import coordinates


def write(path: Path, rows: list[tuple[object, object]], header: str = "lat,lon") -> Path:
    path.write_text(header + "\n" + "\n".join(f"{a},{b}" for a, b in rows))
    return path


@pytest.fixture
def spain() -> list[tuple[float, float]]:
    rng = np.random.default_rng(0)
    return [(lat, lon) for lat, lon in rng.uniform((38, -5), (42, -2), (400, 2)).round(4).tolist()]


def test_cells_are_written_and_reported(tmp_path, spain, geoloc_train):
    source = write(tmp_path / "photos.csv", spain, "id,Latitude,LNG".removeprefix("id,"))
    table = tmp_path / "new" / "cells.parquet"
    drawn = tmp_path / "other" / "cells.geojson"
    done = geoloc_train("cells", source, "-o", table, "--geojson", drawn)
    assert done.returncode == 0, done.stderr
    assert "photos: 400" in done.stdout
    cells = CellTable.read(table)
    assert cells.count.sum() == 400
    assert (cells.count[cells.country == "ES"] > 0).sum() > 5
    assert drawn.stat().st_size > 1000
    pictures = [tmp_path / "cells.png", tmp_path / "cells.html"]
    done = geoloc_train("cells", "report", table, *(f"--out={picture}" for picture in pictures))
    assert done.returncode == 0, done.stderr
    assert pictures[0].read_bytes()[:4] == b"\x89PNG"
    page = pictures[1].read_text()
    assert "photos in cells above the maximum" in page
    assert "http" not in page, "the page loads nothing from other hosts"


@pytest.mark.parametrize(
    "method",
    [
        "rectangles",
        "h3",
        "s2",
        "kmeans",
    ],
)
def test_other_methods_partition_too(tmp_path, spain, method, geoloc_train):
    source = write(tmp_path / "photos.csv", spain)
    done = geoloc_train("cells", source, "-o", tmp_path / "cells.parquet", "--method", method)
    assert done.returncode == 0, done.stderr
    cells = CellTable.read(tmp_path / "cells.parquet")
    assert cells.count.sum() == 400
    assert (cells.count > 0).sum() >= 7


def test_rows_without_coordinates_are_reported_and_left_out(tmp_path, spain, geoloc_train):
    bad = [("nan", 0), (151.2, -33.9), ("north", 3), (0, 200)]
    source = write(tmp_path / "photos.csv", spain + bad)
    done = geoloc_train("cells", source, "-o", tmp_path / "cells.parquet")
    assert done.returncode == 1
    lines = done.stderr.strip().splitlines()
    assert all("photos.csv" in line for line in lines)
    counts = [int(re.search(r"(\d+) of 404 rows", line)[1]) for line in lines]
    assert sum(counts) == 4
    assert CellTable.read(tmp_path / "cells.parquet").count.sum() == 400


def test_swapped_columns_are_refused(tmp_path, spain):
    swapped = write(tmp_path / "photos.csv", [(lon, lat) for lat, lon in spain])
    with pytest.raises(TableError, match="seem to be swapped"):
        coordinates.read(swapped)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not a readable"),
        ("a,b\n1,2", "column lat, lon is missing"),
        ("lat,lon\nx,y", "no row"),
    ],
)
def test_unusable_table_is_reported(tmp_path, text, reason, geoloc_train):
    source = tmp_path / "photos.csv"
    source.write_text(text)
    done = geoloc_train("cells", source, "-o", tmp_path / "cells.parquet")
    assert done.returncode == 2
    assert f"photos.csv: {reason}" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "cells.parquet").exists()


def test_unusable_arguments_are_reported_in_one_line(tmp_path, spain, geoloc_train):
    source = write(tmp_path / "photos.csv", spain)
    out = tmp_path / "cells.parquet"
    for arguments in (
        ("cells", tmp_path / "none.csv", "-o", out),
        ("cells", source, "-o", out, "--min-count", 90),
        ("cells", source, "-o", out, "--boundaries", source),
        ("cells", source, "-o", source / "folder.parquet"),
        ("cells", "report", source),
    ):
        done = geoloc_train(*arguments)
        assert done.returncode == 2, arguments
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
