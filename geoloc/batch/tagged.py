"""What a batch does with each answer besides its output: tagged copies, and sidecars."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from geoloc.batch.record import Record
from geoloc.batch.tagging import Convention, tag_copy, write_sidecar
from geoloc.errors import GeolocError, MissingExtraError

Act = Callable[[Record], None]
Say = Callable[[str], None]
"""Takes one line about a photo that was left as it is; the others go on."""


def copies(folder: Path, root: Path, say: Say) -> Act:
    """Write tagged copies of photos.

    Args:
        folder: where copies go, under the paths that photos have below `root`; those elsewhere
            under their whole path.
        root: what the inputs have in common.
        say: told of photos with a position of their own, and of kinds that hold no metadata.

    Returns:
        What to call with each record; it raises OSError where the disk is to blame.
    """

    def act(source: Path, record: Record) -> None:
        relative = Path(os.path.relpath(source, root))
        if ".." in relative.parts:
            relative = source.absolute().relative_to(source.absolute().anchor)
        target = folder / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        if not tag_copy(source, target, record.guess):
            say(f"{record.guess.photo}: has a position of its own, which its copy keeps")

    return _of_files(act, say)


def sidecars(convention: Convention, say: Say) -> Act:
    """Write XMP sidecars beside photos; as `copies`."""

    def act(source: Path, record: Record) -> None:
        if not write_sidecar(source, record.guess, convention):
            say(f"{record.guess.photo}: has a position already, which is kept")

    return _of_files(act, say)


def _of_files(act: Callable[[Path, Record], None], say: Say) -> Act:
    """For photos that are files of their own; what cannot be done is said, and the rest goes on."""

    def guarded(record: Record) -> None:
        if record.source is None:
            say(f"{record.guess.photo}: is no file of its own; nothing to tag")
            return
        try:
            act(Path(record.source), record)
        except MissingExtraError:
            raise
        except GeolocError as error:
            say(str(error))

    return guarded
