"""Small pictures of gallery photos whose licences allow it, read one at a time."""

from __future__ import annotations

import base64
from bisect import bisect_left
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

from geoloc.errors import BundleError

FILE = "thumbnails.arrow"

THUMBNAIL_PX = 128
"""Longer side of a picture."""

MAX_BYTES = 64_000
"""Larger ones are no thumbnails, and are not shown."""


class Thumbnails:
    """Pictures by the source of their photo, which names it among the members, too.

    The file is an Arrow table of the columns `source` and `image` (WebP), sorted by source. It is
    mapped, and a picture is found by bisection. A photo that is no longer among the members is
    never asked for.
    """

    def __init__(self, path: Path) -> None:
        """Open a file that `write` wrote.

        Raises:
            BundleError: it is damaged.
        """
        import pyarrow as pa

        try:
            self._table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        except (OSError, pa.ArrowException) as error:
            raise _damaged(path, str(error)) from error
        if self._table.schema != _schema():
            raise _damaged(path, "it has other columns than source and image")

    @staticmethod
    def write(path: Path, pictures: Mapping[str, bytes]) -> None:
        """Write pictures (WebP) by source."""
        import pyarrow as pa

        sources = sorted(pictures)
        columns = [sources, [pictures[source] for source in sources]]
        table = pa.table(dict(zip(_schema().names, columns, strict=True)), _schema())
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self._table)

    def of(self, source: str) -> bytes | None:
        """Return the picture of a photo (WebP), None if there is none."""
        sources, images = self._table.columns
        row = bisect_left(range(len(self)), source, key=lambda row: sources[row].as_py())
        if row == len(self) or sources[row].as_py() != source:
            return None
        image: bytes = images[row].as_py()
        is_webp = image[:4] == b"RIFF" and image[8:12] == b"WEBP"
        return image if is_webp and len(image) <= MAX_BYTES else None

    def uri(self, source: str) -> str | None:
        """Return the picture of a photo as a data URI, None if there is none."""
        image = self.of(source)
        if image is None:
            return None
        return f"data:image/webp;base64,{base64.b64encode(image).decode('ascii')}"


def _schema() -> Any:  # noqa: ANN401
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("source", pa.large_string(), nullable=False),
            pa.field("image", pa.large_binary(), nullable=False),
        ]
    )


def read(folder: Path, listed: Container[str]) -> Thumbnails | None:
    """Return the thumbnails of a bundle, None if it lists none."""
    return Thumbnails(folder / FILE) if FILE in listed else None


def _damaged(path: Path, reason: str) -> BundleError:
    return BundleError(f"{path}: damaged bundle ({reason}); fetch or make it again")
