"""Runs of a batch: photos in, one output file out; a stopped run continues where it was."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from geoloc import __version__
from geoloc.batch import answers, groups, inputs, plan
from geoloc.batch.answers import Failure
from geoloc.batch.plan import Part, Plan
from geoloc.batch.work import Summary, WorkFolder
from geoloc.batch.worker import Step, Worker
from geoloc.belief.witnesses.options import BY_DEFAULT, WitnessOptions
from geoloc.bundle import directory as bundles
from geoloc.bundle import installed
from geoloc.errors import GeolocError, PhotoError
from geoloc.geolocator import DEFAULT_TOP
from geoloc.guess import SCHEMA_VERSION
from geoloc.io.atomic import atomic_file
from geoloc.io.digests import sha256
from geoloc.io.progress import Reporter
from geoloc.output.formats import Record, error_to_json
from geoloc.output.sinks import check_ending, open_sink


@dataclass(frozen=True)
class Options:
    """Settings of a batch."""

    bundle: str = installed.STARTER
    """Name of an installed bundle, or a path."""
    top: int = DEFAULT_TOP
    """Candidates per photo."""
    within: str | None = None
    """Constraint on all photos, as for `geoloc locate --within`."""
    group_by: str | None = None
    """A column, or "folder": photos with the same value get one answer."""
    part_size: int = plan.PART_SIZE
    """Photos per part; a killed run loses at most one part."""
    cache: Path | None = None
    """Folder of cached embeddings; None for no cache."""
    fail_fast: bool = False
    """Stop at the first photo that cannot be answered."""
    keep_work: bool = False
    """Keep the folder OUT.work when the output is complete."""
    asked: WitnessOptions = BY_DEFAULT
    """Which witnesses are asked about all photos."""


AnswerParts = Callable[[Worker, Plan, Iterable[Part]], Iterator[Step]]
"""Answers the missing parts of a plan: in this process, or on a cluster."""

Action = Callable[[Record], None]
"""Called with each record, in the order of the output."""


def answer_locally(worker: Worker, batch_plan: Plan, missing: Iterable[Part]) -> Iterator[Step]:
    """Answer parts in this process."""
    yield from worker.answer(missing)


def run(
    sources: Sequence[str],
    out: Path,
    options: Options,
    report: Reporter,
    answer_parts: AnswerParts = answer_locally,
    actions: Sequence[Action] = (),
) -> Summary:
    """Answer all photos of the inputs into one file, or continue an earlier run.

    Args:
        sources: see `geoloc.batch.inputs.find_photos`.
        out: the output; its ending selects the format. Its folder is created. For the files beside
            it see `WorkFolder`.
        options: the settings.
        report: receives stages, progress and problems.
        answer_parts: answers the parts that are not stored yet.
        actions: called with each record.

    Raises:
        GeolocError: nothing can be done: no photos, an unusable option, another run on this
            output, or a file there that no batch wrote.
        PhotoError: a photo failed, and `options.fail_fast` is set.
        OSError: the output cannot be written; stored parts remain.
    """
    check_ending(out)
    work = WorkFolder(out)
    work.check_own()
    parts = str(work.parts.resolve())
    worker = Worker(
        options.bundle, options.top, options.within, parts, options.cache, options.asked
    )
    # a wrong bundle, constraint or shadow is reported before any photo is read
    options.asked.witnesses(worker.geolocator.cells, report.problem)
    _ = worker.constraint
    batch = _Batch(worker, work, options, report)
    with work.locked():
        batch_plan = batch.plan(sources)
        if not batch_plan.photos:
            raise GeolocError(f"{', '.join(sources)}: no photos in it; give a folder with photos")
        done = work.finished(batch_plan.digest)
        if done is not None and not actions and not (done.failed and options.fail_fast):
            report.stage("answered by an earlier run", batch_plan.photos)
            report.advance(batch_plan.photos, already=True)
        else:
            batch.answer(batch_plan, answer_parts)
            done = batch.write(batch_plan, actions)
        if not options.keep_work:
            work.keep_only(set())
    if not done.answers:
        raise GeolocError(f"none of {done.photos:,} photos can be answered; see {work.errors}")
    return done


@dataclass(frozen=True)
class _Batch:
    """The three stages of a run."""

    worker: Worker
    work: WorkFolder
    options: Options
    report: Reporter

    def plan(self, sources: Sequence[str]) -> Plan:
        """Find the photos and divide them into parts."""
        self.report.stage("looking for photos")
        options = self.options
        settings = {
            "bundle": sha256(bundles.find(options.bundle) / "bundle.json"),
            "version": [__version__, SCHEMA_VERSION],
            "top": options.top,
            "within": _constraint_key(options.within),
            "group_by": options.group_by,
            "asked": asdict(options.asked),
            "form": self.worker.chosen_form,
        }
        photos = inputs.find_photos(sources, self.work.folder, self.report.problem)
        grouped: Iterable[groups.Group] = ((None, [item]) for item in photos)
        if options.group_by is not None:
            grouped = groups.group(photos, options.group_by)
        return plan.write(
            self.work.folder / "plan", grouped, settings,
            grouped=options.group_by is not None, part_size=options.part_size,
        )  # fmt: skip

    def answer(self, batch_plan: Plan, answer_parts: AnswerParts) -> None:
        """Answer the parts that are not stored yet."""
        self.report.stage("answering photos", batch_plan.photos)
        missing = 0
        for entry in batch_plan.entries():
            if self.work.has_part(entry.key):
                self.report.advance(entry.photos, already=True)
            else:
                missing += 1
        if not missing:
            return
        for step in answer_parts(self.worker, batch_plan, self._missing_parts(batch_plan)):
            self.report.advance(step.photos)
            for failure in step.failures:
                if self.options.fail_fast:
                    raise PhotoError(failure.error)
                self.report.problem(failure.error)

    def write(self, batch_plan: Plan, actions: Sequence[Action]) -> Summary:
        """Write the output from the stored parts, in the order of the inputs."""
        self.report.stage("writing answers", batch_plan.photos)
        retried: set[str] = set()
        rows = failed = 0
        cells = self.worker.geolocator.cells
        with (
            atomic_file(self.work.errors) as errors,
            open_sink(self.work.out, cells, self.work.claim) as sink,
        ):
            for key, entry in self._stored_entries(batch_plan):
                if isinstance(entry, Failure):
                    if self.options.fail_fast:
                        raise PhotoError(entry.error)
                    errors.write_text(_error_line(entry))
                    failed += 1
                    if entry.again:
                        retried.add(key)
                    continue
                sink.write(entry)
                rows += 1
                for action in actions:
                    action(entry)
            if rows:
                sink.close()
        summary = Summary(rows, batch_plan.photos, failed)
        if rows and not retried:
            self.work.finish(batch_plan.digest, summary)
        self.work.keep_only({entry.key for entry in batch_plan.entries()} - retried)
        return summary

    def _missing_parts(self, batch_plan: Plan) -> Iterator[Part]:
        for _, line in batch_plan.lines():
            if not self.work.has_part(line.split(" ", 1)[0]):
                yield plan.parse(line)

    def _stored_entries(self, batch_plan: Plan) -> Iterator[tuple[str, Record | Failure]]:
        """Yield the key of the part and the entry, for all entries of all parts."""
        for part in batch_plan.entries():
            for entry in answers.read(str(self.work.parts), part.key):
                yield part.key, entry
            self.report.advance(part.photos)


def _constraint_key(within: str | None) -> Any:  # noqa: ANN401
    """Return what identifies a constraint: its text, and the digest of a file's content."""
    if within is None or not os.path.isfile(within):
        return within
    return [within, hashlib.sha256(Path(within).read_bytes()).hexdigest()]


def _error_line(failure: Failure) -> str:
    return error_to_json(failure.photo, failure.error, failure.columns) + "\n"
