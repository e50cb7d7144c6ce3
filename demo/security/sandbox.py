"""A process that answers and never asks: no connections, and files for minutes only."""

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


@contextmanager
def private_folder(keep_s: float) -> Iterator[Path]:
    """A folder for temporary files that this user alone can read, and that is gone afterwards.

    Everything in this process makes its temporary files there, gradio too. Gradio deletes the
    uploads it knows; what is left of those that broke off lies beside them, and is deleted here.

    Args:
        keep_s: for how long.
    """
    before, over = tempfile.tempdir, threading.Event()
    with tempfile.TemporaryDirectory(prefix="geoloc-demo-") as name:
        os.environ["GRADIO_TEMP_DIR"] = tempfile.tempdir = name
        sweeping = threading.Thread(target=_sweep, args=(Path(name), keep_s, over), daemon=True)
        sweeping.start()
        try:
            yield Path(name)
        finally:
            over.set()
            sweeping.join()
            tempfile.tempdir = before


def _sweep(folder: Path, keep_s: float, over: threading.Event) -> None:
    while not over.wait(keep_s / 5.0):
        for path in folder.iterdir():
            with suppress(OSError):  # it may be gone already
                if path.is_file() and time.time() - path.stat().st_ctime > keep_s:
                    path.unlink()


def refuse_connections() -> None:
    """From now on nothing in this process can connect to anything; it cannot be undone.

    Uploads may hold addresses, and gradio fetches what it is given an address of.
    """
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    outgoing = event == "socket.connect" and arguments[0].family != socket.AF_UNIX
    if outgoing or event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        raise PermissionError("this service fetches nothing; upload the file itself")
