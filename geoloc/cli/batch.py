"""The command `geoloc batch`: locate a folder, a list, or millions of photos into one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter, validators

from geoloc.cli.console import (
    SOME_FAILED,
    STOPPED,
    Flag,
    Photos,
    Quiet,
    exit_code,
    fail,
    fail_writing,
    notice,
)
from geoloc.cli.evidence import NOTHING_ASKED, EvidenceFlags
from geoloc.io import machine

if TYPE_CHECKING:
    from geoloc.batch.run import AnswerParts

PROGRAM = "geoloc batch"

Top = Annotated[int, Parameter(name=["--top", "-k"], validator=validators.Number(gte=1, lte=40))]
Count = Annotated[int, Parameter(validator=validators.Number(gte=1))]


def batch(
    photos: Photos,
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    bundle: str | None = None,
    top: Top = 5,
    within: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    group_by: str | None = None,
    evidence: EvidenceFlags = NOTHING_ASKED,
    fail_fast: Flag = False,
    write_exif: Path | None = None,
    xmp: Literal["digikam", "lightroom"] | None = None,
    cache: Path | None = None,
    part: Count = 1024,
    ray: str | None = None,
    keep_work: Flag = False,
    quiet: Quiet = False,
) -> int:
    """Locate many photos into one file: folders, lists, tar shards, millions of photos.

    The probability of a place is the calibrated probability that the photo was taken within 25 km
    of it; geoloc/output/README.md explains all columns.

    A stopped run continues when the same command is given again. Photos that fail are listed in
    OUT.errors.jsonl. Exit codes: 0 if all photos were located, 1 if some failed, 2 if nothing could
    be done.

    Parameters
    ----------
    photos
        Folders (with their subfolders), glob patterns, lists with a column "file" (.csv, .tsv,
        .parquet, .jsonl, .geojson; other columns are copied to the output; .txt has one name per
        line),
        WebDataset .tar shards, single photos, or "-" for names or a photo from standard input.
    out
        The output: .jsonl, .csv, .geojson, .kml, .parquet (GeoParquet) or .html (a map). Its folder
        is created. A file that this command did not write, or that has changed, is not overwritten.
    bundle
        Name of an installed bundle (see `geoloc bundle list`), or a path. The default is the world
        model if it is installed, else the starter.
    top
        Number of candidates per photo.
    within
        Constrain the answers for all photos; see `geoloc locate --help`.
    group_by
        A column of the list, or "folder": photos with the same value are views of one place, and
        get one answer.
    fail_fast
        Stop at the first photo that cannot be located.
    write_exif
        Write copies of the photos to this folder, with the answers as GPS tags that are marked as
        estimates. Photos that have a position keep it.
    xmp
        Write the answers to XMP sidecars beside the photos, marked as estimates: digikam
        (photo.jpg.xmp) or lightroom (photo.xmp).
    cache
        Folder of cached embeddings. The default is the user's cache folder.
    part
        Photos per part; a killed run loses at most one part.
    ray
        Address of a Ray cluster whose machines see the same folders, or "local".
    keep_work
        Keep the folder OUT.work with the answered parts when the output is complete: the next run
        with this output reuses them.
    """
    machine.limit_blas()
    from geoloc.batch.run import Options, run
    from geoloc.batch.tagged import tagging_actions
    from geoloc.batch.work import errors_of
    from geoloc.bundle.installed import choose_default
    from geoloc.encoders.cache import default_cache
    from geoloc.errors import GeolocError, PhotoError
    from geoloc.io.progress import ProgressBars

    try:
        options = Options(
            bundle or choose_default(quiet=quiet), top, within, group_by, part,
            cache or default_cache(), fail_fast, keep_work, evidence.options(),
        )  # fmt: skip
        with ProgressBars(unit="photos", quiet=quiet) as progress:
            actions = tagging_actions(photos, write_exif, xmp, progress.problem)
            done = run(photos, out, options, progress, _answer_parts(ray), actions)
    except PhotoError as error:
        fail(PROGRAM, f"{error} (stopped by --fail-fast)")
        return SOME_FAILED
    except GeolocError as error:
        return fail(PROGRAM, error)
    except OSError as error:
        return fail_writing(PROGRAM, error, out)
    except KeyboardInterrupt:
        notice("stopped; the same command continues this run", quiet=quiet)
        return STOPPED
    failed = f", {done.failed:,} failed: see {errors_of(out)}" if done.failed else ""
    count = f"{done.answers:,} answers for {done.photos - done.failed:,} photos"
    notice(f"{out}: {count}{failed}", quiet=quiet)
    return exit_code(done.answers, done.failed)


def _answer_parts(ray: str | None) -> AnswerParts:
    """Return the function that answers parts: in this process, or on a Ray cluster."""
    if ray is None:
        from geoloc.batch.run import answer_locally

        return answer_locally
    from geoloc.batch import distributed

    return distributed.connect(ray)
