"""Answers of another program, which reads and writes one JSON object a line.

For each photo the program reads one line {"photo": "/path/to/photo.jpg"} from standard input and
writes one line to standard output: {"lat": 48.86, "lon": 2.35}, optionally with chance_200km,
radius_50_km, radius_80_km, radius_95_km and cost_usd. An object without a place is a refusal. Other
lines, such as log messages, are skipped. A program that crashes or does not answer in time is
ended, and started again for the next photo.
"""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from geoloc.answer.judge import LEVELS
from geoloc.evaluation.benchmark import Benchmark
from geoloc.evaluation.predictions import Predictions
from geoloc.io.jsonl_process import JsonlProcess, NoReplyError, parse_command
from geoloc.photos.tables import NAMES_SHOWN

_INTERPRETER = re.compile(
    r"(python|pypy|ruby|perl|php|lua|node|deno|bun|julia|Rscript|bash|sh|zsh)[\d.]*(\.exe)?"
)

GIVE_UP_AFTER = 20
"""Consecutive photos without an answer after which the evaluation stops."""


def answer(
    command: str,
    benchmark: Benchmark,
    timeout_s: float,
    progress: Callable[[int], None] = lambda done: None,
) -> Predictions:
    """Return the answers of a program to photos.

    Args:
        command: program and arguments.
        benchmark: N photos, each with a file.
        timeout_s: time limit for one photo.
        progress: called with the number of photos that were answered since the last call.

    Raises:
        CommandError: the program cannot be started.
    """
    words = parse_command(command)
    answers = Predictions.none(program_name(words), len(benchmark))
    failures: dict[str, list[str]] = {}
    program: JsonlProcess | None = None
    unanswered = 0
    try:
        for row, file in enumerate(benchmark.file):
            program = program or JsonlProcess(words)
            start = time.perf_counter()
            try:
                failure = "" if _take(answers, row, _ask(program, file, timeout_s)) else "refused"
                unanswered = 0
            except NoReplyError as error:
                program.close()
                program, failure, unanswered = None, str(error), unanswered + 1
            answers.latency_s[row] = time.perf_counter() - start
            if failure:
                failures.setdefault(failure, []).append(str(benchmark.photo_id[row]))
            if unanswered == GIVE_UP_AFTER:
                failures[f"given up after {GIVE_UP_AFTER} in a row without an answer"] = list(
                    map(str, benchmark.photo_id[row + 1 :])
                )
                break
            progress(1)
    finally:
        if program:
            program.close()
    lines = [_line(command, failure, photos) for failure, photos in failures.items() if photos]
    return replace(answers, problems=tuple(lines))


def program_name(words: Sequence[str]) -> str:
    """Return the name of a program: its file, or the script or module that an interpreter runs."""
    names = [os.path.basename(word) for word in words]
    if _INTERPRETER.fullmatch(names[0]):
        return next((name for name in names[1:] if not name.startswith("-")), names[0])
    return names[0]


def _ask(program: JsonlProcess, file: str, timeout_s: float) -> dict[str, Any]:
    """Return the reply of a program to one photo.

    Raises:
        NoReplyError: the program ended, or did not reply in time.
    """
    photo = os.path.abspath(file)
    return program.request(
        {"photo": photo}, timeout_s, lambda reply: reply.get("photo", photo) == photo
    )


def _line(command: str, failure: str, photos: list[str]) -> str:
    more = " …" if len(photos) > NAMES_SHOWN else ""
    return (
        f"--command {command}: {failure}: {len(photos):,} photos count as refused"
        f" ({', '.join(photos[:NAMES_SHOWN])}{more})"
    )


def _take(answers: Predictions, row: int, reply: dict[str, Any]) -> bool:
    """Write an answer into a row; return False if it is not a place on the Earth."""
    lat, lon = _number(reply.get("lat")), _number(reply.get("lon"))
    answers.cost_usd[row] = _number(reply.get("cost_usd"))
    if not (abs(lat) <= 90.0 and abs(lon) <= 180.0):
        return False
    answers.latlon[row] = lat, lon
    chance = _number(reply.get("chance_200km"))
    answers.chance[row] = chance if 0.0 <= chance <= 1.0 else np.nan
    radii = [_number(reply.get(f"radius_{level}_km")) for level in LEVELS]
    answers.radii_km[row] = [radius if radius >= 0.0 else np.nan for radius in radii]
    return True


def _number(value: object) -> float:
    """Return a value as a number; NaN if it is not one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan
