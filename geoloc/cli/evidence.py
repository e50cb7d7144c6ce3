"""The options of `locate`, `batch` and others that ask for evidence beside what the photo shows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from geoloc.belief.witnesses.options import WitnessOptions


@Parameter(name="*", negative=())
@dataclass(frozen=True)
class EvidenceFlags:
    """Flags with the names of the fields of `WitnessOptions`, which loads too much for --help."""

    use_metadata: Annotated[bool, Parameter(show_default=False)] = False
    """Use time zone, height, camera and captions in the metadata of files as evidence; without it
    they are only shown. A position in the file is never used."""

    read_text: Annotated[bool, Parameter(show_default=False)] = False
    """Read signs and other text in the photo: script, language, place names, telephone numbers...
    Needs the extra "text"; see geoloc/belief/witnesses/text/README.md."""

    use_overlays: Annotated[bool, Parameter(show_default=False)] = False
    """Read the text, and take coordinates that a camera or an app wrote on the photo for its place.
    Without it they are shown, and are no evidence."""

    shadow: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None
    """The sun as you measured it, with --time: an object and its shadow in any unit
    ("1.8:2.4±5%"), or its elevation ("37°±1°")."""

    time: str | None = None
    """When the photo was taken, for --shadow: 2024-06-01T10:30Z, or a window
    2024-06-01T10:00Z/11:00Z."""

    def options(self) -> WitnessOptions:
        """Return the options.

        Raises:
            WitnessError: the shadow is not understood, or lacks its time.
        """
        from geoloc.belief.witnesses.options import WitnessOptions

        asked = WitnessOptions(**asdict(self))
        asked.sun()  # reports a wrong shadow before any model is loaded
        return asked


NOTHING_ASKED = EvidenceFlags()
