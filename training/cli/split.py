"""The commands `geoloc-train split` and `geoloc-train audit`."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from geoloc.cli.console import fail, fail_writing
from training.cli.console import Out, progress_line

if TYPE_CHECKING:
    import pyarrow as pa

    from geoloc.types import IndexArray
    from training.embed.table import EmbeddedTable

split_app = App(name="split")
audit_app = App(name="audit", usage="Usage: geoloc-train audit [OPTIONS] PHOTOS [TEST]")

LEAKS = 1
"""Exit code of an audit that found leaks."""


@split_app.default
def split(
    photos: Path,
    /,
    *,
    out: Out,
    val: float = 0.05,
    test: float = 0.05,
    block_km: float = 10.0,
    seed: int = 0,
    embeddings: Path | None = None,
    duplicates: bool = True,
) -> int:
    """Split a photo table into train, val and test without leaks.

    No two splits share an author, a sequence, a place or a square of the Earth. Photos for which
    that is impossible get no split.

    Parameters
    ----------
    photos
        Photo table from `geoloc-train manifest`.
    out
        Table to write, in the same folder.
    val
        Share of authors and squares in the split val, for calibration.
    test
        Share of authors and squares in the split test, for measurement.
    block_km
        Side in km of the squares that belong to one split as a whole.
    seed
        Seed of the assignment.
    embeddings
        Folder of `geoloc-train embed`; near-duplicates among its photos stay in one split.
    duplicates
        Keep near-duplicates; otherwise only the one with the most precise coordinates of each set.
    """
    from geoloc.errors import GeolocError

    try:
        from training.data import table as photo_table
        from training.data.split import assign_splits, describe_authors

        table, pairs = _with_pairs(photos, embeddings)
        if pairs is not None and not duplicates:
            from training.data.duplicates import representatives

            table, pairs = table.take(representatives(table, pairs)), None
        splits = assign_splits(
            table, val=val, test=test, block_km=block_km, seed=seed, duplicates=pairs
        )
        table = photo_table.with_column(table, "split", _strings(splits.split))
        photo_table.write(photo_table.relative_to(table, photos.parent, out.parent), out)
    except GeolocError as error:
        return fail("geoloc-train split", error)
    except OSError as error:
        return fail_writing("geoloc-train split", error, out)
    for line in describe_authors(table, block_km):
        progress_line(f"{photos}: {line}")
    for name, count in sorted(splits.counts.items()):
        print(f"{name or 'no split, because they would connect two splits'}: {count:,} photos")
    return 0


@audit_app.default
def audit(
    photos: Path,
    test: Path | None = None,
    /,
    *,
    embeddings: Path | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Count what test photos share with training photos.

    The exit code is 1 if they share anything.

    Parameters
    ----------
    photos
        Photo table with splits, or table of the training photos.
    test
        Table of the test photos, if they are in another table.
    embeddings
        Folder of `geoloc-train embed`, to find near-duplicates too; its photos need splits.
    json
        Print the result as JSON.
    """
    from geoloc.errors import GeolocError

    try:
        from training.data import table as photo_table
        from training.data.audit import audit as find_leaks

        if embeddings is not None:
            embedded = _embedded(embeddings)
            rows = {name: _rows(embedded.photos, name) for name in ("train", "test")}
            vectors = embedded.embeddings
            leaks = find_leaks(
                embedded.photos.take(rows["train"]), embedded.photos.take(rows["test"]),
                (vectors[rows["train"]], vectors[rows["test"]]),
            )  # fmt: skip
        elif test is not None:
            leaks = find_leaks(photo_table.read(photos), photo_table.read(test))
        else:
            table = photo_table.read(photos)
            leaks = find_leaks(*(table.take(_rows(table, name)) for name in ("train", "test")))
    except GeolocError as error:
        return fail("geoloc-train audit", error)
    print(jsonlib.dumps(leaks.to_dict(), indent=1) if json else "\n".join(leaks.lines()))
    return 0 if leaks.clean else LEAKS


def _rows(table: pa.Table, split: str) -> pa.Array:
    """Return the rows of a split; raises TableError if there are none."""
    import numpy as np
    import pyarrow as pa

    from geoloc.errors import TableError
    from training.data.table import strings_of

    rows = np.flatnonzero(strings_of(table, "split") == split)
    if not len(rows):
        raise TableError(f"no photo of the split {split}; make splits with geoloc-train split")
    return pa.array(rows)


def _embedded(folder: Path) -> EmbeddedTable:
    """Open embedded photos; raises TableError if the folder has none."""
    from geoloc.errors import TableError
    from training.embed.table import EmbeddedTable

    if not (folder / "embeddings.npy").is_file():
        raise TableError(f"{folder}: no embeddings in this folder; make some with geoloc-train"
                            " embed")  # fmt: skip
    return EmbeddedTable(folder)


def _with_pairs(
    photos: Path, embeddings: Path | None
) -> tuple[pa.Table, tuple[IndexArray, IndexArray] | None]:
    """Return the table to split, and its near-duplicates if embeddings are given."""
    from training.data import table as photo_table

    if embeddings is None:
        return photo_table.read(photos), None
    from training.data.duplicates import near_duplicates

    embedded = _embedded(embeddings)
    return embedded.photos, near_duplicates(embedded.embeddings)


def _strings(values: object) -> pa.Array:
    import pyarrow as pa

    return pa.array(list(values), pa.string())  # type: ignore[call-overload]
