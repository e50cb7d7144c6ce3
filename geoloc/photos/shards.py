"""Tar shards of img2dataset and WebDataset: offset, size and JSON metadata of each photo."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from geoloc.errors import GeolocError
from geoloc.photos import storage
from geoloc.photos.decode import SUFFIXES


@dataclass
class Sample:
    """The files of one key in a shard."""

    key: str
    offset: int = -1
    """Of the photo in the shard, in bytes; -1 if the key has no photo."""
    size: int = 0
    facts: dict[str, Any] = field(default_factory=dict)
    """Content of KEY.json."""


def read(path: str) -> tuple[list[Sample], list[str]]:
    """Find the photos of a shard, a path or an address, without unpacking it.

    Returns:
        The samples that have a photo, and a line if the shard is truncated; the samples before the
        end of the data are complete.

    Raises:
        GeolocError: it is no tar file.
    """
    samples: dict[str, Sample] = {}
    problems: list[str] = []
    try:
        length, _ = storage.stamp(path)
        with storage.opened(path) as file, tarfile.open(fileobj=file) as shard:
            for member in _members(shard, path, problems):
                if member.offset_data + member.size > length:
                    missing = member.offset_data + member.size - length
                    problems.append(
                        f"{path}: cut short, {missing:,} bytes of {member.name} are missing;"
                        " fetch it again"
                    )
                    break
                _add(samples, member, shard)
            if not problems and not _has_end(file, length):
                problems.append(f"{path}: cut short, its end is missing; fetch it again")
    except (tarfile.ReadError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise GeolocError(f"{path}: not a readable tar shard ({reason})") from error
    return [sample for sample in samples.values() if sample.offset >= 0], problems


def _has_end(file: BinaryIO, length: int) -> bool:
    """Return whether a file ends with the block of zeros that ends every tar file."""
    file.seek(max(0, length - tarfile.BLOCKSIZE))
    return length % tarfile.BLOCKSIZE == 0 and not any(file.read())


def _members(shard: tarfile.TarFile, path: str, problems: list[str]) -> Iterator[tarfile.TarInfo]:
    while True:
        try:
            member = shard.next()
        except tarfile.ReadError as error:
            problems.append(f"{path}: cut short ({error}); fetch it again")
            return
        if member is None:
            return
        if member.isfile():
            yield member


def _add(samples: dict[str, Sample], member: tarfile.TarInfo, shard: tarfile.TarFile) -> None:
    folder, slash, name = member.name.rpartition("/")
    stem, _, ending = name.partition(".")  # as in WebDataset: up to the first dot
    kind = f".{ending.rpartition('.')[2]}".lower()
    if kind in SUFFIXES:  # several photos of one key are separate samples
        stem = name[: -len(kind)]
    key = f"{folder}{slash}{stem}"
    sample = samples.setdefault(key, Sample(key))
    if kind in SUFFIXES:
        sample.offset, sample.size = member.offset_data, member.size
    elif ending == "json":
        content = shard.extractfile(member)
        assert content is not None
        try:
            facts = json.loads(content.read())
        except ValueError:
            return
        if isinstance(facts, dict):
            sample.facts = facts
