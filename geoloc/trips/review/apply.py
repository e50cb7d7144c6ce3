"""Write decided places into a library: as tagged copies, as sidecars, or into an Immich server."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from geoloc.errors import GeolocError, MissingExtraError
from geoloc.io.progress import Reporter
from geoloc.output.tagging import (
    Convention,
    Estimate,
    sidecar_content,
    sidecar_path,
    tagged_content,
)
from geoloc.trips.review.changes import ChangeLog
from geoloc.trips.review.decisions import Decisions, Fitting, estimates, match_library

_ONE_FILE = (errno.EACCES, errno.EPERM, errno.EROFS)
"""Errors of one file or folder; any other, as of a full disk, would be the same for the next."""


class Target(Protocol):
    """Where places are written to."""

    def write(self, fitting: Fitting, file: Path, estimate: Estimate, log: ChangeLog) -> bool:
        """Write the place of a photo.

        Returns:
            False if the photo has a position already, which is kept.

        Raises:
            GeolocError: this photo cannot have one.
            OSError: a file cannot be written.
        """
        ...


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts of an application of decisions."""

    written: int
    """Photos that have their decided place now."""
    kept: int
    """Photos that had another position, which they keep."""
    failed: int
    """Decisions that do not fit the library, or that could not be written."""


@dataclass(frozen=True, slots=True)
class Copies:
    """Tagged copies of the decided photos in another folder, under their paths in the library."""

    folder: Path
    library: Path

    def __post_init__(self) -> None:
        """Refuse a folder in which the next run would find the copies, or one with the photos.

        Raises:
            GeolocError: the folder lies in the library.
            MissingExtraError: pyexiv2 is not installed.
        """
        _require_library()
        if self.folder.resolve().is_relative_to(self.library.resolve()):
            raise GeolocError(f"{self.folder}: lies in {self.library}; choose a folder outside")

    def write(self, fitting: Fitting, file: Path, estimate: Estimate, log: ChangeLog) -> bool:
        """Write the copy; see `Target`."""
        content = tagged_content(file, estimate)
        target = self.folder / fitting.decision.photo
        if target.exists() and os.path.samefile(file, target):
            raise GeolocError(f"{file}: a copy cannot replace the photo; choose another folder")
        if content is not None:
            _write(log, target, content, file)
        return content is not None


@dataclass(frozen=True, slots=True)
class Sidecars:
    """XMP sidecars beside the photos, as digiKam, darktable, Immich or Lightroom read them."""

    convention: Convention

    def __post_init__(self) -> None:
        """Check that sidecars can be written; raises MissingExtraError."""
        _require_library()

    def write(self, fitting: Fitting, file: Path, estimate: Estimate, log: ChangeLog) -> bool:
        """Write the sidecar; see `Target`."""
        content = sidecar_content(file, estimate, self.convention)
        if content is not None:
            _write(log, sidecar_path(file, self.convention), content)
        return content is not None


def apply_decisions(
    decisions: Decisions, library: Path, target: Target, log_path: Path, report: Reporter
) -> Summary:
    """Write all decided places that fit the library, and report a line for each that does not.

    Args:
        decisions: from `read_decisions`.
        library: the folder of the photos.
        target: where places are written to.
        log_path: the log that undoes it.
        report: receives progress and problems.

    Raises:
        GeolocError: the library is missing, or the disk is full; names the log, which says what
            has been written.
    """
    for line in decisions.problems:
        report.problem(line)
    report.stage("comparing the library", len(decisions.photos))
    fitting = list(_fitting(match_library(decisions, library), report))
    failed = len(decisions.problems) + len(decisions.photos) - len(fitting)
    report.stage("writing places", len(fitting))
    places = estimates([each.decision for each in fitting])
    written = kept = 0
    try:
        with ChangeLog(log_path) as log:
            for each, estimate in zip(fitting, places, strict=True):
                wrote = _written(target, each, estimate, log, report)
                written += wrote is True
                kept += wrote is False
                failed += wrote is None
                report.advance()
    except OSError as error:
        raise GeolocError(
            f"{error.filename or log_path}: {error.strerror or error}; {written:,} of"
            f" {len(fitting):,} photos are written, and {log_path} undoes them; free some space"
            " and give the same command again"
        ) from error
    return Summary(written, kept, failed)


def _fitting(matched: Iterable[Fitting], report: Reporter) -> Iterable[Fitting]:
    for each in matched:
        report.advance()
        if each.file is None:
            report.problem(each.problem)
        else:
            yield each


def _written(
    target: Target, fitting: Fitting, estimate: Estimate, log: ChangeLog, report: Reporter
) -> bool | None:
    """Write one place; None if it cannot be written, which is reported.

    Raises:
        OSError: nothing more can be written.
    """
    photo = fitting.decision.photo
    if fitting.file is None:  # `_fitting` leaves these out
        return None
    try:
        wrote = target.write(fitting, fitting.file, estimate, log)
    except MissingExtraError:
        raise
    except GeolocError as error:
        report.problem(str(error))
        return None
    except OSError as error:
        if error.errno not in _ONE_FILE or error.filename == str(log.path):
            raise
        reason = f"{error.filename or photo}: {error.strerror}"
        report.problem(f"{reason}; make it writable, or write copies with --write-exif FOLDER")
        return None
    if not wrote:
        report.problem(f"{photo}: has a position already, which is kept")
    return wrote


def _write(log: ChangeLog, file: Path, content: bytes, times_of: Path | None = None) -> None:
    """Write a file unless it has this content already, as after a stopped run."""
    if not file.exists() or file.read_bytes() != content:
        log.write_file(file, content, times_of)


def _require_library() -> None:
    if find_spec("pyexiv2") is None:
        raise MissingExtraError("pyexiv2", "tag")
