"""Tar shards of img2dataset and WebDataset: where each photo lies, and what is said of it."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from geoloc.photo_tables import SUFFIXES
from training.manifest import ManifestError


@dataclass
class Sample:
    """The files of one key in a shard."""

    key: str
    offset: int = -1
    """Of the photo; -1 without one."""
    size: int = 0
    facts: dict[str, Any] = field(default_factory=dict)
    """What KEY.json says."""


def read(path: Path) -> tuple[list[Sample], list[str]]:
    """Photos of a shard, without unpacking it.

    Returns:
        Samples that have a photo, and a line if the shard is cut short: what lies before the cut is
        used.

    Raises:
        ManifestError: it is no tar file.
    """
    samples: dict[str, Sample] = {}
    problems: list[str] = []
    length = path.stat().st_size
    try:
        with tarfile.open(path) as shard:
            for member in _members(shard, path, problems):
                if member.offset_data + member.size > length:
                    missing = member.offset_data + member.size - length
                    problems.append(f"{path}: cut short, {missing:,} bytes of {member.name} miss")
                    break
                _add(samples, member, shard)
    except (tarfile.ReadError, OSError) as error:
        raise ManifestError(f"{path}: not a readable tar shard ({error})") from error
    if not problems and not _has_end(path, length):
        problems.append(f"{path}: cut short, its end is missing; fetch it again")
    return [sample for sample in samples.values() if sample.offset >= 0], problems


def _has_end(path: Path, length: int) -> bool:
    """Whether the block of zeros is there that ends every tar file."""
    with path.open("rb") as file:
        file.seek(max(0, length - tarfile.BLOCKSIZE))
        return length % tarfile.BLOCKSIZE == 0 and not any(file.read())


def _members(shard: tarfile.TarFile, path: Path, problems: list[str]) -> Iterator[tarfile.TarInfo]:
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
    key, dot, ending = member.name.partition(".")  # as WebDataset has it: up to the first dot
    sample = samples.setdefault(key, Sample(key))
    if f"{dot}{ending}".lower() in SUFFIXES:
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
