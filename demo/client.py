"""An example client of the API; `python -m demo.client photo.jpg …` prints the answers.

The same request with curl:

    curl -F photos=@photo.jpg -F within="New South Wales, Australia" http://127.0.0.1:7860/v1/locate
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

ADDRESS = "http://127.0.0.1:7860"
POLL_S = 0.5


class Client:
    """A client of one server."""

    def __init__(self, address: str = ADDRESS, key: str | None = None) -> None:
        headers = {"X-API-Key": key} if key else {}
        self._http = httpx.Client(base_url=f"{address}/v1", headers=headers, timeout=120.0)

    def locate(self, photos: Sequence[Path], **options: Any) -> list[dict[str, Any]]:  # noqa: ANN401
        """Return the answers for a few photos.

        Args:
            photos: paths of photos.
            options: `top`, `within`, `together` and `bundle`, as in the API.

        Raises:
            RuntimeError: the server refused the request.
        """
        return self._post("/locate", photos, options)["answers"]

    def batch(self, photos: Sequence[Path], **options: Any) -> list[dict[str, Any]]:  # noqa: ANN401
        """Return the answers for many photos: submit a batch and poll it until it is done."""
        batch = self._post("/batch", photos, options)
        while batch["state"] in ("waiting", "running"):
            time.sleep(POLL_S)
            batch = self._checked(self._http.get(f"/batch/{batch['id']}"))
        if batch["error"]:
            raise RuntimeError(batch["error"])
        return batch["answers"]

    def _post(self, path: str, photos: Sequence[Path], options: dict[str, Any]) -> dict[str, Any]:
        files = [("photos", (photo.name, photo.read_bytes())) for photo in photos]
        return self._checked(self._http.post(path, files=files, data=options))

    def _checked(self, response: httpx.Response) -> dict[str, Any]:
        body: dict[str, Any] = response.json()
        if response.is_error:
            raise RuntimeError(f"{body['error']} (request {body['request_id']})")
        return body


def main() -> None:
    """Locate the photos named on the command line and print one line for each."""
    client = Client(os.environ.get("GEOLOC_ADDRESS", ADDRESS), os.environ.get("GEOLOC_API_KEY"))
    for answer in client.locate([Path(name) for name in sys.argv[1:]]):
        guess = answer["guess"]
        if guess is None:
            print(answer["error"], file=sys.stderr)
        else:
            place = ", ".join(filter(None, map(guess["place"].get, ("town", "region", "country"))))
            print(f"{answer['photo']}: {place}, within {guess['radius_80_km']:.0f} km (80 %)")


if __name__ == "__main__":
    main()
