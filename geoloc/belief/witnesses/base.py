"""`Witness`: the protocol of evidence beside the embedding, and how photos are shown to witnesses.

A witness is made for the cells of one bundle and holds what the user stated, such as a measured
shadow. It is given each photo while its file is in memory and says how likely its findings are in
each cell. `geoloc.belief.witnesses.weighing` tempers and combines what several witnesses say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from PIL import Image

from geoloc.observation import Observation
from geoloc.photos import decode
from geoloc.photos.decode import Photo


class Witness(Protocol):
    """One kind of evidence about the place of a photo."""

    name: str
    """Of the witness: "text", "file", "sun"."""

    def evidence(self, photo: Photo) -> Observation | None:
        """Return what is found in a photo; None if there is nothing to show.

        Must not raise: damaged metadata and unreadable regions are findings with `used=False`, or
        nothing. May be called from several threads at once.

        Args:
            photo: `content` holds the bytes of its file, if it has one, and `path` its path;
                `picture` returns the pixels in full size.
        """
        ...


def observed(photo: Photo, witnesses: Sequence[Witness]) -> Photo:
    """Return a photo with the observations of all witnesses, in their order."""
    found = [witness.evidence(photo) for witness in witnesses]
    kept = tuple(each for each in found if each is not None)
    return replace(photo, observations=(*photo.observations, *kept)) if kept else photo


def picture(photo: Photo) -> Image.Image:
    """Return the upright RGB pixels of a photo in full size.

    `Photo.image` may be reduced to what the encoder needs, or left out if its embedding is known.

    Raises:
        PhotoError: the file is damaged.
    """
    if photo.content is None:
        return photo.image
    return decode.load(photo.content, name=photo.name).image
