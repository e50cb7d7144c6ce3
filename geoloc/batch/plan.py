"""The plan of a batch: its photos, divided into parts that are answered and stored one by one.

The key of a part is a digest of everything that its answers depend on: a stored part need not be
answered again, and a part with a changed photo has another key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from geoloc.batch.groups import Group
from geoloc.batch.items import Item

PART_SIZE = 1024
"""Photos per part; a killed run loses at most one part."""


@dataclass(frozen=True)
class Part:
    """Photos that are answered and stored together."""

    key: str
    items: list[Item]
    names: list[str | None] | None
    """Name of each group; None if every photo is answered by itself."""
    sizes: list[int]
    """Number of photos of each group."""


class PartEntry(NamedTuple):
    """Position of a part in the plan file."""

    key: str
    photos: int
    offset: int
    """Byte at which its line begins."""
    length: int
    """Bytes of its line."""


@dataclass(frozen=True)
class Plan:
    """A plan file, which has one line per part."""

    file: Path
    photos: int
    digest: str
    """SHA-256 of the keys of all parts in order."""

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield the offset and the line of each part."""
        with self.file.open(encoding="ascii") as file:
            offset = 0
            for line in file:
                yield offset, line
                offset += len(line)

    def entries(self) -> Iterator[PartEntry]:
        """Yield the position of each part, without parsing its photos."""
        for offset, line in self.lines():
            key, count, _ = line.split(" ", 2)
            yield PartEntry(key, int(count), offset, len(line))


def parse(line: str) -> Part:
    """Return the part of a line of the plan file."""
    key, _, content = line.split(" ", 2)
    items, names, sizes = json.loads(content)
    return Part(key, list(map(Item.from_json, items)), names, sizes or [1] * len(items))


def write(
    file: Path, groups: Iterable[Group], settings: dict[str, Any], *, grouped: bool, part_size: int
) -> Plan:
    """Divide photos into parts and write the plan file.

    Args:
        file: the file to write.
        groups: of photos, in order.
        settings: everything else that the answers depend on.
        grouped: whether a group gets one answer; otherwise each group is one photo.
        part_size: photos per part; a part is larger only if a single group is.
    """
    start = json.dumps(settings, sort_keys=True)
    digest = hashlib.sha256()
    photos = 0
    with file.open("w", encoding="ascii") as out:
        for part in _split(groups, part_size):
            items = [item.to_json() for _, members in part for item in members]
            names = [name for name, _ in part] if grouped else None
            sizes = [len(members) for _, members in part] if grouped else None
            content = json.dumps([items, names, sizes], separators=(",", ":"))
            key = hashlib.sha256(f"{start}\n{content}".encode()).hexdigest()[:32]
            out.write(f"{key} {len(items)} {content}\n")
            digest.update(key.encode())
            photos += len(items)
    return Plan(file, photos, digest.hexdigest())


def _split(groups: Iterable[Group], part_size: int) -> Iterator[list[Group]]:
    """Yield consecutive groups of at most `part_size` photos together."""
    part: list[Group] = []
    count = 0
    for each in groups:
        if part and count + len(each[1]) > part_size:
            yield part
            part, count = [], 0
        part.append(each)
        count += len(each[1])
    if part:
        yield part
