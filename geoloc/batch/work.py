"""Files beside an output: errors, the folder of answered parts, and the finished state."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from geoloc.batch import answers
from geoloc.batch.items import stamp_of
from geoloc.errors import GeolocError
from geoloc.photos import storage


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts of a finished batch."""

    answers: int
    """Records of the output."""
    photos: int
    failed: int
    """Photos without an answer; each is a line of OUT.errors.jsonl."""


def errors_of(out: Path) -> Path:
    """Return the file with the errors of an output."""
    return out.with_name(f"{out.name}.errors.jsonl")


class WorkFolder:
    """The files beside an output OUT.

    - OUT.errors.jsonl has a line for each photo without an answer.
    - OUT.work has the plan and the answered parts, with which a stopped run continues.
    - .OUT.batch.json has the size and modification time of the output that a batch wrote: a file
      with others belongs to the user and is never overwritten.
    """

    def __init__(self, out: Path) -> None:
        """Name the files of an output; nothing is written yet."""
        self.out = out
        self.errors = errors_of(out)
        self.folder = out.with_name(f"{out.name}.work")
        self.parts = self.folder / "parts"
        self._state = out.with_name(f".{out.name}.batch.json")

    def check_own(self) -> None:
        """Check that there is no output, or one that a batch wrote and that has not changed.

        Raises:
            GeolocError: the output is a file of the user.
        """
        if os.path.lexists(self.out) and self._stamp() not in self._read_state().get("stamps", []):
            raise GeolocError(
                f"{self.out}: not overwritten, because it is not as this program wrote it;"
                " move it away, or choose another output"
            )

    def claim(self, complete: Path) -> None:
        """Store that the output belongs to this program, before a complete file is renamed to it.

        Raises:
            GeolocError: see `check_own`.
            OSError: the state cannot be written.
        """
        self.check_own()
        self._write_state({"stamps": [self._stamp(), list(stamp_of(str(complete)))]})

    def finish(self, digest: str, summary: Summary) -> None:
        """Store that the output was made from the plan with this digest."""
        state = {"stamps": [self._stamp()], "digest": digest, "summary": asdict(summary)}
        self._write_state(state)

    def finished(self, digest: str) -> Summary | None:
        """Return the counts of an earlier run of the same plan; None if its output has changed."""
        state = self._read_state()
        same = (state.get("digest"), state.get("stamps")) == (digest, [self._stamp()])
        return Summary(**state["summary"]) if same and self.errors.exists() else None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Create the folder and lock it; the lock of a killed run does not count.

        At the end of the block, a folder without parts is removed.

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
            if not any(self.parts.iterdir()):
                shutil.rmtree(self.folder, ignore_errors=True)
            lock.release()

    def has_part(self, key: str) -> bool:
        """Return whether a part is answered and stored."""
        return storage.exists(answers.part_path(str(self.parts), key))

    def keep_only(self, keys: set[str]) -> None:
        """Remove all other parts, and incomplete files of a killed run."""
        kept = {Path(answers.part_path("", key)).name for key in keys}
        for file in self.parts.iterdir():
            if file.name not in kept:
                file.unlink(missing_ok=True)

    def _stamp(self) -> list[int]:
        return list(stamp_of(str(self.out)))

    def _read_state(self) -> dict[str, Any]:
        """Return the state, {} if there is none."""
        try:
            state = json.loads(self._state.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}

    def _write_state(self, state: dict[str, Any]) -> None:
        storage.write(str(self._state), json.dumps(state).encode("ascii"))
