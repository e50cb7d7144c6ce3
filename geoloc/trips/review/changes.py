"""The log of what was written into a library, and its undoing byte for byte.

Each change is a line of JSON that is on the disk before the change is made, with the content that
was there before. A second line says that it is done. So nothing is ever written that the log cannot
undo, and a stopped run leaves a log that tells what happened.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from geoloc.errors import GeolocError
from geoloc.io.atomic import atomic_write_bytes
from geoloc.io.digests import sha256

Change = dict[str, Any]
"""Of a file: `file`, `before` (base64; null if there was none), `before_mtime_ns`, and `after`
(sha256). Of an asset of an Immich server: `immich` (its address), `asset`, `before` and `after`
(fields)."""

UndoAsset = Callable[[Change], bool | None]
"""Restores the fields of an asset; False if they have changed since, None if they are as before."""


class ChangeLog:
    """A log that is being written. Use it in a `with` block.

    An existing log is continued, so that one log undoes several applications of decisions.
    """

    def __init__(self, path: Path) -> None:
        """Open the log.

        Raises:
            OSError: it cannot be written; names the file.
        """
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab")
        if self._file.tell() and path.read_bytes()[-1:] != b"\n":  # the disk was full
            self._file.write(b"\n")

    def __enter__(self) -> ChangeLog:
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(OSError):  # a full disk was reported before
            self._file.close()

    def write_file(self, file: Path, content: bytes, times_of: Path | None = None) -> None:
        """Write a file, after the log holds what it replaces.

        Args:
            file: the file; missing folders are created.
            content: its new content.
            times_of: a file whose times it gets.

        Raises:
            OSError: the file or the log cannot be written; names it. The file is as before.
        """
        existed = file.exists()
        before = base64.b64encode(file.read_bytes()).decode("ascii") if existed else None
        change = {
            "file": str(file.absolute()),
            "before": before,
            "before_mtime_ns": file.stat().st_mtime_ns if existed else None,
            "after": hashlib.sha256(content).hexdigest(),
        }
        self.append(change)
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_bytes(file, content)
        if times_of is not None:
            found = times_of.stat()
            os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))
        self.append({"done": change["file"]})

    def append(self, line: Change) -> None:
        """Write a line, and wait until it is on the disk.

        Raises:
            OSError: it cannot be written; names the log.
        """
        try:
            self._file.write(f"{json.dumps(line)}\n".encode("ascii"))
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            error.filename = str(self.path)
            raise


def read_changes(path: Path) -> list[Change]:
    """Return the changes of a log, in the order in which they were made.

    Incomplete lines are left out: nothing was changed for them.

    Raises:
        GeolocError: the file is missing, or is no log.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise GeolocError(f"{path}: {error.strerror}; give a log of `geoloc trip apply`") from error
    changes = []
    known = False
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            known = known or "done" in entry
            if {"before", "after"} <= entry.keys():
                changes.append(entry)
    if lines and not changes and not known:
        raise GeolocError(f"{path}: no log of `geoloc trip apply`; give the file that it named")
    return changes


def undo_changes(
    changes: list[Change], undo_asset: UndoAsset, problem: Callable[[str], None]
) -> Iterator[Change]:
    """Undo changes, the last one first, and yield those that are undone.

    A file that has changed since, or was not written, stays as it is.

    Args:
        changes: from `read_changes`.
        undo_asset: restores an asset of an Immich server.
        problem: receives a line for each change that cannot be undone.
    """
    for change in reversed(changes):
        name = change.get("file") or f"asset {change.get('asset')}"
        try:
            undone = _undo_file(change) if "file" in change else undo_asset(change)
        except OSError as error:
            problem(f"{name}: {error.strerror or error}; make it writable and undo again")
            continue
        if undone:
            yield change
        elif undone is False:
            problem(f"{name}: has changed since, and stays as it is")


def _undo_file(change: Change) -> bool | None:
    """Restore a file; False if it has changed since, None if there is nothing to restore."""
    file = Path(change["file"])
    before = None if change["before"] is None else base64.b64decode(change["before"])
    current = sha256(file) if file.exists() else None
    if current == (None if before is None else hashlib.sha256(before).hexdigest()):
        return None
    if current != change["after"]:
        return False
    if before is None:
        file.unlink()
        with suppress(OSError):  # the first folder with other files ends this
            for folder in file.parents:
                folder.rmdir()
        return True
    atomic_write_bytes(file, before)
    os.utime(file, ns=(file.stat().st_atime_ns, change["before_mtime_ns"]))
    return True
