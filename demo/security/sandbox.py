"""Process isolation: no outgoing connections, and a private folder for temporary files."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

PREFIX = "geoloc-demo-"
OWNED = ".lock"
"""File in the folder of a running server, locked for as long as it runs."""

NO_DOWNLOADS = "this service downloads nothing; upload the file itself"


@contextmanager
def private_temp_folder(keep_s: float) -> Iterator[Path]:
    """Use a private folder for all temporary files of this process; delete it at the end.

    Only this user can read the folder. Gradio writes there too and deletes complete uploads itself;
    files of interrupted uploads are deleted here after `keep_s`. Folders that killed servers left
    behind are deleted at the start.
    """
    remove_abandoned(Path(tempfile.gettempdir()))
    previous, stop = tempfile.tempdir, threading.Event()
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name, FileLock(Path(name) / OWNED):
        os.environ["GRADIO_TEMP_DIR"] = tempfile.tempdir = name
        sweeper = threading.Thread(target=_sweep, args=(Path(name), keep_s, stop), daemon=True)
        sweeper.start()
        try:
            yield Path(name)
        finally:
            stop.set()
            sweeper.join()
            tempfile.tempdir = previous


def remove_abandoned(parent: Path) -> None:
    """Delete this user's folders of servers that no longer run."""
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError, Timeout):  # of another user, or of a running server
            if (folder / OWNED).is_file():
                with FileLock(folder / OWNED, timeout=0):
                    shutil.rmtree(folder, ignore_errors=True)


def _sweep(folder: Path, keep_s: float, stop: threading.Event) -> None:
    """Delete files older than `keep_s` periodically."""
    while not stop.wait(keep_s / 5.0):
        for path in folder.iterdir():
            with suppress(OSError):  # another thread may have deleted it
                old = time.time() - path.stat().st_ctime > keep_s
                if old and path.is_file() and path.name != OWNED:
                    path.unlink()


def block_connections() -> None:
    """Block outgoing network connections of this process for the rest of its life.

    A request may contain an address where gradio expects an upload, and gradio would download it.
    """
    sys.addaudithook(_block_outgoing)


def _block_outgoing(event: str, arguments: tuple[Any, ...]) -> None:
    outgoing = event == "socket.connect" and arguments[0].family != socket.AF_UNIX
    if outgoing or event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        raise PermissionError(NO_DOWNLOADS)
