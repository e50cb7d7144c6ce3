"""What licences of photos forbid: commercial use, changes, or everything that is not known."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Literal, get_args

import numpy as np

from geoloc.types import BoolArray, StrArray

Restriction = Literal["nc", "nd", "unknown"]

RESTRICTIONS: tuple[Restriction, ...] = get_args(Restriction)

DESCRIPTIONS: dict[Restriction, str] = {
    "nc": "a licence that forbids commercial use",
    "nd": "a licence that forbids derived works",
    "unknown": "no known free licence",
}

_FORBIDDING: dict[Restriction, re.Pattern[str]] = {
    "nc": re.compile(r"\bnc\b|non ?commercial"),
    "nd": re.compile(r"\bnd\b|no ?deriv"),
}
_RESERVED = re.compile(r"all rights reserved|©|\(c\)|\ball rights\b")
_FREE = re.compile(
    r"\bcc ?0\b|\bcc ?zero\b|\bcc ?by\b|\bby\b( sa\b| nc\b| nd\b|$)|\bcc sa\b|attribution"
    r"|creative ?commons|public ?domain|\bpdm?\b|\bgfdl\b|\bodbl\b|\bogl\b|free art|\bfal\b"
    r"|\bmit\b|apache|no known copyright|united states government"
)

_FLICKR = {
    "0": "all rights reserved", "1": "CC BY-NC-SA", "2": "CC BY-NC", "3": "CC BY-NC-ND",
    "4": "CC BY", "5": "CC BY-SA", "6": "CC BY-ND", "7": "no known copyright restrictions",
    "8": "United States government work", "9": "CC0", "10": "public domain mark",
}  # fmt: skip
"""Numbers of licences in Flickr's API."""


def restrictions(licence: str) -> frozenset[Restriction]:
    """Return what a licence forbids.

    Args:
        licence: a name such as "CC BY-NC 2.0", "Attribution-NonCommercial License" or "CC-BY-NC",
            an address of creativecommons.org, or a number of Flickr's API.
    """
    name = _FLICKR.get(licence.strip(), licence)
    words = re.sub(r"[\s_+/.-]+", " ", name.lower())
    if _RESERVED.search(words):
        return frozenset({"unknown"})
    found = {kind for kind, pattern in _FORBIDDING.items() if pattern.search(words)}
    if not found and not _FREE.search(words):
        return frozenset({"unknown"})
    return frozenset(found)


def refused(licences: StrArray, allow: Collection[Restriction]) -> dict[Restriction, BoolArray]:
    """Return (N,) which photos are refused for each restriction that is not allowed.

    Args:
        licences: (N,)
        allow: restrictions that do not matter.
    """
    distinct, row = np.unique(licences.astype(str), return_inverse=True)
    of_each = [restrictions(licence) for licence in distinct.tolist()]
    return {
        kind: np.array([kind in found for found in of_each], bool)[row]
        for kind in RESTRICTIONS
        if kind not in allow
    }
