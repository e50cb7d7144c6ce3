"""A file that appears under its name when it is complete, or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self


class WholeFile:
    """Bytes written under a temporary name beside `path`, which `finish` turns into `path`.

    Leaving the `with` block without `finish` removes them, and keeps an older file of that name.
    Every OSError names `path`.
    """

    closed = False
    """Whether it has its name already; pyarrow asks before it writes."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open the temporary file; what a killed run left under its name is overwritten."""
        self.path = Path(path)
        self._partial = self.path.with_name(f".{self.path.name}.part")
        self._scratch: list[IO[bytes]] = []
        with self.naming():
            self._file = self._partial.open("wb")

    def write(self, data: bytes) -> int:
        """Append bytes."""
        with self.naming():
            return self._file.write(data)

    def write_text(self, text: str) -> None:
        """Append text as UTF-8; what UTF-8 cannot say (see PEP 383) is escaped."""
        self.write(text.encode("utf-8", "backslashreplace"))

    def flush(self) -> None:
        """Hand to the system what is still held back."""
        with self.naming():
            self._file.flush()

    def scratch(self) -> IO[bytes]:
        """A file without a name on the same disk, gone with the `with` block or the process."""
        with self.naming():
            self._scratch.append(tempfile.TemporaryFile(dir=self.path.parent))
        return self._scratch[-1]

    def finish(self) -> None:
        """Make sure that all is on the disk, and give the file its name."""
        with self.naming():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._partial.replace(self.path)
        self.closed = True

    @contextlib.contextmanager
    def naming(self) -> Iterator[None]:
        """Let errors of the system say which file they are about; many do not by themselves."""
        try:
            yield
        except OSError as error:
            error.filename, error.filename2 = str(self.path), None
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for file in (self._file, *self._scratch):
            with contextlib.suppress(OSError):  # a full disk, which has been complained about
                file.close()
        if not self.closed:
            self._partial.unlink(missing_ok=True)
