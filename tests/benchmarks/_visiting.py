"""A visitor of the page without a browser: sends the requests that a browser sends."""

from __future__ import annotations

import http.client
import json
import math
import re
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

CONNECTIONS = 6
"""That a browser opens to one server."""

CONFIG = re.compile(r"window\.gradio_config = (\{.*?\});</script>", re.S)
FILES = re.compile(r'(?:href|src)="\.?(/(?:assets|static|theme)[^"]+)"')
MAP = re.compile(r"map/[0-9a-f]{12}/")
TILES = [("borders", zoom) for zoom in (2, 5, 7)] + [("names", zoom) for zoom in (2, 5, 8, 10)]
BOUNDARY = "visitor"


class Visitor:
    """One visit: loads the page with its files, uploads photos, and waits for their answer."""

    def __init__(self, host: str, port: int) -> None:
        """Load the page and what it is made of."""
        self._address = host, port
        self._session = uuid.uuid4().hex[:11]
        page = self._send("GET", "/").decode()
        found = CONFIG.search(page)
        if found is None:
            raise RuntimeError("the page holds no configuration of gradio")
        config = json.loads(found[1])
        self._events = config["dependencies"]
        parts = config["components"]
        self._values = {each["id"]: each["props"].get("value") for each in parts}
        self._drop = next(
            each["id"] for each in parts if "drop-part" in (each["props"].get("elem_classes") or ())
        )
        self._map = "/" + MAP.search(json.dumps(parts))[0]
        self._load([*FILES.findall(page), self._map + "settings.json", self._map + "map.css"])

    def answer(self, photos: Sequence[Path]) -> int:
        """Upload photos, and return the bytes of their answer before compression."""
        paths = [self._upload(photo) for photo in photos]
        self._values[self._drop] = {"paths": paths, "run": self._session}
        waiting = [e for e in self._events if [self._drop, "upload"] in e["targets"]]
        replies = []
        while waiting:
            event = waiting.pop(0)
            replies.append(self._run(event))
            waiting += [e for e in self._events if e["trigger_after"] == event["id"]]
        text = b"".join(replies).decode()
        lat, lon = map(float, re.findall(r'"(?:lat|lon)": ?(-?[\d.]+)', text)[:2])
        self._load([self._map + _tile(kind, zoom, lat, lon) for kind, zoom in TILES])
        return len(text)

    def _run(self, event: dict[str, Any]) -> bytes:
        body = {
            "data": [self._values.get(part) for part in event["inputs"]],
            "fn_index": event["id"],
            "session_hash": self._session,
        }
        return self._send("POST", "/gradio_api/run/predict", json.dumps(body).encode())

    def _upload(self, photo: Path) -> str:
        head = (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files";'
            f' filename="{photo.name}"\r\n\r\n'
        )
        form = head.encode() + photo.read_bytes() + f"\r\n--{BOUNDARY}--\r\n".encode()
        media_type = f"multipart/form-data; boundary={BOUNDARY}"
        return json.loads(self._send("POST", "/gradio_api/upload", form, media_type))[0]

    def _load(self, paths: Sequence[str]) -> None:
        with ThreadPoolExecutor(CONNECTIONS) as threads:
            list(threads.map(lambda path: self._send("GET", path), paths))

    def _send(
        self, method: str, path: str, body: bytes = b"", media_type: str = "application/json"
    ) -> bytes:
        connection = http.client.HTTPConnection(*self._address)
        try:
            connection.request(method, path, body, {"Content-Type": media_type})
            reply = connection.getresponse()
            content = reply.read()
        finally:
            connection.close()
        if reply.status != 200:
            raise RuntimeError(f"{method} {path}: {reply.status} {content[:300]!r}")
        return content


def _tile(kind: str, zoom: int, lat: float, lon: float) -> str:
    """Return the address of the tile around a place."""
    mercator = math.asinh(math.tan(math.radians(max(-85.0, min(85.0, lat)))))
    column = int((lon + 180.0) / 360.0 * 2**zoom) % 2**zoom
    row = int((0.5 - mercator / (2.0 * math.pi)) * 2**zoom)
    return f"{kind}/{zoom}/{column}/{row}.mvt"
