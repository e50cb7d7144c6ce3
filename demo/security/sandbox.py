"""Process isolation: no outgoing connections, and a private folder for temporary files."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

NO_DOWNLOADS = "this service downloads nothing; upload the file itself"


@contextmanager
def private_temp_folder(keep_s: float) -> Iterator[Path]:
    """Use a private folder for all temporary files of this process; delete it at the end.

    Only this user can read the folder. Gradio writes there too and deletes complete uploads itself;
    files of interrupted uploads are deleted here after `keep_s`.
    """
    previous, stop = tempfile.tempdir, threading.Event()
    with tempfile.TemporaryDirectory(prefix="geoloc-demo-") as name:
        os.environ["GRADIO_TEMP_DIR"] = tempfile.tempdir = name
        sweeper = threading.Thread(target=_sweep, args=(Path(name), keep_s, stop), daemon=True)
        sweeper.start()
        try:
            yield Path(name)
        finally:
            stop.set()
            sweeper.join()
            tempfile.tempdir = previous


def _sweep(folder: Path, keep_s: float, stop: threading.Event) -> None:
    """Delete files older than `keep_s` periodically."""
    while not stop.wait(keep_s / 5.0):
        for path in folder.iterdir():
            with suppress(OSError):  # another thread may have deleted it
                if path.is_file() and time.time() - path.stat().st_ctime > keep_s:
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
