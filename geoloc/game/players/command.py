"""A player that is a program: JSON requests on its standard input, replies on its output."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from geoloc.errors import PhotoError
from geoloc.game.places import Places
from geoloc.game.protocol import Answer, parse_answer, stripped_copies
from geoloc.io.jsonl_process import CommandError, JsonlProcess, NoReplyError, parse_command

START_S = 60.0
"""Additional time for the first answer of a program, which may have to load a model."""

GIVE_UP_AFTER = 10
"""Failures in a row after which the program is not started again."""


class CommandPlayer:
    """A long-running program that reads and writes JSON lines.

    It reads `{"id": 0, "photo": "/tmp/…/view-0.jpg", "photos": [all views], "seconds": 15.0}` and
    writes `{"lat": 48.86, "lon": 2.35}`, or null for both to refuse; a reply may repeat the id. The
    photos have no metadata and are deleted after the reply. Lines that are not JSON objects, such
    as log messages of a library, are skipped. After a crash or a timeout the program is killed, and
    started again for the next place, so that a late reply is never taken for another place.
    """

    kind = "command"

    def __init__(self, name: str, command: str, start_s: float = START_S) -> None:
        """Prepare to run a command.

        Args:
            name: of the player.
            command: program and arguments, split as a shell does; no shell runs it.
            start_s: additional time for the first answer after each start.

        Raises:
            CommandError: the command cannot be parsed.
        """
        self._words = parse_command(command)
        self.name, self._start_s = name, start_s

    def ask(self, places: Places, seconds: float) -> Iterator[Answer]:
        """Yield an answer for every place; see `Player`."""
        process: JsonlProcess | None = None
        failures = 0
        try:
            for number, views in enumerate(places.views):
                if failures == GIVE_UP_AFTER:
                    yield Answer(problem=f"given up after {failures} failures in a row")
                    continue
                try:
                    with stripped_copies(views) as photos:
                        loading_s = 0.0 if process else self._start_s
                        process = process or JsonlProcess(self._words)
                        answer = _ask(process, number, photos, seconds, loading_s)
                    failures = 0
                except PhotoError as error:
                    answer = Answer(problem=str(error))
                except (NoReplyError, CommandError) as error:
                    answer, failures = Answer(problem=str(error)), failures + 1
                    if process:
                        process.close()
                        process = None
                yield answer
        finally:
            if process:
                process.close()


def _ask(
    process: JsonlProcess, number: int, photos: Sequence[Path], seconds: float, loading_s: float
) -> Answer:
    """Request one answer; the first one after a start is not timed, for it includes the start."""
    names = [str(photo) for photo in photos]
    message = {"id": number, "photo": names[0], "photos": names, "seconds": seconds}
    start = time.perf_counter()
    reply = process.request(
        message, seconds + loading_s, lambda reply: reply.get("id", number) == number
    )
    return parse_answer(reply, math.nan if loading_s else time.perf_counter() - start)
