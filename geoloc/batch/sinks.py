"""Where a batch writes its answers, by the ending of the file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TextIO

from geocells.table import CellTable
from geoloc.batch.record import Record
from geoloc.errors import GeolocError


class Sink(Protocol):
    """An output that is being written."""

    def write(self, record: Record) -> None:
        """Add an answer; raises OSError."""
        ...

    def close(self) -> None:
        """Finish the file under its final name; leaving without it leaves nothing."""
        ...


class JsonLines:
    """One JSON object a line."""

    def __init__(self, file: TextIO, partial: Path, path: Path) -> None:
        """Write to `partial`, which becomes `path`."""
        self._file, self._partial, self._path = file, partial, path

    def write(self, record: Record) -> None:
        """Add a line."""
        extra = {"columns": dict(record.columns)} if record.columns else {}
        line = json.dumps({**record.guess.to_dict(), **extra}, ensure_ascii=False)
        self._file.write(f"{line}\n")

    def close(self) -> None:
        """Rename."""
        self._file.close()
        self._partial.replace(self._path)


def check_ending(path: Path) -> None:
    """Refuse an output whose kind is not known, before any work is done."""
    if path.suffix.lower() != ".jsonl":
        raise GeolocError(f"{path}: unknown kind of output; its name must end in .jsonl")


@contextmanager
def open_sink(path: Path, cells: CellTable) -> Iterator[Sink]:
    """The output at `path`, to be written and closed within the `with` block."""
    check_ending(path)
    partial = path.with_name(f".{path.name}.part")
    try:
        with partial.open("w", encoding="utf-8", errors="backslashreplace") as file:
            yield JsonLines(file, partial, path)
    finally:
        partial.unlink(missing_ok=True)
