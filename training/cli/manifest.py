"""The commands `geoloc-train manifest`, `split` and `audit`."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from geoloc.cli.console import BAD_INPUT, fail, fail_writing

if TYPE_CHECKING:
    import pyarrow as pa

    from training.embed.table import EmbeddedTable

manifest_app = App(name="manifest", help="Write the table of a photo collection.")
split_app = App(name="split", help="Share photos out into train, val and test, without leaks.")
audit_app = App(name="audit", help="Tell what test photos share with training photos.")

Out = Annotated[Path, Parameter(name=["--out", "-o"])]

LEAKS = 1
"""Exit code of an audit that found something."""


@manifest_app.default
def manifest(source: Path, /, *, out: Out, images: Path | None = None) -> int:
    """Read a collection as it is published, and write one row for each usable photo.

    Parameters
    ----------
    source
        A folder of photos with GPS in their EXIF; a folder of tar shards (img2dataset, WebDataset);
        or a CSV, TSV or Parquet table: MP-16, OSV-5M, YFCC100M, or any with coordinates.
    out
        The Parquet table to write; its file names are relative to it.
    images
        Folder of the photos or of tar shards, for a table that does not say where they are.
    """
    from geoloc.errors import GeolocError

    try:
        from training.data import table as photo_table
        from training.data.sources import read

        table, folder, problems = read(source, images)
        photo_table.write(photo_table.moved(table, folder, out.parent), out)
    except GeolocError as error:
        return fail("geoloc-train manifest", error)
    except OSError as error:
        return fail_writing("geoloc-train manifest", error, out)
    print(f"{out}: {len(table):,} photos")
    for line in problems:
        fail("geoloc-train manifest", line)
    return BAD_INPUT if problems else 0


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
    """Give every photo a split, so that no two splits share an author, sequence, place or square.

    Parameters
    ----------
    photos
        A photo table; see `geoloc-train manifest`.
    out
        The table to write, in the same folder.
    val
        Share of authors and squares to calibrate on.
    test
        Share to measure on.
    block_km
        Side of the squares of the Earth that are dealt out as a whole.
    seed
        Another seed, another split.
    embeddings
        Folder of embedded photos, whose near-duplicates then stay together.
    duplicates
        Keep near-duplicates; otherwise only the most precisely placed of each set stays.
    """
    from geoloc.errors import GeolocError

    try:
        from training.data import table as photo_table
        from training.data.split import assign_splits

        table, pairs = _with_pairs(photos, embeddings)
        if pairs is not None and not duplicates:
            from training.data.duplicates import representatives

            table, pairs = table.take(representatives(table, pairs)), None
        found = assign_splits(
            table, val=val, test=test, block_km=block_km, seed=seed, duplicates=pairs
        )
        table = photo_table.with_column(table, "split", _strings(found.split))
        photo_table.write(photo_table.moved(table, photos.parent, out.parent), out)
    except GeolocError as error:
        return fail("geoloc-train split", error)
    except OSError as error:
        return fail_writing("geoloc-train split", error, out)
    for name, count in sorted(found.counts.items()):
        print(f"{name or 'left out, as they would connect splits'}: {count:,} photos")
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
    """Count what test photos share with training photos; exit code 1 if they share anything.

    Parameters
    ----------
    photos
        A photo table with splits, or the table of the training photos.
    test
        The table of the test photos, if it is another one.
    embeddings
        Folder of embedded photos of a table with splits, to find near-duplicates.
    json
        Print JSON.
    """
    from geoloc.errors import GeolocError

    try:
        from training.data import table as photo_table
        from training.data.audit import audit as look

        if embeddings is not None:
            known = _embedded(embeddings)
            rows = {name: _rows(known.photos, name) for name in ("train", "test")}
            vectors = known.embeddings
            found = look(
                known.photos.take(rows["train"]), known.photos.take(rows["test"]),
                (vectors[rows["train"]], vectors[rows["test"]]),
            )  # fmt: skip
        elif test is not None:
            found = look(photo_table.read(photos), photo_table.read(test))
        else:
            table = photo_table.read(photos)
            found = look(*(table.take(_rows(table, name)) for name in ("train", "test")))
    except GeolocError as error:
        return fail("geoloc-train audit", error)
    print(jsonlib.dumps(found.to_dict(), indent=1) if json else "\n".join(found.lines()))
    return 0 if found.clean else LEAKS


def _rows(table: pa.Table, split: str) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    from geoloc.errors import TableError
    from training.data.table import strings_of

    rows = np.flatnonzero(strings_of(table, "split") == split)
    if not len(rows):
        raise TableError(f"no photo of the split {split}; make splits with geoloc-train split")
    return pa.array(rows)


def _embedded(folder: Path) -> EmbeddedTable:
    from geoloc.errors import TableError
    from training.embed.table import EmbeddedTable

    if not (folder / "embeddings.npy").is_file():
        raise TableError(f"{folder}: no embeddings in this folder; make some with geoloc-train"
                            " embed")  # fmt: skip
    return EmbeddedTable(folder)


def _with_pairs(photos: Path, embeddings: Path | None):  # noqa: ANN202
    """The table to split, and its near-duplicates if embeddings are given."""
    from training.data import table as photo_table

    if embeddings is None:
        return photo_table.read(photos), None
    from training.data.duplicates import near_duplicates

    known = _embedded(embeddings)
    return known.photos, near_duplicates(known.embeddings)


def _strings(values: object) -> pa.Array:
    import pyarrow as pa

    return pa.array(list(values), pa.string())  # type: ignore[call-overload]
