"""Another program as a system: it is told photos and answers places, one JSON object a line.

For each photo one line {"photo": "/path/of/it.jpg"} comes on its standard input, and one line is
expected on its standard output: {"lat": 48.86, "lon": 2.35}, perhaps with chance_200km,
radius_50_km, radius_80_km, radius_95_km and cost_usd; an object without a place is a refusal. Other
lines, such as a library's chatter, are skipped. A program that crashes or does not answer in time
is ended, and started again for the next photo.
"""

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
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from geoloc.calibration import LEVELS
from geoloc.errors import GeolocError
from geoloc.evaluation.benchmark import Benchmark
from geoloc.evaluation.predictions import NAMED, Predictions

LONGEST_LINE = 1_000_000
"""Characters; more in one line is no answer."""

MOST_LINES = 1000
"""A program that says more than is read has to wait."""

GIVE_UP_AFTER = 20
"""Photos in a row during which the program crashed or said nothing."""


class CommandError(GeolocError):
    """A program cannot be started."""


class Program:
    """A running program that is asked one line at a time."""

    def __init__(self, command: str, timeout_s: float) -> None:
        """Take a command line; it is started when first asked.

        Raises:
            CommandError: it is empty or its quotes are not closed.
        """
        try:
            self._arguments = shlex.split(command)
        except ValueError as error:
            raise CommandError(f"--command {command}: {error}; close the quotes") from error
        if not self._arguments:
            raise CommandError("--command is empty; give a program and its arguments")
        self._timeout_s = timeout_s
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str] = queue.Queue(MOST_LINES)

    def ask(self, photo: str) -> tuple[dict[str, Any] | None, str]:
        """What it says of a photo, and "" or why that is nothing.

        Raises:
            CommandError: the program cannot be started.
        """
        process = self._process or self._start()
        deadline = time.monotonic() + self._timeout_s
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps({"photo": photo}) + "\n")
            process.stdin.flush()
            while line := self._lines.get(timeout=max(0.0, deadline - time.monotonic())):
                said = _object(line)
                if said is not None and said.get("photo", photo) == photo:
                    return said, ""
        except queue.Empty:
            self.end()
            return None, f"no answer within {self._timeout_s:g} s"
        except OSError:
            pass
        self.end()
        return None, "crashed"

    def end(self) -> None:
        """End the program and all that it started."""
        if self._process is not None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self._process.wait()
            self._process = None
            while not self._lines.empty():  # whoever listens may wait for room, and then ends too
                self._lines.get_nowait()

    def _start(self) -> subprocess.Popen[str]:
        try:
            self._process = subprocess.Popen(
                self._arguments,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            raise CommandError(
                f"--command {self._arguments[0]}: {error.strerror}; give a program that exists"
            ) from error
        self._lines = queue.Queue(MOST_LINES)
        threading.Thread(target=_listen, args=(self._process, self._lines), daemon=True).start()
        return self._process


def _listen(process: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
    """Hand on every line; an empty one when there are no more."""
    assert process.stdout is not None
    while True:
        line = process.stdout.readline(LONGEST_LINE)
        lines.put(line)
        if not line:
            return


def _object(line: str) -> dict[str, Any] | None:
    """The JSON object of a line; None for anything else."""
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def answer(
    command: str,
    benchmark: Benchmark,
    timeout_s: float,
    progress: Callable[[int], None] = lambda done: None,
) -> Predictions:
    """Ask a program about every photo that there is a file of.

    Args:
        command: program and arguments.
        benchmark: N photos.
        timeout_s: how long it may think about one photo.
        progress: told how many photos are done.

    Raises:
        CommandError: the program cannot be started.
    """
    answers = Predictions.none(os.path.basename(shlex.split(command)[0]), len(benchmark))
    program = Program(command, timeout_s)
    troubles: dict[str, list[str]] = {}
    silent = 0
    try:
        for row, file in enumerate(benchmark.file):
            start = time.perf_counter()
            said, trouble = program.ask(os.path.abspath(file))
            answers.latency_s[row] = time.perf_counter() - start
            if said is not None and not _take(answers, row, said):
                trouble = "refused"
            if trouble:
                troubles.setdefault(trouble, []).append(str(benchmark.photo_id[row]))
            silent = silent + 1 if said is None else 0
            if silent == GIVE_UP_AFTER:
                troubles[f"given up after {GIVE_UP_AFTER} in a row without an answer"] = list(
                    map(str, benchmark.photo_id[row + 1 :])
                )
                break
            progress(row + 1)
    finally:
        program.end()
    lines = [_line(command, trouble, photos) for trouble, photos in troubles.items() if photos]
    return replace(answers, refusals=tuple(lines))


def _line(command: str, trouble: str, photos: list[str]) -> str:
    more = " …" if len(photos) > NAMED else ""
    return (
        f"--command {command}: {trouble}: {len(photos):,} photos count as refused"
        f" ({', '.join(photos[:NAMED])}{more})"
    )


def _take(answers: Predictions, row: int, said: dict[str, Any]) -> bool:
    """Write an answer down; False if it names no place on the Earth."""
    lat, lon = _number(said.get("lat")), _number(said.get("lon"))
    answers.cost_usd[row] = _number(said.get("cost_usd"))
    if not (abs(lat) <= 90.0 and abs(lon) <= 180.0):
        return False
    answers.latlon[row] = lat, lon
    chance = _number(said.get("chance_200km"))
    answers.chance[row] = chance if 0.0 <= chance <= 1.0 else np.nan
    radii = [_number(said.get(f"radius_{level}_km")) for level in LEVELS]
    answers.radii_km[row] = [radius if radius >= 0.0 else np.nan for radius in radii]
    return True


def _number(value: object) -> float:
    """A number; NaN for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan
