"""`TextWitness`: what the text in a photo says about its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

from geocells.table import CellTable
from geoloc.belief.witnesses.base import picture
from geoloc.belief.witnesses.ocr.reader import Line, Reading, TextReader
from geoloc.belief.witnesses.text import (
    adjectives,
    formats,
    language,
    named_places,
    overlays,
    phones,
    script,
    vocabulary,
)
from geoloc.belief.witnesses.text.clue import Clue
from geoloc.belief.witnesses.text.reliability import fitted, log_likelihood
from geoloc.errors import GeolocError
from geoloc.guess import Finding
from geoloc.observation import Observation
from geoloc.photos.decode import Photo, printable

CUES: tuple[Callable[[Sequence[Line]], list[Clue]], ...] = (
    script.clues,
    language.clues,
    vocabulary.clues,
    phones.clues,
    formats.clues,
    named_places.clues,
    adjectives.clues,
)

MOST_LINES_SHOWN = 12
"""Lines without a clue that are shown."""


def find_clues(lines: Sequence[Line], *, use_overlays: bool = False) -> list[Clue]:
    """Return all clues in the lines of a photo.

    Overlays are excluded from the evidence, burnt-in coordinates only unless they are wanted.
    """
    marks = overlays.find(lines, used=use_overlays)
    excluded = {mark.line for mark in marks}
    scene = [
        line if row not in excluded else Line("", 0.0, line.box) for row, line in enumerate(lines)
    ]
    return [*(clue for cue in CUES for clue in cue(scene)), *marks]


class TextWitness:
    """Reads the text of photos, over the cells of one bundle."""

    name = "text"

    def __init__(
        self,
        cells: CellTable,
        reliability: Mapping[str, float] | None = None,
        threads: int = 1,
        *,
        use_overlays: bool = False,
    ) -> None:
        """Take the cells of a bundle.

        Args:
            cells: C geocells.
            reliability: of each cue; the fitted ones by default.
            threads: of the networks.
            use_overlays: whether burnt-in coordinates are evidence.

        Raises:
            TextModelsError: the networks are not installed.
            MissingExtraError: the extra "text" is not installed.
        """
        self._cells = cells
        self._reader = TextReader(threads)
        self._given, self._use_overlays = reliability, use_overlays
        language.check_installed()
        phones.check_installed()

    @cached_property
    def _reliability(self) -> Mapping[str, float]:
        return fitted() if self._given is None else self._given

    def evidence(self, photo: Photo) -> Observation | None:
        """See `Witness.evidence`."""
        try:
            reading = self._reader.read(picture(photo))
        except GeolocError as error:
            return Observation("text", (Finding("text", "", f"not read: {error}", used=False),))
        return self.observation(reading)

    def observation(self, reading: Reading) -> Observation | None:
        """Return the evidence of a photo's lines; None without any text."""
        clues = find_clues(reading.lines, use_overlays=self._use_overlays)
        findings = [_finding(clue, reading.lines[clue.line]) for clue in clues]
        told = {clue.line for clue in clues}
        other = [line for row, line in enumerate(reading.lines) if row not in told and line.text]
        findings += [_plain(line) for line in other[:MOST_LINES_SHOWN]]
        findings += [
            Finding("unread script", "", f"install its model to read it: {remedy}", used=False)
            for remedy in reading.remedies
        ]
        if not findings:
            return None
        evidence = log_likelihood(clues, self._cells, self._reliability)
        return Observation("text", tuple(findings), evidence)


def _finding(clue: Clue, line: Line) -> Finding:
    return Finding(clue.cue, printable(clue.reading), clue.meaning, line.box, clue.used)


def _plain(line: Line) -> Finding:
    return Finding("text", printable(line.text), "says nothing about the place", line.box, False)
