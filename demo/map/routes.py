"""Files of the map under /map: library, style and tiles, which browsers keep."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from demo.compression import Compressed, accepted_encoding
from demo.map import base_map
from geoloc.errors import GeolocError
from geoloc.output import map as component
from geoloc.output.map import names
from geoloc.output.map.base import base_map as embedded

if TYPE_CHECKING:
    from fastapi import FastAPI

FILES = Path(component.__file__).parent / "templates"

MEDIA_TYPES = {
    "maplibre-gl.js": "text/javascript",
    "planet_map.js": "text/javascript",
    "light_map.js": "text/javascript",
    "pins.js": "text/javascript",
    "drawing.js": "text/javascript",
    "map.css": "text/css",
    "maplibre-gl.LICENSE.txt": "text/plain",
}
"""The files that are served, and nothing else of the folder."""

TILES: dict[str, tuple[Callable[[int, int, int], bytes], int]] = {
    "borders": (base_map.borders, base_map.BORDERS_MAX_ZOOM),
    "names": (base_map.names, base_map.NAMES_MAX_ZOOM),
}

KEPT = "public, max-age=31536000, immutable"
"""Addresses contain `version`, which changes with the files."""


@dataclass(frozen=True)
class OwnTiles:
    """Tiles of streets or a satellite that the owner of the server named."""

    url: str
    """With {z}, {x} and {y}."""
    credit: str = ""

    def __post_init__(self) -> None:
        """Check the address.

        Raises:
            GeolocError: it is no address of tiles.
        """
        given = urlsplit(self.url)
        placed = all(mark in self.url for mark in ("{z}", "{x}", "{y}"))
        if given.scheme not in ("http", "https") or not given.netloc or not placed:
            example = "https://tiles.example.org/{z}/{x}/{y}.png"
            raise GeolocError(f"{self.url}: no address of map tiles; write it as {example}")

    @property
    def origin(self) -> str:
        """The server of the tiles, as browsers name it."""
        given = urlsplit(self.url)
        return f"{given.scheme}://{given.netloc}"


@cache
def version() -> str:
    """Return a mark of the files and of the base map, for their addresses."""
    content = hashlib.sha256()
    for path in (*map(FILES.joinpath, MEDIA_TYPES), Path(base_map.__file__), Path(names.__file__)):
        content.update(path.read_bytes())
    return content.hexdigest()[:12]


def add_map(app: FastAPI, tiles: OwnTiles | None = None) -> None:
    """Serve the files of the map below /map of an application.

    Args:
        app: the application.
        tiles: shown above the base map; None shows the base map alone, and nothing is loaded from
            other servers.
    """

    async def settings(request: Request) -> Response:
        content = json.dumps(_settings(tiles)).encode()
        return _reply(request, Compressed(content), "application/json")

    for path, reply in (
        ("/map/{mark}/settings.json", settings),
        ("/map/{mark}/base.json", _base_reply),
        ("/map/{mark}/{kind}/{zoom:int}/{column:int}/{row:int}.mvt", _tile_reply),
        ("/map/{mark}/{name}", _file_reply),
    ):
        app.router.routes.append(Route(path, reply, methods=["GET", "HEAD"]))


async def _base_reply(request: Request) -> Response:
    return _reply(request, await asyncio.to_thread(_base), "application/json")


async def _file_reply(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in MEDIA_TYPES:
        raise HTTPException(404)
    return _reply(request, _file(name), MEDIA_TYPES[name])


async def _tile_reply(request: Request) -> Response:
    asked = request.path_params
    make, max_zoom = TILES.get(asked["kind"], (base_map.borders, -1))
    at = asked["zoom"], asked["column"], asked["row"]
    if not base_map.exists(*at, max_zoom):
        raise HTTPException(404)
    content = Compressed(await asyncio.to_thread(make, *at))
    return _reply(request, content, "application/vnd.mapbox-vector-tile")


def _settings(tiles: OwnTiles | None) -> dict[str, Any]:
    """Return what planet_map.js has to know of the server."""
    return {
        "bordersMaxZoom": base_map.BORDERS_MAX_ZOOM,
        "namesMaxZoom": base_map.NAMES_MAX_ZOOM,
        "tiles": {"url": tiles.url, "credit": tiles.credit} if tiles else None,
    }


@cache
def _base() -> Compressed:
    """Return the base map of the light form, for browsers without WebGL."""
    return Compressed(json.dumps(embedded(), ensure_ascii=False).encode())


@cache
def _file(name: str) -> Compressed:
    return Compressed((FILES / name).read_bytes())


def _reply(request: Request, content: Compressed, media_type: str) -> Response:
    headers = {"Cache-Control": KEPT, "Vary": "Accept-Encoding"}
    encoding = accepted_encoding(request.headers.get("accept-encoding", ""))
    if encoding:
        headers["Content-Encoding"] = encoding
    return Response(content.encoded(encoding), headers=headers, media_type=media_type)
