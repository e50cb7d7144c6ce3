"""The plan of a batch: its photos in parts that are answered and kept one by one.

A part's key is a digest of everything that its answers depend on, so that a part that is there need
not be answered again, and one whose photos changed is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoloc.batch.groups import Group
from geoloc.batch.items import Item

PART = 1024
"""Photos of a part: what is lost at most when a run is killed."""


@dataclass(frozen=True)
class Part:
    """Photos that are answered and kept together."""

    key: str
    items: list[Item]
    names: list[str | None] | None
    """Of the groups that share a place; None where every photo stands for itself."""
    sizes: list[int]
    """Photos of each group."""


@dataclass(frozen=True)
class Plan:
    """A file with a line for each part."""

    file: Path
    photos: int
    digest: str
    """Of all parts in their order."""

    def lines(self) -> Iterator[tuple[int, str]]:
        """Where each part begins in the file, and its line."""
        with self.file.open(encoding="ascii") as file:
            at = 0
            for line in file:
                yield at, line
                at += len(line)

    def heads(self) -> Iterator[tuple[str, int, int, int]]:
        """Key and number of photos of each part, and where its line begins and how long it is."""
        for at, line in self.lines():
            key, count, _ = line.split(" ", 2)
            yield key, int(count), at, len(line)


def parse(line: str) -> Part:
    """The part of a line."""
    key, _, content = line.split(" ", 2)
    items, names, sizes = json.loads(content)
    return Part(key, list(map(Item.from_json, items)), names, sizes or [1] * len(items))


def write(
    file: Path, groups: Iterable[Group], settings: dict[str, Any], *, grouped: bool, part: int
) -> Plan:
    """Divide photos into parts.

    Args:
        file: the file to write.
        groups: of photos, in their order.
        settings: everything else that answers depend on.
        grouped: whether groups share a place; otherwise each is one photo.
        part: photos of a part; a group is never divided.
    """
    start = json.dumps(settings, sort_keys=True)
    whole = hashlib.sha256()
    photos = 0
    with file.open("w", encoding="ascii") as out:
        for some in _divided(groups, part):
            items = [item.to_json() for _, members in some for item in members]
            names = [name for name, _ in some] if grouped else None
            sizes = [len(members) for _, members in some] if grouped else None
            content = json.dumps([items, names, sizes], separators=(",", ":"))
            key = hashlib.sha256(f"{start}\n{content}".encode()).hexdigest()[:32]
            out.write(f"{key} {len(items)} {content}\n")
            whole.update(key.encode())
            photos += len(items)
    return Plan(file, photos, whole.hexdigest())


def _divided(groups: Iterable[Group], part: int) -> Iterator[list[Group]]:
    some: list[Group] = []
    count = 0
    for each in groups:
        if some and count + len(each[1]) > part:
            yield some
            some, count = [], 0
        some.append(each)
        count += len(each[1])
    if some:
        yield some
