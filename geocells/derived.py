"""Arrays that take long to compute, kept in the user's cache folder and mapped from there.

The name of a file is a digest of everything that its arrays depend on, so that it never has to be
renewed. Without a usable cache folder the arrays are computed in every process.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import secrets
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import platformdirs

Arrays = tuple[npt.NDArray[Any], ...]
Source = npt.NDArray[Any] | Path | float
"""What arrays depend on: others, a file, a setting."""

KEPT = 24
"""Files that are kept; those not used for longest are deleted."""

SMALLEST_BYTES = 2**18
"""Smaller arrays are computed as fast as they are found."""

LARGEST_BYTES = 2**26
"""Larger arrays are not kept, which would fill the disk."""

_FORMAT = 1
"""Changes with the layout of the files."""

_ALIGNED = 64
"""Arrays begin at multiples of this number of bytes, as numpy's own do."""


def derived(kind: str, sources: Sequence[Source], compute: Callable[[], Arrays]) -> Arrays:
    """Return the arrays of `compute`, from the cache folder if they were computed before.

    Args:
        kind: names the computation and its version; another name gives another file.
        sources: all that the arrays depend on. Of a file, path, size and time of modification
            count.
        compute: returns arrays without Python objects.

    Returns:
        Read-only arrays if they are kept.
    """
    try:
        file = _folder() / f"{_digest(kind, sources)}.bin"
    except OSError:  # a source that is missing: `compute` says so
        return compute()
    try:
        return _read(file)
    except (OSError, ValueError, SyntaxError):  # none yet, or a damaged one, which is replaced
        pass
    arrays = compute()
    if not SMALLEST_BYTES <= sum(each.nbytes for each in arrays) <= LARGEST_BYTES:
        return arrays
    try:
        _write(file, arrays)
        return _read(file)
    except (OSError, ValueError):  # a folder that is read-only or full
        return arrays


def _folder() -> Path:
    return platformdirs.user_cache_path("planet-geoloc", appauthor=False) / "derived"


def _digest(kind: str, sources: Sequence[Source]) -> str:
    digest = hashlib.sha256(f"{kind} {_FORMAT} {sys.byteorder}".encode())
    for each in sources:
        if isinstance(each, np.ndarray):
            digest.update(f"{each.dtype.str} {each.shape}".encode())
            digest.update(np.ascontiguousarray(each).data)
        elif isinstance(each, Path):
            found = each.resolve().stat()
            stamp = [str(each.resolve()), found.st_size, found.st_mtime_ns]
            digest.update(json.dumps(stamp).encode())
        else:
            digest.update(repr(each).encode())
    return digest.hexdigest()[:32]


def _read(path: Path) -> Arrays:
    """Return the arrays of a file, mapped; raises OSError or ValueError if it is not whole."""
    with path.open("rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        arrays = []
        while file.tell() < len(content):
            version = np.lib.format.read_magic(file)
            if version != (1, 0):
                raise ValueError(f"{path}: unknown version {version}")
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            count, start = int(np.prod(shape)), file.tell()
            arrays.append(np.frombuffer(content, dtype, count, start).reshape(shape))
            file.seek(_padded(start + arrays[-1].nbytes))
    with suppress(OSError):  # marks it as used
        os.utime(path)
    return tuple(arrays)


def _write(path: Path, arrays: Arrays) -> None:
    """Write a file under a temporary name and rename it; delete files not used for longest.

    `geoloc.io.atomic` is above this package, which imports nothing of it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        with temporary.open("wb") as file:
            for each in arrays:
                _append(file, np.ascontiguousarray(each))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    files = sorted(path.parent.glob("*.bin"), key=lambda each: each.stat().st_mtime)
    for old in files[:-KEPT]:
        old.unlink(missing_ok=True)


def _append(file: IO[bytes], array: npt.NDArray[Any]) -> None:
    header = np.lib.format.header_data_from_array_1_0(array)
    np.lib.format.write_array_header_1_0(file, header)
    file.write(array.reshape(-1).view(np.uint8).data)
    file.write(bytes(_padded(file.tell()) - file.tell()))


def _padded(size: int) -> int:
    return -(-size // _ALIGNED) * _ALIGNED
