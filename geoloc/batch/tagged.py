"""What a batch does with each answer besides its output: tagged copies, and sidecars."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from geoloc.errors import GeolocError, MissingExtraError
from geoloc.output.formats import Record
from geoloc.output.tagging import Convention, tag_copy, write_sidecar

Act = Callable[[Record], None]
Say = Callable[[str], None]
"""Takes one line about a photo that was left as it is; the others go on."""


def acts(
    inputs: Sequence[str], folder: Path | None, convention: Convention | None, say: Say
) -> list[Act]:
    """What is asked to be done with each answer.

    Args:
        inputs: of the batch.
        folder: for tagged copies, or None.
        convention: of sidecars, or None.
        say: see `copies`.

    Raises:
        GeolocError: copies would lie among the photos, where the next run finds them.
        MissingExtraError: the library that writes metadata is not installed.
    """
    chosen: list[Act] = []
    if folder is None and convention is None:
        return chosen
    if find_spec("pyexiv2") is None:
        raise MissingExtraError("pyexiv2", "tag")
    folders = [Path(given).absolute() for given in inputs if Path(given).is_dir()]
    if folder is not None:
        inside = next((each for each in folders if folder.absolute().is_relative_to(each)), None)
        if inside is not None:
            raise GeolocError(f"{folder}: lies inside {inside}; choose a folder outside for copies")
        root = Path(os.path.commonpath(folders)) if folders else Path.cwd()
        chosen.append(copies(folder, root, say))
    if convention is not None:
        chosen.append(sidecars(convention, say))
    return chosen


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
