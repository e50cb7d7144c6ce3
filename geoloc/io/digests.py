"""Digests of files and folders by content, remembered for files that have not changed since."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable
from pathlib import Path

import platformdirs

from geoloc.io.atomic import atomic_write_text

_SETTLED_S = 2.0
"""Age of a file from which its digest is remembered: a younger file can change once more within the
resolution of its modification time."""


def sha256(path: Path) -> str:
    """Return the hexadecimal sha256 of a file, which is read as a whole."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_digest(paths: Iterable[Path]) -> str:
    """Return one sha256 for the names and contents of files, in any order.

    A file is read again only if its size, modification time or inode differs from the last call,
    in this process or an earlier one.

    Raises:
        OSError: a file cannot be read.
    """
    digest = hashlib.sha256()
    for path in sorted(paths, key=lambda each: each.name):
        digest.update(f"{path.name}\n{remembered_sha256(path)}\n".encode())
    return digest.hexdigest()


def remembered_sha256(path: Path) -> str:
    """Return the sha256 of a file, from the user's cache folder if the file is unchanged.

    Unchanged is a file of the same size, modification time and inode.
    """
    path = path.resolve()
    found = path.stat()
    stamp = [str(path), found.st_size, found.st_mtime_ns, found.st_ino]
    note = _notes() / f"{hashlib.sha256(str(path).encode()).hexdigest()[:32]}.json"
    try:
        stored = json.loads(note.read_text(encoding="utf-8"))
        if stored["file"] == stamp:
            return str(stored["sha256"])
    except (OSError, ValueError, KeyError, TypeError):  # not noted yet, or damaged
        pass
    digest = sha256(path)
    if time.time() - found.st_mtime > _SETTLED_S:
        try:
            note.parent.mkdir(parents=True, exist_ok=True)
            atomic_write_text(note, json.dumps({"file": stamp, "sha256": digest}))
        except OSError:  # a read-only home folder: the file is read again next time
            pass
    return digest


def _notes() -> Path:
    return platformdirs.user_cache_path("planet-geoloc", appauthor=False) / "digests"
