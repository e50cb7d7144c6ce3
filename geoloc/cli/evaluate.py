"""The commands `geoloc evaluate` and `geoloc results`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter, validators

from geoloc.cli.console import BAD_INPUT, fail, fail_writing
from geoloc.errors import GeolocError

if TYPE_CHECKING:
    from geoloc.evaluation.benchmark import Benchmark
    from geoloc.evaluation.leaks import Known
    from geoloc.evaluation.predictions import Predictions

Out = Annotated[Path | None, Parameter(name=["--out", "-o"])]
Positive = Annotated[float, Parameter(validator=validators.Number(gt=0))]
Count = Annotated[int, Parameter(validator=validators.Number(gte=1, lte=100_000))]


class UsageError(GeolocError):
    """Options that do not go together."""


def evaluate(
    benchmark: str,
    /,
    *,
    images: Path | None = None,
    bundle: str | None = None,
    predictions: Path | None = None,
    command: str | None = None,
    against: Annotated[tuple[Path, ...], Parameter(negative=())] = (),
    train: Path | None = None,
    out: Out = None,
    max_error_km: Positive = 14_916.862,
    timeout_s: Positive = 120.0,
    resamples: Count = 1000,
    seed: int = 0,
) -> int:
    """Score a bundle, or any other system, on photos whose places are known.

    Parameters
    ----------
    benchmark
        im2gps, im2gps3k, yfcc4k, yfcc26k, gws15k, osv5m (their tables as they are published, in the
        folder of the photos or beside it), or any CSV or Parquet table with the columns file (or
        id), lat, lon and perhaps author, group, precision_km.
    images
        Folder of the photos; needed unless --predictions is given or the table names them.
    bundle
        Model to score: a name that `geoloc bundle list` knows, or a path; the best installed one if
        nothing else is to be scored.
    predictions
        Score these answers instead: a CSV or Parquet table with the columns photo, lat, lon, and
        perhaps chance_200km, radius_50_km, radius_80_km, radius_95_km, latency_s, cost_usd.
    command
        Score this program instead: it reads {"photo": PATH} and writes {"lat": …, "lon": …}, one
        line of JSON for each photo.
    against
        Answers of other systems for the same photos, to compare with; may be given several times.
    train
        Table of the photos that the system learned from (lat, lon, perhaps author), to tell leaks.
    out
        Write a report to this HTML file; beside it .json has the numbers, .predictions.csv answers.
    max_error_km
        maxErrorDistance of the GeoGuessr map, for its points.
    timeout_s
        How long --command may think about one photo.
    resamples
        For the 95 % intervals.
    seed
        Of these resamples.
    """
    from geoloc.bundle.choice import choose
    from geoloc.evaluation import benchmark as benchmarks
    from geoloc.evaluation import leaks
    from geoloc.evaluation import predictions as tables
    from geoloc.evaluation.results import assess

    try:
        _check(benchmark, bundle, predictions, command, out)
        photos = benchmarks.read(benchmark, images)
        if predictions is not None:
            known = leaks.read(train) if train else None
            system = tables.read(predictions, photos)
        else:
            photos = _with_files(photos)
            system, known = _ask(photos, bundle or choose(), command, timeout_s, train)
        others = [tables.read(path, photos) for path in against]
        report = assess(
            photos, [system, *others], known,
            max_error_km=max_error_km, resamples=resamples, seed=seed,
        )  # fmt: skip
        _print(report)
        if out is not None:
            _write(report, photos, None if predictions else system, out)
    except GeolocError as error:
        return fail("geoloc evaluate", error)
    except OSError as error:
        return fail_writing("geoloc evaluate", error, out or benchmark)
    for line in report["problems"]:
        fail("geoloc evaluate", line)
    wrong = [photos.problems, *(each.problems for each in (system, *others))]
    return BAD_INPUT if any(wrong) else 0


def results(
    reports: Annotated[list[Path] | None, Parameter(negative=())] = None,
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
) -> int:
    """Write a page of the published numbers of other systems, with ours beside them.

    Parameters
    ----------
    reports
        The .json files of reports of `geoloc evaluate`, whose scores are shown among them.
    out
        The HTML file.
    """
    from geoloc.evaluation.report import page

    try:
        page.write_results([page.read(path) for path in reports or []], out)
    except GeolocError as error:
        return fail("geoloc results", error)
    except OSError as error:
        return fail_writing("geoloc results", error, out)
    print(f"results: {out}", file=sys.stderr)
    return 0


def _check(
    benchmark: str,
    bundle: str | None,
    predictions: Path | None,
    command: str | None,
    out: Path | None,
) -> None:
    given = {"--bundle": bundle, "--predictions": predictions, "--command": command}
    named = [name for name, value in given.items() if value is not None]
    if len(named) > 1:
        raise UsageError(f"{' and '.join(named)}: one system at a time; others go to --against")
    if out is not None and out.suffix.lower() != ".html":
        raise UsageError(f"{out}: a report is an HTML file; give -o a name that ends with .html")
    if out is not None and Path(benchmark) == out.with_suffix(".json"):
        raise UsageError(f"{out}: its numbers would be written over {benchmark}; choose another")


def _with_files(photos: Benchmark) -> Benchmark:
    """The photos that there is a file of; the others cannot be asked about."""
    import numpy as np

    rows = np.flatnonzero(photos.file != "")
    if not len(rows):
        raise UsageError(
            f"{photos.title}: none of its photos is at hand; give their folder with --images, or"
            " answers with --predictions"
        )
    return photos.take(rows)


def _ask(
    photos: Benchmark, bundle: str, command: str | None, timeout_s: float, train: Path | None
) -> tuple[Predictions, Known | None]:
    """Answers of a program or of a bundle, and what it learned from."""
    from geoloc.evaluation import answering, leaks
    from geoloc.evaluation import command as programs

    known = leaks.read(train) if train else None
    with _Progress(len(photos)) as progress:
        if command is not None:
            answers = programs.answer(command, photos, timeout_s, progress)
            return answers, known
        from geoloc.bundle.directory import load

        model = load(bundle)
        answers = answering.answer(model, photos, progress)
    members = model.ranker.gallery.members
    return answers, known or leaks.Known(members.latlon, members.author)


class _Progress:
    """How far the answers are, on a terminal."""

    def __init__(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import Progress

        console = Console(stderr=True)
        self._bar = Progress(console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("answering", total=total)

    def __enter__(self) -> _Progress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, done: int) -> None:
        self._bar.update(self._task, completed=done)


def _print(report: dict[str, Any]) -> None:
    from rich.console import Console

    from geoloc.evaluation.report.terminal import render

    Console(width=None if sys.stdout.isatty() else 110, highlight=False).print(render(report))


def _write(
    report: dict[str, Any], photos: Benchmark, answers: Predictions | None, out: Path
) -> None:
    from geoloc.evaluation import predictions
    from geoloc.evaluation.report import page

    out.parent.mkdir(parents=True, exist_ok=True)
    files = [out, page.write(report, out)]
    if answers is not None:
        files.append(out.with_suffix(".predictions.csv"))
        predictions.write(answers, photos, files[-1])
    print(f"report: {', '.join(map(str, files))}", file=sys.stderr)
