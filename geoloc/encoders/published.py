"""Image encoders that others published, with whose they are and what their licence allows."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class PublicEncoder:
    """One of `public_encoders.toml`."""

    encoder: str
    """As `geoloc.encoders.torch.describe` takes it."""
    licence: str
    by: str


@cache
def public_encoders() -> dict[str, PublicEncoder]:
    """By name."""
    text = Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
    return {name: PublicEncoder(**entry) for name, entry in tomllib.loads(text).items()}


def notice(name: str) -> str | None:
    """What to say before the weights of a name are downloaded; None for another name."""
    if (known := public_encoders().get(name)) is None:
        return None
    return f"{name}: {known.encoder}, by {known.by}; licence: {known.licence}"
