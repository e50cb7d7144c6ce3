"""Files of answered parts: compressed JSON lines, one per answer and one per failed photo."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from geoloc.errors import GeolocError
from geoloc.guess import Guess
from geoloc.output.formats import Columns, Record
from geoloc.photos import storage


@dataclass(frozen=True, slots=True)
class Failure:
    """A photo without an answer."""

    photo: str
    error: str
    """Reason and remedy, in one line."""
    columns: Columns
    again: bool
    """Whether the next run tries it again, because its file could not be opened."""


def line(entry: Record | Failure) -> bytes:
    """Return an entry of a part as a line of ASCII JSON."""
    return f"{json.dumps(_to_json(entry))}\n".encode("ascii")


def encode(lines: list[bytes]) -> bytes:
    """Return the file of a part: its lines, compressed."""
    import pyarrow as pa

    with pa.BufferOutputStream() as buffer:
        with pa.CompressedOutputStream(buffer, "zstd") as out:
            for each in lines:
                out.write(each)
        content: bytes = buffer.getvalue().to_pybytes()
    return content


def decode(content: bytes, name: str) -> Iterator[Record | Failure]:
    """Yield the entries of a part, the inverse of `encode`.

    Args:
        content: of the file.
        name: of the file, for the error message.

    Raises:
        GeolocError: the part is damaged.
    """
    import pyarrow as pa

    try:
        with pa.CompressedInputStream(pa.py_buffer(content), "zstd") as stream:
            lines = stream.read().decode("ascii").splitlines()
        yield from (_from_json(json.loads(line)) for line in lines)
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError) as error:
        raise GeolocError(f"{name}: damaged part of a batch; delete it and run again") from error


def part_path(parts: str, key: str) -> str:
    """Return the file of a part below a folder or an address."""
    return f"{parts}/{key}.jsonl.zst"


def read(parts: str, key: str) -> Iterator[Record | Failure]:
    """Yield the entries of a stored part.

    Raises:
        GeolocError: the part is damaged.
        OSError: it cannot be read.
    """
    file = part_path(parts, key)
    yield from decode(storage.read(file), file)


def _to_json(entry: Record | Failure) -> Mapping[str, Any]:
    if isinstance(entry, Failure):
        return {
            "photo": entry.photo,
            "error": entry.error,
            "columns": dict(entry.columns),
            "again": entry.again,
        }
    columns = dict(entry.columns)
    return {"guess": entry.guess.to_dict(), "columns": columns, "source": entry.source}


def _from_json(values: dict[str, Any]) -> Record | Failure:
    if "error" in values:
        return Failure(**values)
    return Record(Guess.from_dict(values["guess"]), values["columns"], values["source"])
