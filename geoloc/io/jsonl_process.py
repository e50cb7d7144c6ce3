"""A child process that answers JSON requests: one object per line on its standard streams."""

from __future__ import annotations

import json
import os
import queue
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from geoloc.errors import GeolocError

MAX_LINE_BYTES = 1_000_000
"""Longer lines arrive in pieces."""

_QUEUED_LINES = 8
"""Lines read ahead; a program that writes more has to wait, so that chatter fills no memory."""

_EXIT_S = 1.0
"""Time that a program gets to exit after it closed its standard output."""

_END = b""
"""Marks the end of the output in the queue, as `readline` does."""


class CommandError(GeolocError):
    """A command cannot be parsed or started."""


class NoReplyError(Exception):
    """The program ended or did not reply in time; close it and start another."""


def parse_command(command: str) -> list[str]:
    """Split a command into words as a POSIX shell does; no shell runs it.

    Raises:
        CommandError: it is empty, or its quotation marks are not closed.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise CommandError(f"{command}: {error}; check its quotation marks") from error
    if not words:
        raise CommandError("the command is empty; give a program and its arguments")
    return words


class JsonlProcess:
    """A running program that gets one request at a time.

    Output lines that are not JSON objects, such as log messages of a library, are skipped. After a
    `NoReplyError` the process must be closed: a late reply could be taken for the reply to the next
    request.
    """

    def __init__(self, words: Sequence[str]) -> None:
        """Start the program.

        Args:
            words: program and arguments.

        Raises:
            CommandError: it cannot be started.
        """
        try:
            self._process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
            )
        except OSError as error:
            reason = error.strerror or error
            raise CommandError(f"{words[0]}: cannot be started: {reason}") from error
        self._lines: queue.Queue[bytes] = queue.Queue(_QUEUED_LINES)
        self._at_end = False
        self._closed = threading.Event()
        self._reader = threading.Thread(target=self._read_lines, daemon=True)
        self._reader.start()

    def request(
        self,
        message: dict[str, Any],
        timeout_s: float,
        is_reply: Callable[[dict[str, Any]], bool],
    ) -> dict[str, Any]:
        """Send a message and return the reply.

        Args:
            message: written as one line of JSON.
            timeout_s: how long to wait for the reply.
            is_reply: whether an object is the reply to this message; others are skipped.

        Raises:
            NoReplyError: the program ended, or did not reply in time.
        """
        with suppress(queue.Empty):  # lines that followed the previous reply
            while self._take_line(0.0):
                pass
        assert self._process.stdin
        with suppress(OSError):  # the program may have ended; the end of its output says so
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        deadline = time.monotonic() + timeout_s
        try:
            while line := self._take_line(max(0.0, deadline - time.monotonic())):
                with suppress(ValueError, RecursionError):
                    reply = json.loads(line)
                    if isinstance(reply, dict) and is_reply(reply):
                        return reply
        except queue.Empty:
            raise NoReplyError(f"no reply within {timeout_s:g} s") from None
        raise NoReplyError(self._why_ended())

    def close(self) -> None:
        """Kill the program and the processes it started, and free its pipes."""
        with suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        self._process.wait()
        self._closed.set()
        with suppress(queue.Empty):  # the reader may wait for room in the queue
            while self._take_line(_EXIT_S):
                pass
        assert self._process.stdin
        with suppress(OSError):  # requests that were not sent
            self._process.stdin.close()

    def _take_line(self, timeout_s: float) -> bytes:
        """Return the next line, or _END now and ever after; raises queue.Empty."""
        if not self._at_end:
            line = self._lines.get(timeout=timeout_s) if timeout_s else self._lines.get_nowait()
            self._at_end = line == _END
            return line
        return _END

    def _why_ended(self) -> str:
        try:
            return f"the program ended with exit code {self._process.wait(_EXIT_S)}"
        except subprocess.TimeoutExpired:
            return "the program closed its standard output"

    def _read_lines(self) -> None:
        """Queue all lines and _END; runs in a thread, which owns the standard output.

        Nothing else closes that pipe: closing it while this thread reads would raise here, or wait
        for a process that inherited the pipe and lives on.
        """
        assert self._process.stdout
        with self._process.stdout as stdout:
            while (line := stdout.readline(MAX_LINE_BYTES)) and not self._closed.is_set():
                self._lines.put(line)
        self._lines.put(_END)
