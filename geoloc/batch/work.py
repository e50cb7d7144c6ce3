"""The work folder beside an output: the plan, the answered parts, and the finished state."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from geoloc.batch import answers
from geoloc.batch.items import stamp_of
from geoloc.errors import GeolocError
from geoloc.io.atomic import AtomicFile, atomic_file
from geoloc.photos import storage

ERRORS = "errors.jsonl"


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts of a finished batch."""

    answers: int
    """Records of the output."""
    photos: int
    failed: int
    """Photos without an answer; each is a line of errors.jsonl."""


class WorkFolder:
    """The folder `OUT.work`, which makes a run over the same output continue an earlier one."""

    def __init__(self, out: Path) -> None:
        """Name the folder of an output; nothing is written yet."""
        self.out = out
        self.errors = out.with_name(ERRORS)
        self.folder = out.with_name(f"{out.name}.work")
        self.parts = self.folder / "parts"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Create the folder and lock it; the lock of a killed run does not count.

        Raises:
            GeolocError: another run is writing this output.
            OSError: the folder cannot be written.
        """
        from filelock import FileLock, Timeout

        self.parts.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / "lock", timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise GeolocError(
                f"{self.out}: another run is writing it; wait for it, or choose another output"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def writing_errors(self) -> AbstractContextManager[AtomicFile]:
        """Open the file of errors, which is replaced when the block ends without an exception.

        Its temporary name contains that of the output, because all outputs of a folder share it.
        """
        return atomic_file(self.errors, temporary_name=f".{self.out.name}.{ERRORS}.part")

    def has_part(self, key: str) -> bool:
        """Return whether a part is answered and stored."""
        return storage.exists(answers.part_path(str(self.parts), key))

    def finished(self, digest: str) -> Summary | None:
        """Return the counts of an earlier run of the same plan; None if its output has changed."""
        try:
            state = json.loads((self.folder / "done.json").read_text(encoding="ascii"))
            made, summary = state["made"], Summary(**state["summary"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        there = self.errors.exists() and (self.out.exists() or not summary.answers)
        return summary if made == [digest, *stamp_of(str(self.out))] and there else None

    def finish(self, digest: str, summary: Summary) -> None:
        """Store that the output was made from the plan with this digest."""
        made = [digest, *stamp_of(str(self.out))]
        state = json.dumps({"made": made, "summary": asdict(summary)})
        storage.write(str(self.folder / "done.json"), state.encode("ascii"))

    def keep_only(self, keys: set[str]) -> None:
        """Remove all other parts, and incomplete files of a killed run."""
        kept = {Path(answers.part_path("", key)).name for key in keys}
        for file in self.parts.iterdir():
            if file.name not in kept:
                file.unlink(missing_ok=True)
