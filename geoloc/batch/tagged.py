"""Actions on each answer of a batch: tagged copies of photos, and XMP sidecars."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from geoloc.errors import GeolocError, MissingExtraError
from geoloc.output.formats import Record
from geoloc.output.tagging import Convention, tag_copy, write_sidecar

Action = Callable[[Record], None]
Warn = Callable[[str], None]
"""Receives one line about a photo that was not tagged; the others are."""


def tagging_actions(
    inputs: Sequence[str], folder: Path | None, convention: Convention | None, warn: Warn
) -> list[Action]:
    """Return the actions that --write-exif and --xmp ask for.

    Args:
        inputs: of the batch.
        folder: for tagged copies; None for no copies.
        convention: of sidecars; None for no sidecars.
        warn: receives the reason why a photo was not tagged.

    Raises:
        GeolocError: `folder` is inside an input folder, where the next run would find the copies.
        MissingExtraError: pyexiv2 is not installed.
    """
    actions: list[Action] = []
    if folder is None and convention is None:
        return actions
    if find_spec("pyexiv2") is None:
        raise MissingExtraError("pyexiv2", "tag")
    folders = [Path(given).absolute() for given in inputs if Path(given).is_dir()]
    if folder is not None:
        inside = next((each for each in folders if folder.absolute().is_relative_to(each)), None)
        if inside is not None:
            raise GeolocError(f"{folder}: lies inside {inside}; choose a folder outside for copies")
        root = Path(os.path.commonpath(folders)) if folders else Path.cwd()
        actions.append(copy_action(folder, root, warn))
    if convention is not None:
        actions.append(sidecar_action(convention, warn))
    return actions


def copy_action(folder: Path, root: Path, warn: Warn) -> Action:
    """Return an action that writes a tagged copy of each photo.

    Args:
        folder: of the copies. A photo below `root` keeps its relative path; any other photo keeps
            its absolute path, below `folder`.
        root: the common folder of the inputs.
        warn: receives photos with a position of their own, and files that cannot hold metadata.

    Returns:
        The action; it raises OSError if a copy cannot be written.
    """

    def copy(source: Path, record: Record) -> None:
        relative = Path(os.path.relpath(source, root))
        if ".." in relative.parts:
            relative = source.absolute().relative_to(source.absolute().anchor)
        target = folder / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        if not tag_copy(source, target, record.guess):
            warn(f"{record.guess.photo}: has a position of its own, which its copy keeps")

    return _for_files(copy, warn)


def sidecar_action(convention: Convention, warn: Warn) -> Action:
    """Return an action that writes an XMP sidecar beside each photo; see `copy_action`."""

    def write(source: Path, record: Record) -> None:
        if not write_sidecar(source, record.guess, convention):
            warn(f"{record.guess.photo}: has a position already, which is kept")

    return _for_files(write, warn)


def _for_files(tag: Callable[[Path, Record], None], warn: Warn) -> Action:
    """Return an action that tags photos with a file of their own, and turns errors into warnings.

    A missing library is not a warning: it would be the same for every photo.
    """

    def action(record: Record) -> None:
        if record.source is None:
            warn(f"{record.guess.photo}: is no file of its own, and cannot be tagged")
            return
        try:
            tag(Path(record.source), record)
        except MissingExtraError:
            raise
        except GeolocError as error:
            warn(str(error))

    return action
