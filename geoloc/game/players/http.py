"""A player that is a server: photos are posted to it as to `POST /v1/locate`."""

from __future__ import annotations

import http.client
import json
import mimetypes
import secrets
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from geoloc.errors import PhotoError
from geoloc.game.places import Places
from geoloc.game.protocol import Answer, shown, to_answer

LOCATE = "/v1/locate"
"""Where photos are posted if the address names no path."""

_MOST_BYTES = 10_000_000


class HttpPlayer:
    """A server that takes photos as multipart form data and answers JSON with lat and lon.

    Every view is a part called `photos`; of several, a field `together` says that they show one
    place. They carry no metadata, and leave this machine if the server is another one. The reply
    may also be that of `geoloc-demo`, which has the guess in a list of answers.
    """

    kind = "http"

    def __init__(self, name: str, address: str) -> None:
        """Take the address of the server, or of what answers there."""
        parts = urllib.parse.urlsplit(address)
        self.name = name
        self._address = address if parts.path.strip("/") else parts._replace(path=LOCATE).geturl()

    def ask(self, places: Places, seconds: float) -> Iterator[Answer]:
        """See `Player`."""
        for views in places.views:
            start = time.perf_counter()
            try:
                with shown(views) as photos:
                    request = _request(self._address, photos)
                start = time.perf_counter()
                reply = _within(seconds, request)
                yield to_answer(_guess(reply), time.perf_counter() - start)
            except PhotoError as error:
                yield Answer(problem=str(error))
            except TimeoutError:
                yield Answer(problem=f"no reply within {seconds:g} s")
            except (OSError, ValueError, RecursionError, http.client.HTTPException) as error:
                took = time.perf_counter() - start
                yield Answer(seconds=took, problem=_reason(error))


def _request(address: str, photos: Sequence[Path]) -> urllib.request.Request:
    boundary = secrets.token_hex(16)
    parts = [
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="photos"; filename="{photo.name}"\r\n'
        f"Content-Type: {mimetypes.guess_type(photo.name)[0] or 'image/jpeg'}\r\n\r\n".encode()
        + photo.read_bytes()
        for photo in photos
    ]
    if len(photos) > 1:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="together"\r\n\r\ntrue'
        parts.append(head.encode())
    body = b"\r\n".join([*parts, f"--{boundary}--\r\n".encode()])
    kind = f"multipart/form-data; boundary={boundary}"
    return urllib.request.Request(address, body, {"Content-Type": kind}, method="POST")


def _within(seconds: float, request: urllib.request.Request) -> Any:  # noqa: ANN401
    """The JSON that a server replies, or TimeoutError.

    A socket's own time limit counts from the last byte: a server could send one a second for ever.
    """
    result: list[Any] = []

    def send() -> None:
        try:
            with urllib.request.urlopen(request, timeout=seconds) as response:
                result.append(json.loads(response.read(_MOST_BYTES)))
        except Exception as error:
            result.append(error)

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    sender.join(seconds)
    if not result:
        raise TimeoutError
    if isinstance(result[0], Exception):
        raise result[0]
    return result[0]


def _guess(reply: Any) -> Any:  # noqa: ANN401
    """The guess of the first answer, where the reply is a list of answers."""
    try:
        first = reply["answers"][0]
        return first["guess"] or {"lat": None, "lon": None, "problem": first["error"]}
    except (TypeError, KeyError, IndexError):
        return reply


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server says {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError):
        return f"the server cannot be reached ({error.reason})"
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return "the reply is no JSON"
    return f"{type(error).__name__}: {error}"
