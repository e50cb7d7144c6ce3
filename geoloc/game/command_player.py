"""A player that is a program: a request per line on its standard input, a reply per line back."""

from __future__ import annotations

import json
import math
import os
import queue
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from geoloc.errors import PhotoError
from geoloc.game.manifest import GameError, Places
from geoloc.game.players import Answer, shown, to_answer

START_S = 60.0
"""A program may take this much longer for its first answer: it has a model to load."""

GIVE_UP_AFTER = 10
"""Failures in a row; a program that cannot run is not started a thousand times."""

_LONGEST_LINE = 1_000_000


class CommandPlayer:
    """A long-lived program that speaks JSON lines.

    It reads `{"id": 0, "photo": "/tmp/…/view-0.jpg", "photos": [the same and other views],
    "seconds": 15.0}` and writes `{"lat": 48.86, "lon": 2.35}`, or null for both if it does not
    know; it may repeat the id. The photos carry no metadata, and are gone after the reply. Lines
    that are no JSON object, such as a library's chatter, are skipped. After a crash, or when there
    is no reply in time, it is ended, and started again for the next place: no late reply is taken
    for that to another place.
    """

    kind = "command"

    def __init__(self, name: str, command: str, start_s: float = START_S) -> None:
        """Take a command as typed in a shell, though no shell runs it; raises GameError."""
        try:
            self._command = shlex.split(command)
        except ValueError as error:
            raise GameError(f"cmd:{command}: {error}; check its quotation marks") from error
        if not self._command:
            raise GameError("cmd: names no command; give one like 'cmd:python bot.py'")
        self.name, self._start_s = name, start_s

    def ask(self, places: Places, seconds: float) -> Iterator[Answer]:
        """See `Player`."""
        program: _Program | None = None
        failures = 0
        try:
            for number, views in enumerate(places.views):
                if failures == GIVE_UP_AFTER:
                    yield Answer(problem=f"given up after {failures} failures in a row")
                    continue
                try:
                    with shown(views) as photos:
                        if program is None:
                            program = _Program(self._command, self._start_s)
                        answer = program.answer(number, photos, seconds)
                    failures = 0
                except PhotoError as error:
                    answer = Answer(problem=str(error))
                except _BrokenError as error:
                    answer, failures = Answer(problem=str(error)), failures + 1
                    if program:
                        program.end()
                        program = None
                yield answer
        finally:
            if program:
                program.end()


class _BrokenError(Exception):
    """The program cannot be relied on any more."""


class _Program:
    """A running program."""

    def __init__(self, command: Sequence[str], start_s: float) -> None:
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
            )
        except OSError as error:
            raise _BrokenError(f"cannot be started: {error.strerror or error}") from error
        self._loading_s = start_s
        self._lines: queue.Queue[bytes] = queue.Queue(maxsize=8)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def answer(self, number: int, photos: Sequence[Path], seconds: float) -> Answer:
        """Ask about one place; raises _BrokenError."""
        with suppress(queue.Empty):  # what it had to add about the place before
            while self._lines.get_nowait():
                pass
        names = list(map(str, photos))
        request = {"id": number, "photo": names[0], "photos": names, "seconds": seconds}
        start = time.perf_counter()
        assert self._process.stdin
        with suppress(OSError):  # it may have ended; then no line comes
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        reply = self._reply(number, seconds + self._loading_s)
        took = math.nan if self._loading_s else time.perf_counter() - start
        self._loading_s = 0.0
        return to_answer(reply, took)

    def _reply(self, number: int, limit_s: float) -> dict[str, Any]:
        """The first JSON object that can be meant."""
        deadline = time.monotonic() + limit_s
        try:
            while line := self._lines.get(timeout=max(0.0, deadline - time.monotonic())):
                with suppress(ValueError, RecursionError):
                    reply = json.loads(line)
                    if isinstance(reply, dict) and reply.get("id", number) == number:
                        return reply
        except queue.Empty:
            raise _BrokenError(f"no reply within {limit_s:g} s") from None
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        raise _BrokenError(f"ended, with exit code {self._process.returncode}")

    def _listen(self) -> None:
        """Hand over lines; an empty one is the end."""
        assert self._process.stdout
        line = b"\n"
        while line:
            line = self._process.stdout.readline(_LONGEST_LINE)
            self._lines.put(line)

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
