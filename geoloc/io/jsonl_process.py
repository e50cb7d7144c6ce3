"""Another program that answers: a JSON object a line on its standard input, one a line back."""

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

_LONGEST_LINE = 1_000_000
_KEPT_LINES = 8
"""A program that says more than is read has to wait."""


class CommandError(GeolocError):
    """A command cannot be used."""


class BrokenError(Exception):
    """The program cannot be relied on any more: end it, and start another."""


def parse(command: str) -> list[str]:
    """A command as typed in a shell, though no shell runs it.

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


class Program:
    """A running program, asked one question at a time.

    Lines that are no JSON object, such as a library's chatter, are skipped. After a BrokenError it
    has to be ended, so that no late reply is taken for that to another question.
    """

    def __init__(self, words: Sequence[str]) -> None:
        """Start it.

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
        self._lines: queue.Queue[bytes] = queue.Queue(_KEPT_LINES)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def ask(
        self, request: dict[str, Any], limit_s: float, meant: Callable[[dict[str, Any]], bool]
    ) -> dict[str, Any]:
        """What it replies.

        Args:
            request: what it is told.
            limit_s: how long it may take.
            meant: whether a reply is that to this request.

        Raises:
            BrokenError: it crashed, or does not reply in time.
        """
        with suppress(queue.Empty):  # what it had to add to its last reply
            while self._lines.get_nowait():
                pass
        assert self._process.stdin
        with suppress(OSError):  # it may have ended; then no line comes
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        deadline = time.monotonic() + limit_s
        try:
            while line := self._lines.get(timeout=max(0.0, deadline - time.monotonic())):
                with suppress(ValueError, RecursionError):
                    reply = json.loads(line)
                    if isinstance(reply, dict) and meant(reply):
                        return reply
        except queue.Empty:
            raise BrokenError(f"no reply within {limit_s:g} s") from None
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        raise BrokenError(f"ended, with exit code {self._process.returncode}")

    def end(self) -> None:
        """End the program and what it has started."""
        with suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        self._process.wait()
        for _ in range(20):  # the listener may wait for room in the queue
            if not self._listener.is_alive():
                break
            with suppress(queue.Empty):
                self._lines.get(timeout=0.05)
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):  # unsent requests
                pipe.close()  # type: ignore[union-attr]

    def _listen(self) -> None:
        """Hand over lines; an empty one is the end."""
        assert self._process.stdout
        line = b"\n"
        while line:
            line = self._process.stdout.readline(_LONGEST_LINE)
            self._lines.put(line)
