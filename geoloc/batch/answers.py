"""Answered parts: files of JSON lines, one for each answer and each photo that failed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from geoloc.batch.items import Columns
from geoloc.errors import GeolocError
from geoloc.guess import Guess
from geoloc.output.formats import Record
from geoloc.photos import storage

Value = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Failure:
    """A photo that could not be answered."""

    photo: str
    error: str
    """One line: the reason and the remedy."""
    columns: Columns
    again: bool
    """The file could not be opened: worth another try in the next run."""


def line(entry: Record | Failure) -> bytes:
    """One entry of a part: a line of JSON in ASCII."""
    return f"{json.dumps(_plain(entry))}\n".encode("ascii")


def encode(lines: list[bytes]) -> bytes:
    """A part as bytes: its lines, compressed."""
    import pyarrow as pa

    with pa.BufferOutputStream() as buffer:
        with pa.CompressedOutputStream(buffer, "zstd") as out:
            for each in lines:
                out.write(each)
        content: bytes = buffer.getvalue().to_pybytes()
    return content


def decode(content: bytes, name: str) -> Iterator[Record | Failure]:
    """The entries of a part, the inverse of `encode`.

    Raises:
        GeolocError: the part is damaged.
    """
    import pyarrow as pa

    try:
        with pa.CompressedInputStream(pa.py_buffer(content), "zstd") as stream:
            lines = stream.read().decode("ascii").splitlines()
        yield from (_entry(json.loads(line)) for line in lines)
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError) as error:
        raise GeolocError(f"{name}: damaged part of a batch; delete it and run again") from error


def place(parts: str, key: str) -> str:
    """Where a part is kept below a folder or an address."""
    return f"{parts}/{key}.jsonl.zst"


def read(parts: str, key: str) -> Iterator[Record | Failure]:
    """What is kept of a part.

    Raises:
        GeolocError: it is damaged.
        OSError: it cannot be read.
    """
    file = place(parts, key)
    yield from decode(storage.read(file), file)


def _plain(entry: Record | Failure) -> Mapping[str, Any]:
    if isinstance(entry, Failure):
        return {
            "photo": entry.photo,
            "error": entry.error,
            "columns": dict(entry.columns),
            "again": entry.again,
        }
    columns = dict(entry.columns)
    return {"guess": entry.guess.to_dict(), "columns": columns, "source": entry.source}


def _entry(values: dict[str, Any]) -> Record | Failure:
    if "error" in values:
        return Failure(**values)
    return Record(Guess.from_dict(values["guess"]), values["columns"], values["source"])
