"""What a batch hands to its output: an answer, and what came along with the photo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from geoloc.guess import Guess


@dataclass(frozen=True, slots=True)
class Record:
    """One answered photo."""

    guess: Guess
    columns: Mapping[str, str | int | float | bool | None]
    """Carried along from the input list; {} for folders."""
    source: str | None
    """Path of the photo on this machine, None for members of tar files and standard input."""
