"""Small pictures of gallery photos whose licences allow it, read one at a time."""

from __future__ import annotations

import base64
from bisect import bisect_right
from collections.abc import Container, Mapping
from dataclasses import replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from geoloc.errors import BundleError
from geoloc.guess import Guess

FILE = "thumbnails.parquet"

THUMBNAIL_PX = 128
"""Longer side of a picture."""

MAX_BYTES = 64_000
"""Larger ones are no thumbnails, and are not shown."""

_GROUP = 64
"""Pictures that are read together, about 0.2 MB."""

_KEPT = 64


class Thumbnails:
    """Pictures by the source of their photo, which names it in members.parquet, too.

    The file is a Parquet table of the columns `source` and `image` (WebP), sorted by source. Only
    its footer is in memory; a picture is found by the statistics of the row groups. A photo that
    is no longer in the gallery is never asked for.
    """

    def __init__(self, path: Path) -> None:
        """Open a file that `write` wrote.

        Raises:
            BundleError: it is damaged.
        """
        self._path = path
        self._pictures = lru_cache(_KEPT)(self._group)
        if self._file.schema_arrow.names != ["source", "image"]:
            raise _damaged(path, "it has other columns than source and image")

    @staticmethod
    def write(path: Path, pictures: Mapping[str, bytes]) -> None:
        """Write pictures (WebP) by source."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        sources = sorted(pictures)
        images = pa.array([pictures[source] for source in sources], pa.binary())
        table = pa.table({"source": pa.array(sources, pa.string()), "image": images})
        pq.write_table(
            table, path, row_group_size=_GROUP, compression="none", use_dictionary=False,
            write_statistics=["source"],
        )  # fmt: skip

    def __len__(self) -> int:
        """Return the number of pictures."""
        return int(self._file.metadata.num_rows)

    def of(self, source: str) -> bytes | None:
        """Return the picture of a photo (WebP), None if there is none.

        Raises:
            BundleError: the file is damaged.
        """
        group = bisect_right(self._first_sources, source) - 1
        image = self._pictures(group).get(source) if group >= 0 else None
        is_webp = image is not None and image[:4] == b"RIFF" and image[8:12] == b"WEBP"
        return image if image and is_webp and len(image) <= MAX_BYTES else None

    def uri(self, source: str) -> str | None:
        """Return the picture of a photo as a data URI, None if there is none."""
        image = self.of(source)
        return (
            f"data:image/webp;base64,{base64.b64encode(image).decode('ascii')}" if image else None
        )

    @cached_property
    def _file(self) -> Any:  # noqa: ANN401
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return pq.ParquetFile(self._path, memory_map=True)
        except (OSError, pa.ArrowException) as error:
            raise _damaged(self._path, str(error)) from error

    @cached_property
    def _first_sources(self) -> list[str]:
        """First source of each row group."""
        groups = range(self._file.metadata.num_row_groups)
        columns = [self._file.metadata.row_group(group).column(0) for group in groups]
        if not all(column.is_stats_set for column in columns):
            raise _damaged(self._path, "it has no statistics of its sources")
        return [str(column.statistics.min) for column in columns]

    def _group(self, group: int) -> dict[str, bytes]:
        import pyarrow as pa

        try:
            table = self._file.read_row_group(group)
        except (OSError, pa.ArrowException) as error:
            raise _damaged(self._path, str(error)) from error
        return dict(zip(table["source"].to_pylist(), table["image"].to_pylist(), strict=True))


def read(folder: Path, listed: Container[str]) -> Thumbnails | None:
    """Return the thumbnails of a bundle, None if it lists none."""
    return Thumbnails(folder / FILE) if FILE in listed else None


def with_thumbnails(stored: Thumbnails | None, guess: Guess) -> Guess:
    """Return an answer with small pictures of its similar photos, where licences allow them.

    Whoever shows a picture also shows author, licence and source of its photo.

    Args:
        stored: those of the bundle.
        guess: the answer.
    """
    if stored is None:
        return guess
    shown = (replace(each, thumbnail=stored.uri(each.source)) for each in guess.neighbours)
    return replace(guess, neighbours=tuple(shown))


def _damaged(path: Path, reason: str) -> BundleError:
    return BundleError(f"{path}: damaged bundle ({reason}); fetch or make it again")
