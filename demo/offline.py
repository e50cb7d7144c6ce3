"""A process that answers and never asks: it opens no connection, whatever it is sent."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder for uploads that this user alone can read, and that is gone afterwards.

    Everything in this process that makes temporary files makes them there; gradio too, which has
    to be imported afterwards.
    """
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="geoloc-demo-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = tempfile.tempdir = folder
        try:
            yield Path(folder)
        finally:
            tempfile.tempdir = before


def refuse_connections() -> None:
    """From now on nothing in this process can connect to anything; it cannot be undone.

    Uploads may hold addresses, and gradio fetches what it is given an address of.
    """
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    outgoing = event == "socket.connect" and arguments[0].family != socket.AF_UNIX
    if outgoing or event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        raise PermissionError("this service fetches nothing; upload the file itself")
