"""Atomic writes: a file or folder appears under its name when it is complete, or not at all.

This is the only place that writes under a temporary name and renames, with two exceptions.
`geoloc.bundle.download` keeps its partial files, because it resumes them; `geocells.derived` is
below this package.
"""

from __future__ import annotations

import contextlib
import ctypes
import glob
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self


class AtomicFile:
    """A binary file that is written as `.NAME.part` beside its path and renamed by `commit`.

    The folder is created if it is missing. Leaving the `with` block without `commit` deletes the
    temporary file and keeps an older file at the path. Every OSError carries the path as its
    `filename`.

    The temporary name is fixed, so that the next run overwrites what a killed run left behind. Use
    `atomic_path` or `atomic_write_bytes` where several processes may write the same path.
    """

    closed = False
    """Whether the file was committed; pyarrow checks this attribute before it writes."""

    def __init__(
        self, path: str | os.PathLike[str], before_rename: Callable[[Path], None] | None = None
    ) -> None:
        """Open the temporary file.

        Args:
            path: the file to write.
            before_rename: called by `commit` with the temporary file when it is complete; an
                exception keeps the older file.

        Raises:
            OSError: the folder cannot be created or is not writable.
        """
        self.path = Path(path)
        self._temporary = self.path.with_name(f".{self.path.name}.part")
        self._before_rename = before_rename
        self._scratch: list[IO[bytes]] = []
        with self.errors_name_path():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._temporary.open("wb")

    def write(self, data: bytes) -> int:
        """Append bytes; return their number."""
        with self.errors_name_path():
            return self._file.write(data)

    def write_text(self, text: str) -> None:
        """Append text as UTF-8; lone surrogates (PEP 383) are written as backslash escapes."""
        self.write(_utf8(text))

    def flush(self) -> None:
        """Write buffered bytes to the operating system."""
        with self.errors_name_path():
            self._file.flush()

    def scratch(self) -> IO[bytes]:
        """Return an unnamed file on the same disk; it is deleted with the `with` block."""
        with self.errors_name_path():
            self._scratch.append(tempfile.TemporaryFile(dir=self.path.parent))
        return self._scratch[-1]

    def commit(self) -> None:
        """Flush the file to the disk and rename it to its path."""
        with self.errors_name_path():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            if self._before_rename is not None:
                self._before_rename(self._temporary)
            self._temporary.replace(self.path)
        self.closed = True

    @contextlib.contextmanager
    def errors_name_path(self) -> Iterator[None]:
        """Add the path of this file to every OSError of the block that names no file."""
        with _errors_name(self.path, self._temporary):
            yield

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for file in (self._file, *self._scratch):
            with contextlib.suppress(OSError):  # closing flushes; a full disk was reported before
                file.close()
        if not self.closed:
            self._temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[AtomicFile]:
    """Open an `AtomicFile` and commit it if the block raises no exception.

    Raises:
        OSError: the file cannot be written; its `filename` is `path`.
    """
    with AtomicFile(path) as file:
        yield file
        file.commit()


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`, for code that opens a file by its name.

    The folder is created if it is missing. The file is renamed to `path` if the block raises no
    exception, and deleted otherwise. Its name is unique, so that several processes may write the
    same path; the last one wins.

    Raises:
        OSError: the file cannot be written; its `filename` is `path`.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        with _errors_name(target, temporary):
            target.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def atomic_write_bytes(path: str | os.PathLike[str], content: bytes) -> Path:
    """Write a file as `atomic_path` does and return its path; raises OSError."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
    return Path(path)


def atomic_write_text(path: str | os.PathLike[str], text: str) -> Path:
    """Write text as UTF-8, encoded as `AtomicFile.write_text` does; raises OSError."""
    return atomic_write_bytes(path, _utf8(text))


@contextlib.contextmanager
def atomic_directory(path: str | os.PathLike[str], *, replace: bool = False) -> Iterator[Path]:
    """Yield a new folder beside `path`; rename it to `path` if the block raises no exception.

    If the process is killed, the older folder is whole. What it leaves behind, a hidden folder
    beside `path`, is deleted by the next call.

    Args:
        path: the folder to write; missing parents are created.
        replace: whether a folder with content at `path` is replaced. It is kept until the new one
            is complete.

    Raises:
        OSError: the folder cannot be written, or `path` is not empty and `replace` is False.
    """
    target = Path(path)
    with scratch_directory(target) as temporary:
        yield temporary
        with _errors_name(target, temporary):
            if replace and target.exists():
                _replace(temporary, target)
            else:
                temporary.rename(target)


@contextlib.contextmanager
def scratch_directory(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a new hidden folder beside `path`, on the same disk; it is deleted with the block.

    One that a killed process left behind is deleted by the next call. Missing parents are created.

    Raises:
        OSError: the folder cannot be written.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    _delete_abandoned(target)
    temporary = target.with_name(f".{target.name}-{secrets.token_hex(4)}")
    with _claimed(temporary):
        try:
            yield temporary
        finally:
            _delete(temporary)


def _replace(temporary: Path, target: Path) -> None:
    """Put `temporary` in the place of `target`; the old one is deleted, or left at `temporary`.

    Where two names cannot be exchanged in one step, on other systems than Linux, a kill between
    the two steps leaves the old folder under its hidden name.
    """
    if _exchange(temporary, target):
        return
    old = temporary.with_name(f"{temporary.name}-old")
    target.rename(old)
    try:
        temporary.rename(target)
    except OSError:
        old.rename(target)
        raise
    _delete(old)


def _exchange(first: Path, second: Path) -> bool:
    """Exchange the names of two files or folders in one step; return whether that is possible."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None
    if rename is None:
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return bool(rename(here, os.fsencode(first), here, os.fsencode(second), exchange) == 0)


def _delete(path: Path) -> None:
    """Delete a file or folder if it exists, as far as that is possible."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Make a folder that is locked within the `with` block; the system unlocks it after a kill."""
    unlocked = folder.with_name(f"{folder.name}.new")  # which is not taken for an abandoned one
    unlocked.mkdir()
    handle = _lock(unlocked)
    unlocked.rename(folder)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _lock(folder: Path) -> int | None:
    """Return a handle that locks a folder; None if another process has it, or without locks."""
    if sys.platform == "win32":
        return None
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def _delete_abandoned(target: Path) -> None:
    """Delete temporary folders of `target` that killed processes left behind."""
    pattern = f".{glob.escape(target.name)}-{'[0-9a-f]' * 8}"
    for folder in target.parent.glob(pattern):
        with contextlib.suppress(OSError):
            handle = _lock(folder)
            if handle is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(handle)


@contextlib.contextmanager
def _errors_name(path: Path, temporary: Path) -> Iterator[None]:
    """Let an OSError name `path` if it names no file, as many do, or the temporary one."""
    try:
        yield
    except OSError as error:
        if error.filename is None or str(error.filename) == str(temporary):
            error.filename, error.filename2 = str(path), None
        raise


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")
