"""Files of answered parts: compressed lines, one for each answer and each failed photo."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property

from geoloc.errors import GeolocError
from geoloc.guess import Guess
from geoloc.output.formats import Columns, Record
from geoloc.photos import storage

_BETWEEN = "\t"
"""Between the JSON values of a line, which contain no tabs."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A photo without an answer."""

    photo: str
    error: str
    """Reason and remedy, in one line."""
    columns: Columns
    again: bool
    """Whether the next run tries it again, because its file could not be opened."""


class StoredRecord(Record):
    """An answer of a part. Its JSON is written as it is; only other formats parse the guess."""

    def __init__(self, answer: str, columns: Columns, source: str | None) -> None:
        """Take the guess as one line of JSON, without the columns."""
        vars(self).update(answer=answer, columns=columns, source=source)

    @cached_property
    def guess(self) -> Guess:
        """See `Record.guess`."""
        return Guess.from_dict(json.loads(self.answer))


def line(entry: Record | Failure) -> bytes:
    """Return an entry of a part as one line of UTF-8, in which lone surrogates may occur."""
    if isinstance(entry, Failure):
        return f"{json.dumps(asdict(entry))}\n".encode("ascii")
    rest = json.dumps([dict(entry.columns), entry.source])
    return f"{rest}{_BETWEEN}{entry.answer}\n".encode("utf-8", "surrogatepass")


def encode(lines: list[bytes]) -> bytes:
    """Return the file of a part: a checksum and its lines, compressed."""
    import pyarrow as pa

    content = b"".join(lines)
    with pa.BufferOutputStream() as buffer:
        with pa.CompressedOutputStream(buffer, "zstd") as out:
            out.write(b"%d\n" % zlib.crc32(content))
            out.write(content)
        file: bytes = buffer.getvalue().to_pybytes()
    return file


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
            checksum, _, lines = stream.read().partition(b"\n")
        if int(checksum) != zlib.crc32(lines):
            raise ValueError("another checksum")
    except (OSError, pa.ArrowException, ValueError) as error:
        raise GeolocError(f"{name}: damaged part of a batch; delete it and run again") from error
    yield from map(_entry, lines.decode("utf-8", "surrogatepass").split("\n")[:-1])


def part_path(parts: str, key: str) -> str:
    """Return the file of a part below a folder or an address."""
    return f"{parts}/{key}.part.zst"


def read(parts: str, key: str) -> Iterator[Record | Failure]:
    """Yield the entries of a stored part.

    Raises:
        GeolocError: the part is damaged.
        OSError: it cannot be read.
    """
    file = part_path(parts, key)
    yield from decode(storage.read(file), file)


def _entry(text: str) -> Record | Failure:
    first, _, answer = text.partition(_BETWEEN)
    if not answer:
        return Failure(**json.loads(first))
    columns, source = json.loads(first)
    return StoredRecord(answer, columns, source)
