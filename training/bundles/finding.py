"""Where the tables of a gallery are: files, folders of files, and data sets of the Hub."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from geoloc.bundle.hub import HUB, dataset_files
from geoloc.errors import GeolocError, TableError
from geoloc.photos import storage
from training.bundles.embeddings import COLUMN
from training.data.packed import photo_column

NEEDS = (
    "it needs coordinates, and either photos (a column of structs with the field bytes, as in"
    f" tables of Hugging Face) or a column {COLUMN}"
)


def find_sources(given: Sequence[str]) -> list[tuple[str, bool]]:
    """Return the tables that are meant, in order, and whether each holds photos to embed.

    Args:
        given: folders of `geoloc-train embed`, Parquet files, folders of such files, addresses of
            files, and data sets of the Hugging Face Hub (hf:OWNER/NAME).

    Raises:
        TableError: there is no such table, or it has neither photos nor embeddings.
        BundleError: the Hub cannot be reached, or has no such data set.
    """
    found = [(source, _holds_photos(source)) for each in given for source in _files(each)]
    return found


def _files(place: str) -> list[str]:
    """Return the tables at a place."""
    if place.startswith(HUB) and not storage.is_address(place):
        files = [name for name in dataset_files(place.removeprefix(HUB)) if _is_parquet(name)]
    elif storage.is_address(place) or not os.path.isdir(place):
        return [place]
    elif (Path(place) / "embeddings.npy").is_file():
        return [place]
    else:
        files = sorted(str(path) for path in Path(place).rglob("*.parquet"))
    if not files:
        raise TableError(f"{place}: holds no Parquet files; give tables, or a folder of them")
    return files


def _is_parquet(name: str) -> bool:
    return name.endswith(".parquet")


def _holds_photos(place: str) -> bool:
    """Return whether a table holds photos rather than embeddings."""
    if os.path.isdir(place):
        return False
    with opened(place) as content:
        schema = content.schema_arrow
    if COLUMN in schema.names:
        return False
    if photo_column(schema) is None:
        raise TableError(f"{place}: holds neither photos nor embeddings; {NEEDS}")
    return True


@contextmanager
def opened(place: str) -> Iterator[pq.ParquetFile]:
    """Open a Parquet table, which is read where it is.

    Raises:
        TableError: it cannot be opened, or it cannot be read within the `with` block.
    """
    # what libraries of addresses raise has no common base
    kinds = (Exception,) if storage.is_address(place) else (OSError, pa.ArrowException)
    try:
        with storage.opened(place) as file, pq.ParquetFile(file) as content:
            yield content
    except GeolocError:
        raise
    except kinds as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise TableError(
            f"{place}: not a readable Parquet table ({reason}); check it, or fetch it again"
        ) from error
