"""Find the photos of a folder and of all folders below it."""

from __future__ import annotations

import os
from collections.abc import Iterator

from geoloc.photos.decode import SUFFIXES


def photos_below(folder: str | os.PathLike[str]) -> Iterator[str]:
    """Yield the paths of photo files, sorted by name; the files of a folder before its subfolders.

    Links to folders are followed last, and each folder is read once, so that loops of links end.
    Hidden files and folders are left out. The path of a folder that cannot be read is yielded as if
    it were a photo, so that opening it reports the error. Memory holds the names of one folder at a
    time.
    """
    seen: set[tuple[int, int]] = set()
    linked: list[str] = []
    yield from _below(os.fspath(folder), seen, linked)
    while linked:
        yield from _below(linked.pop(0), seen, linked)


def _below(folder: str, seen: set[tuple[int, int]], linked: list[str]) -> Iterator[str]:
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        try:
            found = os.stat(current)
            if (found.st_dev, found.st_ino) in seen:
                continue
            seen.add((found.st_dev, found.st_ino))
            photos, folders, links = _names(current)
        except OSError:
            yield current
            continue
        yield from (os.path.join(current, name) for name in photos)
        waiting += [os.path.join(current, name) for name in reversed(folders)]
        linked += [os.path.join(current, name) for name in links]


def _names(folder: str) -> tuple[list[str], list[str], list[str]]:
    """Return photos, folders and links to folders, each sorted by name."""
    photos: list[str] = []
    folders: list[str] = []
    links: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                (links if entry.is_symlink() else folders).append(entry.name)
            elif is_photo(entry.name) and (entry.is_file() or entry.is_symlink()):
                photos.append(entry.name)
    return sorted(photos), sorted(folders), sorted(links)


def is_photo(name: str) -> bool:
    """Return whether a file name ends like that of a photo."""
    return os.path.splitext(name)[1].lower() in SUFFIXES
