"""A player that is a program: a request per line on its standard input, a reply per line back."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from geoloc.errors import PhotoError
from geoloc.game.places import Places
from geoloc.game.protocol import Answer, shown, to_answer
from geoloc.io.jsonl_process import BrokenError, CommandError, Program, parse

START_S = 60.0
"""A program may take this much longer for its first answer: it has a model to load."""

GIVE_UP_AFTER = 10
"""Failures in a row; a program that cannot run is not started a thousand times."""


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
        """Take a command as typed in a shell, though no shell runs it; raises CommandError."""
        self._command = parse(command)
        self.name, self._start_s = name, start_s

    def ask(self, places: Places, seconds: float) -> Iterator[Answer]:
        """See `Player`."""
        program: Program | None = None
        failures = 0
        try:
            for number, views in enumerate(places.views):
                if failures == GIVE_UP_AFTER:
                    yield Answer(problem=f"given up after {failures} failures in a row")
                    continue
                try:
                    with shown(views) as photos:
                        loading_s = 0.0 if program else self._start_s
                        program = program or Program(self._command)
                        answer = _ask(program, number, photos, seconds, loading_s)
                    failures = 0
                except PhotoError as error:
                    answer = Answer(problem=str(error))
                except (BrokenError, CommandError) as error:
                    answer, failures = Answer(problem=str(error)), failures + 1
                    if program:
                        program.end()
                        program = None
                yield answer
        finally:
            if program:
                program.end()


def _ask(
    program: Program, number: int, photos: Sequence[Path], seconds: float, loading_s: float
) -> Answer:
    """Ask about one place; how long the first answer of a program takes says little."""
    names = list(map(str, photos))
    request = {"id": number, "photo": names[0], "photos": names, "seconds": seconds}
    start = time.perf_counter()
    reply = program.ask(
        request, seconds + loading_s, lambda reply: reply.get("id", number) == number
    )
    return to_answer(reply, math.nan if loading_s else time.perf_counter() - start)
