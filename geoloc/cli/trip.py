"""The command `geoloc trip`: place a whole library, and write what a person has reviewed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from geoloc.cli.console import (
    STOPPED,
    Flag,
    Quiet,
    UsageError,
    exit_code,
    fail,
    fail_writing,
    notice,
)
from geoloc.cli.evidence import NOTHING_ASKED, EvidenceFlags

if TYPE_CHECKING:
    from geoloc.io.progress import Reporter
    from geoloc.trips.review.apply import Target
    from geoloc.trips.trip import Trip

PROGRAM = "geoloc trip"

app = App(
    name="trip",
    help="Place a whole photo library by times, geotags, tracks and pictures together.",
)

Several = Parameter(negative=(), show_default=False)


@app.default
def trip(
    library: Path,
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    track: Annotated[Sequence[Path], Several] = (),
    fixed: Path | None = None,
    clock: Annotated[Sequence[str], Several, Parameter(allow_leading_hyphen=True)] = (),
    assume_order: Flag = False,
    immich: str | None = None,
    evidence: EvidenceFlags = NOTHING_ASKED,
    bundle: str | None = None,
    cache: Path | None = None,
    quiet: Quiet = False,
) -> int:
    """Place all photos of a library, and write a page to review them, or a table.

    Positions in the files, sidecars, tracks, times of all cameras and the pictures are weighed.
    Nothing is written into the library: `geoloc trip apply` does that with exported decisions.
    Exit codes: 0 if all photos were placed, 1 if there were problems, 2 if nothing could be done.

    Parameters
    ----------
    library
        Folder of the photos, with its subfolders.
    out
        The output: .html (map, timeline and review), .jsonl, .csv, .geojson, .kml, .parquet or
        .json (everything). A file that this program did not write is not overwritten.
    track
        A file of a GPS track: GPX, KML, KMZ, FIT, or an export of Google Timeline. May be repeated.
    fixed
        A table of photos whose places you know: columns "file", "lat" and "lon".
    clock
        What to add to the times of a camera: "Canon EOS=+01:02:00", "=-3d00:00". May be repeated.
    assume_order
        Take the order of the file names for the order of time, if no photo has a time.
    immich
        Address of an Immich server to download to LIBRARY first; the key is in IMMICH_API_KEY.
    bundle
        Name of an installed bundle (see `geoloc bundle list`), or a path.
    cache
        Folder of cached embeddings. The default is the user's cache folder.
    """
    from geoloc.errors import GeolocError
    from geoloc.io.progress import ProgressBars

    inputs = _Inputs(library, track, fixed, clock, assume_order, immich, evidence, bundle, cache)
    try:
        with ProgressBars(unit="photos", quiet=quiet) as progress:
            placed = _place(inputs, out, progress, quiet=quiet)
            problems = progress.problems
    except GeolocError as error:
        return fail(PROGRAM, error)
    except OSError as error:
        return fail_writing(PROGRAM, error, out)
    except KeyboardInterrupt:
        notice("stopped; the same command continues with its cached embeddings", quiet=quiet)
        return STOPPED
    _tell(placed, out, quiet=quiet)
    return exit_code(len(placed.photos), problems)


@dataclass(frozen=True)
class _Inputs:
    """The arguments of `trip` that say what is placed, and how."""

    library: Path
    tracks: Sequence[Path]
    fixed: Path | None
    clocks: Sequence[str]
    assume_order: bool
    immich: str | None
    evidence: EvidenceFlags
    bundle: str | None
    cache: Path | None


def _place(inputs: _Inputs, out: Path, report: Reporter, *, quiet: bool) -> Trip:
    """Place the library and write the output, after a check of all that can be checked before.

    Raises:
        GeolocError: an input or the output cannot be used.
        OSError: the output cannot be written.
    """
    from geoloc.batch.work import WorkFolder
    from geoloc.bundle.installed import choose_default
    from geoloc.encoders.cache import default_cache
    from geoloc.trips.library import locate_library
    from geoloc.trips.outputs import check_output, write_trip

    own, fixed = WorkFolder(out), inputs.fixed
    check_output(out)
    _check_inputs(out, [*inputs.tracks, *([] if fixed is None else [fixed])])
    own.check_own()
    offsets, asked = _offsets(inputs.clocks), inputs.evidence.options()
    if inputs.immich is not None:
        fixed = _download(inputs.immich, inputs.library, fixed, report)
    placed = locate_library(
        inputs.library,
        list(inputs.tracks),
        bundle=inputs.bundle or choose_default(quiet=quiet),
        fixed=fixed,
        clocks=offsets,
        assume_order=inputs.assume_order,
        asked=asked,
        cache=inputs.cache or default_cache(),
        report=report,
    )
    cameras = {photo.camera for photo in placed.photos}
    for name in offsets.keys() - cameras:
        known = ", ".join(sorted(filter(None, cameras))) or "none that is known"
        report.problem(f"--clock {name}: no photo is of this camera; cameras: {known}")
    placed = replace(placed, library=str(inputs.library))  # where `apply` looks for it
    report.stage("writing the output")
    write_trip(placed, out, inputs.library, own.claim)
    return placed


@app.command
def apply(
    decisions: Path,
    /,
    *,
    library: Path | None = None,
    write_exif: Path | None = None,
    xmp: Literal["digikam", "lightroom"] | None = None,
    immich: str | None = None,
    log: Path | None = None,
    quiet: Quiet = False,
) -> int:
    """Write the decisions of a review into copies, sidecars or an Immich server.

    Positions are marked as estimates. A photo that has a position keeps it. Each change is logged
    before it is made, and `geoloc trip undo` reverts it byte for byte. Exit codes: 0 if all
    decisions were written, 1 if some do not fit the library any more, 2 if nothing could be done.

    Parameters
    ----------
    decisions
        The file that the review page exported.
    library
        Folder of the photos. The default is the folder that was reviewed.
    write_exif
        Write tagged copies of the decided photos to this folder.
    xmp
        Write XMP sidecars beside the photos: digikam (photo.jpg.xmp; also for darktable and Immich)
        or lightroom (photo.xmp).
    immich
        Write to the Immich server at this address; the key is in IMMICH_API_KEY.
    log
        The log. The default is DECISIONS.log.jsonl, beside the decisions.
    """
    from geoloc.errors import GeolocError
    from geoloc.io.progress import ProgressBars
    from geoloc.trips.review.apply import apply_decisions
    from geoloc.trips.review.decisions import read_decisions

    log = log or decisions.with_name(f"{decisions.stem}.log.jsonl")
    try:
        decided = read_decisions(decisions)
        folder = library or Path(decided.library)
        target = _target(folder, write_exif, xmp, immich)
        with ProgressBars(unit="photos", quiet=quiet) as progress:
            done = apply_decisions(decided, folder, target, log, progress)
    except GeolocError as error:
        return fail(PROGRAM, error)
    except OSError as error:
        return fail_writing(PROGRAM, error, log)
    kept = f", {done.kept:,} keep the position they have" if done.kept else ""
    kept += f", {done.failed:,} could not be written" if done.failed else ""
    notice(f"{done.written:,} photos tagged{kept}; to revert:  geoloc trip undo {log}", quiet=quiet)
    return exit_code(done.written + done.kept, done.failed)


@app.command
def undo(log: Path, /, *, quiet: Quiet = False) -> int:
    """Revert what `geoloc trip apply` wrote, byte for byte.

    A file that has changed since stays as it is, and is named. Exit codes: 0 if everything is as
    before, 1 if something has changed since, 2 if the log cannot be read.

    Parameters
    ----------
    log
        The log that `geoloc trip apply` named.
    """
    from geoloc.errors import GeolocError
    from geoloc.trips.review.changes import read_changes, undo_changes
    from geoloc.trips.review.immich import undo_asset

    problems: list[str] = []
    try:
        undone = len(list(undo_changes(read_changes(log), undo_asset, problems.append)))
    except GeolocError as error:
        return fail(PROGRAM, error)
    for line in problems:
        fail(PROGRAM, line)
    notice(f"{undone:,} changes reverted", quiet=quiet)
    return exit_code(1, len(problems))


def _check_inputs(out: Path, inputs: Sequence[Path]) -> None:
    """Refuse an output that is one of the inputs."""
    if any(out.exists() and each.exists() and out.samefile(each) for each in inputs):
        raise UsageError(f"--out {out}: is an input of this command; choose another output")


def _offsets(clocks: Sequence[str]) -> dict[str, float]:
    """Return seconds by camera from the values of --clock."""
    from geoloc.errors import GeolocError
    from geoloc.trips.clocks import parse

    offsets = {}
    for text in clocks:
        camera, _, correction = text.rpartition("=")
        try:
            offsets[camera] = parse(correction if "=" in text else "")
        except GeolocError:
            line = f"--clock {text}: give CAMERA=+HH:MM:SS, as  'Canon EOS=+01:02:00'"
            raise UsageError(line) from None
    return offsets


def _download(url: str, folder: Path, fixed: Path | None, report: Reporter) -> Path | None:
    """Download the photos of an Immich server; return the table with the positions it has."""
    from geoloc.trips.review.immich import Immich, fetch_library

    if fixed is not None:
        raise UsageError("--immich and --fixed exclude each other; enter the places in Immich")
    return fetch_library(Immich(url), folder, report)


def _target(
    library: Path,
    copies: Path | None,
    convention: Literal["digikam", "lightroom"] | None,
    immich: str | None,
) -> Target:
    """Return where places are written to."""
    from geoloc.trips.review.apply import Copies, Sidecars
    from geoloc.trips.review.immich import Assets, Immich

    if sum(each is not None for each in (copies, convention, immich)) != 1:
        raise UsageError("give one of  --xmp digikam,  --write-exif FOLDER  and  --immich URL")
    if copies is not None:
        return Copies(copies, library)
    return Sidecars(convention) if convention is not None else Assets(Immich(str(immich)))


def _tell(placed: Trip, out: Path, *, quiet: bool) -> None:
    """Print what was found."""
    from geoloc.trips.review.page import KINDS, clock_line

    for clock in placed.clocks:
        notice(clock_line(clock), quiet=quiet)
    count = Counter(photo.kind for photo in placed.photos)
    found = ", ".join(f"{count[kind]:,} {kind}" for kind in KINDS if count[kind])
    notice(f"{out}: {len(placed.photos):,} photos: {found}", quiet=quiet)
    if out.suffix.lower() == ".html":
        notice("open it, export; then  geoloc trip apply decisions.json --xmp digikam", quiet=quiet)
