"""The photos that are similar to an answer's: how many are from around it, and their credits."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from urllib.parse import unquote, urlparse

from geocells.sphere import haversine_km
from geoloc.guess import Guess, Neighbour
from geoloc.io.thumbnails import Thumbnails

NEAR_KM = 50.0
"""Known photos within this distance of the answer count as being from around it."""

LONGEST_AUTHOR = 80
"""Some authors fill their name with a licence; its address is that of the photo."""


def alike(guess: Guess) -> str:
    """Return how many of the similar photos are from around the answer; "" without any."""
    known = [(item.lat, item.lon) for item in guess.neighbours]
    if not known:
        return ""
    near = int((haversine_km(known, [guess.lat, guess.lon]) <= NEAR_KM).sum())
    around = f"around {guess.place.town or guess.place}"
    if len(known) == 1:
        return f"The most similar known photo is {'' if near else 'not '}from {around}."
    how_many = "None" if near == 0 else "All" if near == len(known) else str(near)
    verb = "is" if near == 1 else "are"
    return f"{how_many} of the {len(known)} most similar known photos {verb} from {around}."


def credited(neighbour: Neighbour) -> dict[str, object]:
    """Return what is shown of a similar photo: its name, credit, place, and picture if any."""
    source = neighbour.source
    return {
        "name": _file_name(source),
        "source": source,
        "is_link": is_link(source),
        "credit": credit(neighbour.author, neighbour.licence, source) or "author unknown",
        "thumbnail": neighbour.thumbnail,
        "coordinates": f"{neighbour.lat:.4f}, {neighbour.lon:.4f}",
    }


def credit(author: str, licence: str, source: str) -> str:
    """Return the credit of a photo on one line; the source is named where it is no link."""
    repository = "" if "://" in source else source.split("@")[0]
    author = textwrap.shorten(author, LONGEST_AUTHOR, placeholder=" …")
    return ", ".join(filter(None, (author, licence, repository)))


def is_link(source: str) -> bool:
    """Return whether a source is an address on the web, never javascript: and the like."""
    return urlparse(source).scheme in ("http", "https")


def _file_name(source: str) -> str:
    """Return the file name of a source, which is more informative than its host."""
    name = source.rsplit("/", 1)[-1].rsplit(":", 1)[-1].replace("_", " ")
    return unquote(name) or source or "source unknown"


def with_thumbnails(stored: Thumbnails | None, guess: Guess) -> Guess:
    """Return an answer with small pictures of its similar photos, where licences allow them.

    Whoever shows a picture also shows author, licence and source of its photo.

    Args:
        stored: those of the bundle.
        guess: the answer.
    """
    if stored is None:
        return guess
    shown = (replace(each, thumbnail=stored.uri(each.source)) for each in guess.neighbours)
    return replace(guess, neighbours=tuple(shown))
