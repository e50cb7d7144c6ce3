"""A batch: photos in, one file of answers out, and nothing lost when it is stopped."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoloc import __version__
from geoloc.batch import answers, groups, inputs, plan
from geoloc.batch.answers import Failure
from geoloc.batch.plan import Part, Plan
from geoloc.batch.work import Summary, Work
from geoloc.batch.worker import Step, Worker
from geoloc.bundle import directory as bundles
from geoloc.bundle import installed
from geoloc.errors import GeolocError, PhotoError
from geoloc.geolocator import DEFAULT_TOP
from geoloc.guess import SCHEMA_VERSION
from geoloc.io.progress import Reporter
from geoloc.output.formats import Record
from geoloc.output.sinks import check_ending, open_sink


@dataclass(frozen=True)
class Options:
    """What a batch is asked, besides its photos."""

    bundle: str = installed.STARTER
    top: int = DEFAULT_TOP
    within: str | None = None
    group_by: str | None = None
    """A column, or "folder": its photos show one place and get one answer."""
    part: int = plan.PART
    """Photos that are kept together; what a killed run loses at most."""
    cache: Path | None = None
    """Folder of embeddings kept between runs."""
    fail_fast: bool = False
    """Stop at the first photo that cannot be answered."""


Answer = Callable[[Worker, Plan, Iterable[Part]], Iterator[Step]]
"""Who answers parts: this process, or a cluster."""

Also = Callable[[Record], None]
"""What else is done with each finished record, in the order of the output."""


def here(worker: Worker, planned: Plan, waiting: Iterable[Part]) -> Iterator[Step]:
    """Answer parts in this process."""
    yield from worker.answer(waiting)


def run(
    given: Sequence[str],
    out: Path,
    options: Options,
    report: Reporter,
    answer: Answer = here,
    also: Sequence[Also] = (),
) -> Summary:
    """Answer all photos of the inputs into one file; goes on where an earlier run was stopped.

    Args:
        given: see `geoloc.batch.inputs.find`.
        out: the output; its ending says which kind. Beside it are errors.jsonl, with a line for
            each photo that failed, and the folder OUT.work, which may be deleted when it is done.
        options: what is asked.
        report: told how far it has come.
        answer: who answers the parts.
        also: what else is done with each record.

    Raises:
        GeolocError: nothing can be done: no photos, a wrong option, another run on this output.
        PhotoError: a photo failed, and `options.fail_fast` says to stop.
        OSError: the output cannot be written; what is answered so far is kept.
    """
    check_ending(out)
    work = Work(out)
    worker = Worker(
        options.bundle, options.top, options.within, str(work.parts.resolve()), options.cache
    )
    _ = worker.constraint  # reports a wrong bundle or constraint before any photo is read
    with work.locked():
        planned = _plan(given, work, options, report)
        if not planned.photos:
            raise GeolocError(f"{', '.join(given)}: no photos in it; give a folder that has some")
        done = work.finished(planned.digest)
        if done is not None and not also and not (done.failed and options.fail_fast):
            report.stage("answered by an earlier run", planned.photos)
            report.advance(planned.photos, already=True)
        else:
            _answer(worker, planned, work, options, report, answer)
            done = _write(worker, planned, work, options, report, also)
    if not done.answers:
        raise GeolocError(f"none of {done.photos:,} photos can be answered; see {work.errors}")
    return done


def _plan(given: Sequence[str], work: Work, options: Options, report: Reporter) -> Plan:
    report.stage("looking for photos")
    settings = {
        "bundle": bundles.sha256(bundles.find(options.bundle) / "bundle.json"),
        "version": [__version__, SCHEMA_VERSION],
        "top": options.top,
        "within": _content_of(options.within),
        "group_by": options.group_by,
    }
    photos = inputs.find(given, work.folder, report.problem)
    together: Iterable[groups.Group] = ((None, [item]) for item in photos)
    if options.group_by is not None:
        together = groups.group(photos, options.group_by)
    grouped = options.group_by is not None
    file = work.folder / "plan"
    return plan.write(file, together, settings, grouped=grouped, part=options.part)


def _content_of(within: str | None) -> Any:  # noqa: ANN401
    """What is known beforehand; of a file its content, which may change."""
    if within is None or not os.path.isfile(within):
        return within
    return [within, hashlib.sha256(Path(within).read_bytes()).hexdigest()]


def _answer(
    worker: Worker,
    planned: Plan,
    work: Work,
    options: Options,
    report: Reporter,
    answer: Answer,
) -> None:
    """Answer all parts that are not."""
    report.stage("answering photos", planned.photos)
    missing = 0
    for key, photos, _, _ in planned.heads():
        if work.has(key):
            report.advance(photos, already=True)
        else:
            missing += 1
    if not missing:
        return
    waiting = (plan.parse(line) for _, line in planned.lines() if not work.has(line.split(" ")[0]))
    for step in answer(worker, planned, waiting):
        report.advance(step.photos)
        for failure in step.failures:
            if options.fail_fast:
                raise PhotoError(failure.error)
            report.problem(failure.error)


def _write(
    worker: Worker,
    planned: Plan,
    work: Work,
    options: Options,
    report: Reporter,
    also: Sequence[Also],
) -> Summary:
    """One output from all parts, in the order of the inputs."""
    report.stage("writing answers", planned.photos)
    again: set[str] = set()
    rows = failed = 0
    with work.writing_errors() as errors, open_sink(work.out, worker.geolocator.cells) as sink:
        for key, entry in _entries(planned, work, report):
            if isinstance(entry, Failure):
                if options.fail_fast:
                    raise PhotoError(entry.error)
                errors.write_text(_error_line(entry))
                failed += 1
                if entry.again:
                    again.add(key)
                continue
            sink.write(entry)
            rows += 1
            for act in also:
                act(entry)
        if rows:
            sink.close()
    summary = Summary(rows, planned.photos, failed)
    if not again:
        work.finish(planned.digest, summary)
    work.keep_only({key for key, _, _, _ in planned.heads()} - again)
    return summary


def _entries(planned: Plan, work: Work, report: Reporter) -> Iterator[tuple[str, Record | Failure]]:
    for key, photos, _, _ in planned.heads():
        for entry in answers.read(str(work.parts), key):
            yield key, entry
        report.advance(photos)


def _error_line(failure: Failure) -> str:
    line: dict[str, Any] = {"photo": failure.photo, "error": failure.error}
    if failure.columns:
        line["columns"] = dict(failure.columns)
    return json.dumps(line) + "\n"
