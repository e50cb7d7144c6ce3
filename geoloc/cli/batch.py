"""`geoloc batch`: answers for a folder, a list, or ten million photos, in one file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter, validators

from geoloc.cli.console import fail, fail_writing

PROGRAM = "geoloc batch"

SOME_FAILED = 1
"""Exit code when the output is there, but some photos failed."""

STOPPED = 130
"""Exit code after Ctrl-C, as shells have it."""

app = App(name="batch", help="Answer a folder, a list, tar shards or millions of photos.")

Inputs = Annotated[
    list[str],
    Parameter(
        negative=(), allow_leading_hyphen=True, validator=None,
        help='Folders, patterns, lists (.csv .tsv .parquet .jsonl .txt), .tar shards, photos, "-".',
    ),
]  # fmt: skip
Top = Annotated[int, Parameter(name=["--top", "-k"], validator=validators.Number(gte=1, lte=40))]
Count = Annotated[int, Parameter(validator=validators.Number(gte=1))]
Flag = Annotated[bool, Parameter(negative=())]


@app.default
def batch(
    photos: Inputs,
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    bundle: str | None = None,
    top: Top = 5,
    within: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    group_by: str | None = None,
    fail_fast: Flag = False,
    write_exif: Path | None = None,
    xmp: Literal["digikam", "lightroom"] | None = None,
    cache: Path | None = None,
    part: Count = 1024,
    ray: str | None = None,
) -> int:
    """Answer many photos into one file; a run that was stopped goes on where it was.

    Photos that fail are lines of errors.jsonl beside the output. Exit code 0: all photos answered,
    1: some failed, 2: nothing could be done.

    Parameters
    ----------
    photos
        Folders (with all below them), patterns, lists with a column "file" (.csv, .tsv, .parquet,
        .jsonl; other columns come along; .txt has a name on each line), tar shards as WebDataset
        has them, single photos, or "-" for names or a photo from standard input.
    out
        The file to write; its ending says which kind.
    bundle
        Model: a name that `geoloc bundle list` knows, or a path. By default the world model where
        it is installed, else the starter.
    top
        How many places to name for each photo.
    within
        What you know already of all photos; as for geoloc locate.
    group_by
        A column of the list, or "folder": photos that share it show one place, and get one answer.
    fail_fast
        Stop at the first photo that cannot be answered.
    write_exif
        Folder for copies of the photos that hold their answers as GPS, marked as estimates; a
        position that a photo has is kept.
    xmp
        Write the answers into XMP sidecars beside the photos: digikam (photo.jpg.xmp) or lightroom
        (photo.xmp), marked as estimates.
    cache
        Folder of embeddings kept between runs.
    part
        Photos that are kept together: what a killed run loses at most.
    ray
        Address of a Ray cluster whose machines see the same folders, or "local".
    """
    from geoloc.batch.run import Answer, Options, here, run
    from geoloc.batch.tagged import acts
    from geoloc.bundle.choice import choose
    from geoloc.encoders.cache import default_cache
    from geoloc.errors import GeolocError, PhotoError
    from geoloc.io.progress import ProgressBars

    try:
        model = bundle or choose()
        options = Options(model, top, within, group_by, part, cache or default_cache(), fail_fast)
        with ProgressBars(unit="photos") as progress:
            also = acts(photos, write_exif, xmp, progress.problem)
            answer: Answer = here
            if ray is not None:
                from geoloc.batch.distributed import on_ray

                answer = on_ray(ray)
            done = run(photos, out, options, progress, answer, also)
    except PhotoError as error:
        fail(PROGRAM, f"{error} (stopped by --fail-fast)")
        return SOME_FAILED
    except GeolocError as error:
        return fail(PROGRAM, error)
    except OSError as error:
        return fail_writing(PROGRAM, error, out)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return STOPPED
    counted = f"{done.answers:,} answers for {done.photos - done.failed:,} photos"
    errors = f", {done.failed:,} failed: see {out.with_name('errors.jsonl')}" if done.failed else ""
    print(f"{out}: {counted}{errors}", file=sys.stderr)
    return SOME_FAILED if done.failed else 0
