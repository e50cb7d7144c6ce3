"""`WitnessOptions`: what a user asks and states about photos besides `--within`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from geocells.table import CellTable
from geoloc.belief.witnesses.base import Witness, observed
from geoloc.belief.witnesses.cell_samples import CellSamples
from geoloc.belief.witnesses.file import FileWitness
from geoloc.belief.witnesses.shadow import Shadow
from geoloc.belief.witnesses.sun import SunWitness
from geoloc.errors import GeolocError, WitnessError
from geoloc.photos.decode import Photo


@dataclass(frozen=True)
class WitnessOptions:
    """Which witnesses are asked about photos; the metadata of files are always shown."""

    use_metadata: bool = False
    """Whether time zone, height, camera and captions of files are evidence."""
    shadow: str | None = None
    """A measured shadow or the sun's elevation; see `Shadow.parse`."""
    time: str | None = None
    """When the photo was taken, for `shadow`."""
    read_text: bool = False
    """Whether text in the photos is read and is evidence."""

    use_overlays: bool = False
    """Whether coordinates that a camera wrote on the photo are evidence; reads the text."""

    @property
    def reads_text(self) -> bool:
        """Whether the text in the photos is read."""
        return self.read_text or self.use_overlays

    def sun(self) -> Shadow | None:
        """Return the stated shadow, None without one.

        Raises:
            WitnessError: it is not understood, or lacks its time.
        """
        if self.shadow is not None:
            return Shadow.parse(self.shadow, self.time)
        if self.time is not None:
            raise WitnessError("a time alone says nothing about the sun; give a shadow as well")
        return None

    def witnesses(
        self, cells: CellTable, problem: Callable[[str], object] | None = None
    ) -> tuple[Witness, ...]:
        """Return the witnesses over the cells of a bundle.

        Args:
            cells: of the bundle.
            problem: receives a line if text cannot be read, and the others are returned; None
                raises the error.

        Raises:
            WitnessError: the shadow is not understood, or lacks its time.
            GeolocError: text cannot be read, because a library is not installed.
        """
        shadow, samples = self.sun(), _samples(cells)
        found: list[Witness] = [FileWitness(samples, counted=self.use_metadata)]
        if shadow is not None:
            found.append(SunWitness(samples, shadow))
        if self.reads_text:
            try:
                found.append(_text_witness(cells, self.use_overlays))
            except GeolocError as error:
                if problem is None:
                    raise
                problem(f"text is not read: {error}")
        return tuple(found)

    def apply(self, photos: Sequence[Photo], cells: CellTable) -> list[Photo]:
        """Return photos as these options ask, whose files were read with EVERYTHING.

        Raises:
            WitnessError: as for `witnesses`.
        """
        shadow = self.sun()
        sun = [] if shadow is None else [SunWitness(_samples(cells), shadow)]
        wanted = {FileWitness.name: self.use_metadata, "text": self.reads_text}
        hidden = [name for name, counted in wanted.items() if not counted]
        return [observed(_showing_only(photo, hidden), sun) for photo in photos]


BY_DEFAULT = WitnessOptions()
"""The metadata of files are shown."""


EVERYTHING = WitnessOptions(use_metadata=True)
"""Every witness that needs the file itself and is fast: what it finds can be left out later."""


def with_text(
    photo: Photo, content: bytes, cells: CellTable, *, use_overlays: bool = False
) -> Photo:
    """Return a photo whose text was read, in place of what was read before.

    Args:
        photo: whose file was read.
        content: of the file.
        cells: of the bundle.
        use_overlays: whether coordinates that a camera wrote on the photo are evidence.

    Raises:
        GeolocError: text cannot be read, because a library is not installed.
    """
    witness = _text_witness(cells, use_overlays)
    others = tuple(each for each in photo.observations if each.witness != witness.name)
    unread = replace(photo, content=content, observations=others)
    return replace(observed(unread, [witness]), content=None)


@lru_cache(maxsize=4)
def _samples(cells: CellTable) -> CellSamples:
    """Return the sample points of a bundle, which all its witnesses share."""
    return CellSamples(cells)


@lru_cache(maxsize=4)
def _text_witness(cells: CellTable, use_overlays: bool = False) -> Witness:
    """Return the reader of text over the cells of a bundle; its networks are loaded once."""
    from geoloc.belief.witnesses.text.witness import TextWitness

    return TextWitness(cells, use_overlays=use_overlays)


def _showing_only(photo: Photo, witnesses: Sequence[str]) -> Photo:
    """Return a photo in which the findings of some witnesses are shown and are no evidence."""
    observations = tuple(
        each.shown_only() if each.witness in witnesses else each for each in photo.observations
    )
    return replace(photo, observations=observations)
