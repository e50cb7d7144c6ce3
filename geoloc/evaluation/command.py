"""Another program as a system: it is told photos and answers places, one JSON object a line.

For each photo one line {"photo": "/path/of/it.jpg"} comes on its standard input, and one line is
expected on its standard output: {"lat": 48.86, "lon": 2.35}, perhaps with chance_200km,
radius_50_km, radius_80_km, radius_95_km and cost_usd; an object without a place is a refusal. Other
lines, such as a library's chatter, are skipped. A program that crashes or does not answer in time
is ended, and started again for the next photo.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from geoloc.answer.calibration import LEVELS
from geoloc.evaluation.benchmark import Benchmark
from geoloc.evaluation.predictions import Predictions
from geoloc.io.jsonl_process import JsonlProcess, NoReplyError, parse_command
from geoloc.photos.tables import NAMES_SHOWN

GIVE_UP_AFTER = 20
"""Photos in a row during which the program crashed or said nothing."""


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
        progress: called with the number of photos that were answered since the last call.

    Raises:
        CommandError: the program cannot be started.
    """
    words = parse_command(command)
    answers = Predictions.none(os.path.basename(words[0]), len(benchmark))
    troubles: dict[str, list[str]] = {}
    program: JsonlProcess | None = None
    silent = 0
    try:
        for row, file in enumerate(benchmark.file):
            program = program or JsonlProcess(words)
            start = time.perf_counter()
            try:
                trouble = "" if _take(answers, row, _ask(program, file, timeout_s)) else "refused"
                silent = 0
            except NoReplyError as error:
                program.close()
                program, trouble, silent = None, str(error), silent + 1
            answers.latency_s[row] = time.perf_counter() - start
            if trouble:
                troubles.setdefault(trouble, []).append(str(benchmark.photo_id[row]))
            if silent == GIVE_UP_AFTER:
                troubles[f"given up after {GIVE_UP_AFTER} in a row without an answer"] = list(
                    map(str, benchmark.photo_id[row + 1 :])
                )
                break
            progress(1)
    finally:
        if program:
            program.close()
    lines = [_line(command, trouble, photos) for trouble, photos in troubles.items() if photos]
    return replace(answers, refusals=tuple(lines))


def _ask(program: JsonlProcess, file: str, timeout_s: float) -> dict[str, Any]:
    """What a program says of a photo; raises NoReplyError."""
    photo = os.path.abspath(file)
    return program.request(
        {"photo": photo}, timeout_s, lambda reply: reply.get("photo", photo) == photo
    )


def _line(command: str, trouble: str, photos: list[str]) -> str:
    more = " …" if len(photos) > NAMES_SHOWN else ""
    return (
        f"--command {command}: {trouble}: {len(photos):,} photos count as refused"
        f" ({', '.join(photos[:NAMES_SHOWN])}{more})"
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
