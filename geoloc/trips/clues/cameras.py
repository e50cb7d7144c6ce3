"""Cameras without a name in the metadata, told apart by how their files are named and made."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from geoloc.trips.clues.photos import LibraryPhoto

_DATE_AND_TIME = re.compile(r"\D*(?:\d\D{0,3}){13}\d")

LEAST_PHOTOS, LEAST_SHARE = 5, 0.2
"""Files that are made alike are of one camera if they are so many, and so large a share of the
files without a name in their folder. Others are crops and panoramas: they have the camera of the
file before them."""


def told_apart(photos: Sequence[LibraryPhoto]) -> list[str]:
    """Return the cameras of N photos, with those that have no name told apart."""
    found = [photo.camera for photo in photos]
    alike: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row, photo in enumerate(photos):
        if not photo.camera:
            alike[os.path.dirname(photo.photo), pattern(photo.photo)].append(row)
    for (_, letters), rows in alike.items():
        number = Counter(photos[row].made for row in rows)
        least = max(LEAST_PHOTOS, LEAST_SHARE * len(rows))
        cameras = {each for each, count in number.items() if count >= least}
        last = number.most_common(1)[0][0]
        for row in sorted(rows, key=lambda row: (photos[row].time.local_s or 0.0, row)):
            last = photos[row].made if photos[row].made in cameras else last
            found[row] = f"{letters} {last}" if len(cameras) > 1 else letters
    return found


def pattern(path: str) -> str:
    """Return how the names of a camera look: IMG_ for counted files, IMG_#_# for a date and time.

    What follows the time is left out: files of one second are numbered, edited ones are marked.
    """
    stem = os.path.splitext(os.path.basename(path))[0].upper()
    dated = _DATE_AND_TIME.match(stem)
    return re.sub(r"\d+", "#", dated[0]) if dated else re.split(r"\d", stem, maxsplit=1)[0]
