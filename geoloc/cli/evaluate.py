"""The commands `geoloc evaluate` and `geoloc results`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter, validators

from geoloc.cli.console import (
    Quiet,
    UsageError,
    exit_code,
    fail,
    fail_writing,
    notice,
    prepare_page,
    table_console,
)

if TYPE_CHECKING:
    from geoloc.evaluation.benchmark import Benchmark
    from geoloc.evaluation.leakage import TrainingPhotos
    from geoloc.evaluation.predictions import Predictions

Out = Annotated[Path | None, Parameter(name=["--out", "-o"])]
Positive = Annotated[float, Parameter(validator=validators.Number(gt=0))]
Count = Annotated[int, Parameter(validator=validators.Number(gte=1, lte=100_000))]


def evaluate(
    benchmark: str,
    /,
    *,
    images: Path | None = None,
    bundle: str | None = None,
    predictions: Path | None = None,
    command: str | None = None,
    against: Annotated[tuple[Path, ...], Parameter(negative=(), show_default=False)] = (),
    name: Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)] = (),
    train: Path | None = None,
    out: Out = None,
    max_error_km: Positive = 14_916.862,
    timeout_s: Positive = 120.0,
    resamples: Count = 1000,
    seed: int = 0,
    quiet: Quiet = False,
) -> int:
    """Score a bundle, or any other system, on photos with known locations.

    The exit code is 0 if all photos are answered, 1 if some photos or answers are missing or cannot
    be used, and 2 if there is nothing to score.

    Parameters
    ----------
    benchmark
        im2gps, im2gps3k, yfcc4k, yfcc26k, gws15k or osv5m, with their published tables in the
        folder of the photos or beside it; or any CSV or Parquet table with the columns file (or
        id), lat, lon and optionally author, group, precision_km. A table with the column country
        instead of lat and lon scores the country only.
    images
        Folder of the photos; needed unless --predictions is given or the table has paths of files.
    bundle
        Bundle to score: an installed one (see `geoloc bundle list`), or a path. The default is the
        world model if it is installed, else the starter.
    predictions
        Score these answers instead: a CSV or Parquet table with the columns photo, lat, lon, and
        optionally chance_200km, radius_50_km, radius_80_km, radius_95_km, latency_s, cost_usd.
    command
        Score this program instead: for each photo it reads a line {"photo": PATH} and writes a line
        {"lat": …, "lon": …}.
    against
        Table of another system's answers for the same photos, to compare with; may be repeated.
    name
        Name of the system in the report; by default that of its bundle, file or program. Repeat it
        to name the systems of --against, in their order.
    train
        Table of the training photos of the system (lat, lon, optionally author), to detect leakage.
    out
        Write a report to this HTML file, and beside it the numbers (.json) and the answers
        (.predictions.csv).
    max_error_km
        maxErrorDistance of the GeoGuessr map, the scale of its points.
    timeout_s
        Seconds that --command may take for one photo.
    resamples
        Number of bootstrap resamples for the 95 % intervals.
    seed
        Seed of the resamples.
    """
    from geoloc.errors import GeolocError
    from geoloc.evaluation import benchmark as benchmarks
    from geoloc.evaluation import leakage
    from geoloc.evaluation import predictions as tables
    from geoloc.evaluation.results import assess

    try:
        _check(benchmark, bundle, predictions, command, out)
        _check_names(name, 1 + len(against))
        photos = benchmarks.read(benchmark, images)
        if predictions is not None:
            training_photos = leakage.read(train) if train else None
            system = tables.read(predictions, photos)
        else:
            photos = _with_files(photos)
            system, training_photos = _ask(photos, bundle, command, timeout_s, train, quiet=quiet)
        systems = _named([system, *(tables.read(path, photos) for path in against)], name)
        report = assess(
            photos, systems, training_photos,
            max_error_km=max_error_km, resamples=resamples, seed=seed,
        )  # fmt: skip
        _print(report)
        if out is not None:
            files = _write(report, photos, None if predictions else system, out)
            notice(f"report: {', '.join(map(str, files))}", quiet=quiet)
    except GeolocError as error:
        return fail("geoloc evaluate", error)
    except OSError as error:
        return fail_writing("geoloc evaluate", error, out or benchmark)
    for line in report["problems"]:
        fail("geoloc evaluate", line)
    return _exit_code(photos, systems)


def results(
    reports: Annotated[list[Path] | None, Parameter(negative=())] = None,
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    quiet: Quiet = False,
) -> int:
    """Write a page of published results, with your own beside them.

    Parameters
    ----------
    reports
        The .json files of reports of `geoloc evaluate`, to show among the published results.
    out
        The HTML file to write.
    """
    from geoloc.errors import GeolocError
    from geoloc.evaluation.report import page

    try:
        prepare_page("-o", out)
        page.write_results([page.read(path) for path in reports or []], out)
    except GeolocError as error:
        return fail("geoloc results", error)
    except OSError as error:
        return fail_writing("geoloc results", error, out)
    notice(f"results: {out}", quiet=quiet)
    return 0


def _check(
    benchmark: str,
    bundle: str | None,
    predictions: Path | None,
    command: str | None,
    out: Path | None,
) -> None:
    """Check the options before any photo is read; raises UsageError or OSError."""
    systems = {"--bundle": bundle, "--predictions": predictions, "--command": command}
    used = [option for option, value in systems.items() if value is not None]
    if len(used) > 1:
        raise UsageError(
            f"{' and '.join(used)} exclude each other; give answers of other systems with --against"
        )
    if out is not None and Path(benchmark) == out.with_suffix(".json"):
        raise UsageError(
            f"{out}: the numbers beside it would overwrite {benchmark}; choose another name"
        )
    prepare_page("-o", out)


def _check_names(names: Sequence[str], systems: int) -> None:
    """Raise a UsageError if there are more names than systems."""
    if len(names) > systems:
        raise UsageError(
            f"{len(names)} names for {systems} systems; give --name at most once for each system"
        )


def _with_files(photos: Benchmark) -> Benchmark:
    """Return the photos with a file; raises UsageError if there are none."""
    import numpy as np

    rows = np.flatnonzero(photos.file != "")
    if not len(rows):
        raise UsageError(
            f"{photos.title}: none of its photos was found; give their folder with --images, or"
            " answers with --predictions"
        )
    return photos.take(rows)


def _exit_code(photos: Benchmark, systems: list[Predictions]) -> int:
    """Return the exit code of an evaluation; only the first system has to answer at all."""
    failed = sum(len(each.problems) + int(each.refused.sum()) for each in systems)
    return exit_code(int((~systems[0].refused).sum()), failed + len(photos.problems))


def _named(systems: list[Predictions], names: Sequence[str]) -> list[Predictions]:
    """Return the systems under the names given for the first of them.

    Systems whose names are equal get a number.
    """
    from dataclasses import replace

    titles = [*names, *(each.system for each in systems[len(names) :])]
    numbered = [
        f"{title} ({titles[: row + 1].count(title)})" if title in titles[:row] else title
        for row, title in enumerate(titles)
    ]
    return [replace(each, system=title) for each, title in zip(systems, numbered, strict=True)]


def _ask(
    photos: Benchmark,
    bundle: str | None,
    command: str | None,
    timeout_s: float,
    train: Path | None,
    *,
    quiet: bool,
) -> tuple[Predictions, TrainingPhotos | None]:
    """Return the answers of a program or a bundle, and its training photos if they are known."""
    import numpy as np

    from geoloc.bundle.directory import load
    from geoloc.bundle.installed import choose_default
    from geoloc.evaluation import answering, leakage
    from geoloc.evaluation import command as programs
    from geoloc.io.progress import ProgressBars

    training_photos = leakage.read(train) if train else None
    with ProgressBars(unit="photos", quiet=quiet) as report:
        report.stage("answering photos", len(photos))
        if command is not None:
            return programs.answer(command, photos, timeout_s, report.advance), training_photos
        model = load(bundle or choose_default(quiet=quiet))
        answers = answering.answer(model, photos, report.advance)
    members = model.joined.members
    authors = np.asarray(members.author)
    return answers, training_photos or leakage.TrainingPhotos(members.latlon, authors)


def _print(report: dict[str, Any]) -> None:
    from geoloc.evaluation.report.terminal import render

    table_console().print(render(report))


def _write(
    report: dict[str, Any], photos: Benchmark, answers: Predictions | None, out: Path
) -> list[Path]:
    """Write the report and the files beside it; returns their paths."""
    from geoloc.evaluation import predictions
    from geoloc.evaluation.report import page

    files = [out, page.write(report, out)]
    if answers is not None:
        files.append(out.with_suffix(".predictions.csv"))
        predictions.write(answers, photos, files[-1])
    return files
