"""`Client`: the HTTP API of `geoloc-demo` from Python, with the answers of this library.

The same request with curl:

    curl -F photos=@photo.jpg -F within="New South Wales, Australia" http://127.0.0.1:7860/v1/locate

`python -m geoloc.client photo.jpg …` prints one line for each photo.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx

from geoloc.errors import GeolocError
from geoloc.guess import Guess

ADDRESS = "http://127.0.0.1:7860"
POLL_S = 0.5

Source = str | os.PathLike[str] | tuple[str, bytes]
"""A photo: path of a file, or its name and content."""


class ServiceError(GeolocError):
    """A server refused a request, or did not answer."""


@dataclass(frozen=True)
class Answer:
    """The guess for one photo, or for all readable photos of one place; or why there is none."""

    photo: str
    guess: Guess | None = None
    error: str | None = None


@dataclass(frozen=True)
class Question:
    """What is known about the photos, and how many places are wanted."""

    within: str | Sequence[str] | None = None
    """Constraint, as "Portugal", or several; see `geoloc.belief.constraints`."""
    top: int = 5
    """Number of candidate places."""
    together: bool = False
    """All photos show the same place."""
    bundle: str | None = None
    """Name of the model; the default of the server if None."""
    use_metadata: bool = False
    read_text: bool = False
    use_overlays: bool = False
    shadow: str | None = None
    time: str | None = None
    thumbnails: bool = False
    """Small pictures of the similar photos, to be shown with their credit."""

    def fields(self) -> dict[str, str]:
        """Return the fields of the form."""
        given = {name: value for name, value in vars(self).items() if value not in (None, False)}
        return {name: str(value).lower() if value is True else str(value)
                for name, value in given.items()}  # fmt: skip


ANYWHERE = Question()


class Client:
    """A client of one server; also a context manager that closes its connections."""

    def __init__(
        self, address: str = ADDRESS, key: str | None = None, timeout_s: float = 120.0
    ) -> None:
        """Take the address of a server, and its key if it asks for one."""
        headers = {"X-API-Key": key} if key else {}
        self._http = httpx.Client(
            base_url=f"{address.rstrip('/')}/v1/", headers=headers, timeout=timeout_s
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._http.close()

    def locate(self, photos: Sequence[Source], question: Question = ANYWHERE) -> list[Answer]:
        """Return the answers for a few photos, in their order.

        Args:
            photos: at most 16 by default of the server.
            question: what is known about them.

        Raises:
            FileNotFoundError: no such photo.
            ServiceError: the server refused the request, for example because no photo is readable.
        """
        return _answers(self._post("locate", photos, question)["answers"])

    def stream(self, photos: Sequence[Source], question: Question = ANYWHERE) -> Iterator[Answer]:
        """Yield each answer as soon as the server has made it; for up to a few hundred photos.

        Raises: as `locate`.
        """
        files, fields = _files(photos), question.fields()
        headers = {"Accept": "application/x-ndjson"}
        with self._http.stream(
            "POST", "locate", headers=headers, files=files, data=fields
        ) as response:
            if response.is_error:
                response.read()
                self._checked(response)
            for line in response.iter_lines():
                yield from _answers([json.loads(line)])

    def batch(self, photos: Sequence[Source], question: Question = ANYWHERE) -> list[Answer]:
        """Return the answers for many photos: queue them, wait, and delete them on the server.

        Raises: as `locate`.
        """
        state = self._post("batch", photos, question)
        address = f"batch/{state['id']}"
        while state["state"] in ("waiting", "running"):
            time.sleep(POLL_S)
            state = self._checked(self._http.get(address))
        self._http.delete(address)
        if state["error"]:
            raise ServiceError(str(state["error"]))
        return _answers(state["answers"])

    def bundles(self) -> list[str]:
        """Return the names of the models of the server, the default one first."""
        listed = self._checked(self._http.get("bundles"))["bundles"]
        return [each["name"] for each in sorted(listed, key=lambda each: not each["default"])]

    def _post(self, path: str, photos: Sequence[Source], question: Question) -> Mapping[str, Any]:
        files, fields = _files(photos), question.fields()
        try:
            return self._checked(self._http.post(path, files=files, data=fields))
        except httpx.HTTPError as error:
            raise ServiceError(f"{self._http.base_url}: no answer ({error})") from error

    def _checked(self, response: httpx.Response) -> Mapping[str, Any]:
        try:
            body: Mapping[str, Any] = response.json()
            if not response.is_error:
                return body
            message = f"{body['error']} (request {body['request_id']})"
        except (ValueError, KeyError, TypeError):
            message = f"{response.url}: status {response.status_code}, not an answer of geoloc-demo"
        raise ServiceError(message)


def _files(photos: Sequence[Source]) -> list[tuple[str, tuple[str, bytes]]]:
    named = [
        each if isinstance(each, tuple) else (Path(each).name, Path(each).read_bytes())
        for each in photos
    ]
    return [("photos", each) for each in named]


def _answers(values: Iterable[Mapping[str, Any]]) -> list[Answer]:
    return [
        Answer(
            each["photo"],
            Guess.from_dict(each["guess"]) if each["guess"] else None,
            each["error"],
        )
        for each in values
    ]


def main() -> int:
    """Locate the photos named on the command line and print one line for each."""
    address = os.environ.get("GEOLOC_ADDRESS", ADDRESS)
    unreadable = 0
    try:
        with Client(address, os.environ.get("GEOLOC_API_KEY")) as client:
            for answer in client.locate(sys.argv[1:]):
                if answer.guess is None:
                    unreadable += 1
                    print(answer.error, file=sys.stderr)
                else:
                    radius = f"within {answer.guess.radius_80_km:.0f} km (80 %)"
                    print(f"{answer.photo}: {answer.guess.place}, {radius}")
    except (OSError, ServiceError) as error:
        print(f"geoloc.client: {error}", file=sys.stderr)
        return 2
    return 1 if unreadable else 0


if __name__ == "__main__":
    raise SystemExit(main())
