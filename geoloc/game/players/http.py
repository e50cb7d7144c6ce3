"""A player that is a server: photos are posted to it as to `POST /v1/locate` of `geoloc-demo`."""

from __future__ import annotations

import json
import mimetypes
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from geoloc.errors import PhotoError
from geoloc.game.places import Places
from geoloc.game.protocol import Answer, parse_answer, stripped_copies

LOCATE = "/v1/locate"
"""Path that photos are posted to if the address has none."""

MAX_REPLY_BYTES = 10_000_000


class HttpPlayer:
    """A server that takes photos as multipart form data and replies with JSON.

    Every view is a part called `photos`; if there are several, a field `together` says that they
    show one place. The photos have no metadata; they leave this machine if the server is another
    one, and redirects are not followed. The reply has `lat` and `lon`, or is that of `geoloc-demo`,
    which has them in a list of answers.
    """

    kind = "http"

    def __init__(self, name: str, address: str) -> None:
        """Prepare to post to a server.

        Args:
            name: of the player.
            address: http or https URL of the server, with or without a path.
        """
        parts = urlsplit(address)
        self.name = name
        self._address = address if parts.path.strip("/") else parts._replace(path=LOCATE).geturl()

    def ask(self, places: Places, seconds: float) -> Iterator[Answer]:
        """Yield an answer for every place; see `Player`."""
        import httpx

        failures = (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, RecursionError)
        for views in places.views:
            try:
                with stripped_copies(views) as photos:
                    files = _parts(photos)
            except PhotoError as error:
                yield Answer(problem=str(error))
                continue
            start = time.perf_counter()
            try:
                reply = _post_within(seconds, self._address, files)
            except TimeoutError:
                yield Answer(problem=f"no reply within {seconds:g} s")
            except failures as error:
                yield Answer(seconds=time.perf_counter() - start, problem=_reason(error))
            else:
                yield parse_answer(_first_guess(reply), time.perf_counter() - start)


def _parts(photos: Sequence[Path]) -> list[tuple[str, Any]]:
    """Return the parts of the form, as httpx takes them."""
    parts: list[tuple[str, Any]] = []
    for photo in photos:
        media_type = mimetypes.guess_type(photo.name)[0] or "image/jpeg"
        parts.append(("photos", (photo.name, photo.read_bytes(), media_type)))
    if len(photos) > 1:
        parts.append(("together", (None, b"true")))
    return parts


def _post_within(seconds: float, address: str, parts: list[tuple[str, Any]]) -> Any:  # noqa: ANN401
    """Post a form and return the JSON of the reply.

    The request runs in a thread: the timeouts of httpx hold for every single read, so a server that
    sends a byte now and then would never reach them.

    Raises:
        TimeoutError: the reply is not complete in time.
        httpx.HTTPError: the server cannot be reached, or its status is not 2xx.
        ValueError: the reply is too large or not JSON.
    """
    result: list[Any] = []

    def post() -> None:
        try:
            result.append(json.loads(_post(seconds, address, parts)))
        except Exception as error:
            result.append(error)

    sender = threading.Thread(target=post, daemon=True)
    sender.start()
    sender.join(seconds)
    if not result:
        raise TimeoutError
    if isinstance(result[0], Exception):
        raise result[0]
    return result[0]


def _post(seconds: float, address: str, parts: list[tuple[str, Any]]) -> bytes:
    import httpx

    deadline = time.monotonic() + seconds
    try:
        with (
            httpx.Client(timeout=seconds, follow_redirects=False) as client,
            client.stream("POST", address, files=parts) as response,
        ):
            response.raise_for_status()
            content = bytearray()
            for chunk in response.iter_bytes():
                content += chunk
                if len(content) > MAX_REPLY_BYTES:
                    raise ValueError(f"the reply is larger than {MAX_REPLY_BYTES // 1_000_000} MB")
                if time.monotonic() > deadline:  # ends the thread of a request given up
                    raise TimeoutError
    except httpx.TimeoutException as error:
        raise TimeoutError from error
    return bytes(content)


def _first_guess(reply: Any) -> Any:  # noqa: ANN401
    """Return the guess of the first answer if the reply is a list of answers, else the reply."""
    try:
        first = reply["answers"][0]
        return first["guess"] or {"lat": None, "lon": None, "problem": first["error"]}
    except (TypeError, KeyError, IndexError):
        return reply


def _reason(error: Exception) -> str:
    import httpx

    if isinstance(error, httpx.HTTPStatusError):
        response = error.response
        return f"the server replied {response.status_code} {response.reason_phrase}".rstrip()
    if isinstance(error, httpx.ConnectError):
        return f"the server cannot be reached ({error})"
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError | RecursionError):
        return "the reply is no JSON"
    return str(error) or type(error).__name__
