"""An Immich server as a library: its photos in a folder, and places written back.

The API is the documented one of Immich 1.106 and newer: `POST /api/search/metadata`,
`GET /api/assets/{id}`, `GET /api/assets/{id}/original` and `PUT /api/assets/{id}`.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geoloc.errors import GeolocError
from geoloc.io.atomic import atomic_path
from geoloc.io.progress import Reporter
from geoloc.output.tagging import Estimate
from geoloc.photos.discover import is_photo
from geoloc.photos.position import ESTIMATE_METHOD, is_position
from geoloc.trips.review.changes import Change, ChangeLog
from geoloc.trips.review.decisions import Fitting

if TYPE_CHECKING:
    import httpx

KEY_VARIABLE = "IMMICH_API_KEY"

POSITIONS = "immich-positions.csv"
"""File in the folder of downloads: the positions that the server has."""

PAGE_SIZE = 250
TIMEOUT_S = 60.0
_FIELDS = ("latitude", "longitude", "description")
_SAME_DEG = 1e-6
_ID = re.compile(r"[0-9a-fA-F-]{36}")


@dataclass(frozen=True, slots=True)
class Asset:
    """A photo of the server."""

    id: str
    name: str
    sha1: str
    """Of the original, base64, as the server gives it."""
    latitude: float | None
    longitude: float | None
    description: str

    @classmethod
    def from_json(cls, values: Any) -> Asset:  # noqa: ANN401
        """Return the asset of an AssetResponseDto.

        Raises:
            KeyError, TypeError, ValueError: it is none.
        """
        exif = values.get("exifInfo") or {}
        if not _ID.fullmatch(values["id"]):
            raise ValueError(f"asset id {values['id']!r}")
        name = Path(values["originalFileName"]).name
        place = (exif.get("latitude"), exif.get("longitude"))
        return cls(values["id"], name, values["checksum"], *place, exif.get("description") or "")

    @property
    def path(self) -> str:
        """Path in the folder of downloads: names repeat on a server, ids do not."""
        return f"{self.id}/{self.name}"

    @property
    def has_position(self) -> bool:
        """Whether there is a position that is not an estimate of this program."""
        if self.latitude is None or self.longitude is None or ESTIMATE_METHOD in self.description:
            return False
        return bool(is_position(np.array([[self.latitude, self.longitude]], np.float64))[0])


class Immich:
    """A client of an Immich server."""

    def __init__(self, url: str) -> None:
        """Prepare to ask a server; the key is in the environment variable IMMICH_API_KEY.

        Args:
            url: address of the server, with or without /api.

        Raises:
            GeolocError: there is no key.
        """
        import httpx

        key = os.environ.get(KEY_VARIABLE, "")
        if not key:
            raise GeolocError(f"{url}: needs a key; create one in Immich and set {KEY_VARIABLE}")
        self.url = url.rstrip("/").removesuffix("/api")
        self._client = httpx.Client(headers={"x-api-key": key}, timeout=TIMEOUT_S)

    def images(self) -> Iterator[Asset]:
        """Yield all photos of the user."""
        page: str | None = "1"
        while page:
            query = {"type": "IMAGE", "withExif": True, "page": int(page), "size": PAGE_SIZE}
            with self._explained():
                reply = self._request("POST", "/search/metadata", json=query).json()["assets"]
                found, page = [Asset.from_json(each) for each in reply["items"]], reply["nextPage"]
            yield from found

    def asset(self, id_: str) -> Asset:
        """Return one photo."""
        with self._explained():
            return Asset.from_json(self._request("GET", f"/assets/{id_}").json())

    def download(self, asset: Asset, file: Path) -> None:
        """Write the original of a photo; raises OSError if it cannot be written."""
        file.parent.mkdir(parents=True, exist_ok=True)
        with self._explained():
            content = self._request("GET", f"/assets/{asset.id}/original").content
        with atomic_path(file) as temporary:
            temporary.write_bytes(content)

    def update(self, id_: str, fields: dict[str, Any]) -> None:
        """Change fields of a photo."""
        with self._explained():
            self._request("PUT", f"/assets/{id_}", json=fields)

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401
        reply = self._client.request(method, f"{self.url}/api{path}", **options)
        if reply.status_code in (401, 403):
            raise GeolocError(f"{self.url}: refused the key in {KEY_VARIABLE}; it needs the rights"
                              " asset.read, asset.download and asset.update")  # fmt: skip
        reply.raise_for_status()
        return reply

    @contextmanager
    def _explained(self) -> Iterator[None]:
        import httpx

        try:
            yield
        except httpx.HTTPStatusError as error:
            status = f"{error.response.status_code} for {error.request.url.path}"
            raise GeolocError(f"{self.url}: answered {status}; check the address") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise GeolocError(f"{self.url}: {error}; check the address") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise GeolocError(f"{self.url}: answers unlike Immich ({error}); check the address"
                              ) from error  # fmt: skip


def fetch_library(server: Immich, folder: Path, report: Reporter) -> Path | None:
    """Download the photos of a server that are not in a folder yet.

    Args:
        server: the server.
        folder: receives `ID/NAME` for each photo, and the table POSITIONS.
        report: receives progress and problems.

    Returns:
        The table with the positions that the server has, for `--fixed`; None without any.

    Raises:
        GeolocError: the server cannot be used.
        OSError: a file cannot be written.
    """
    report.stage("downloading photos")
    folder.mkdir(parents=True, exist_ok=True)
    known = []
    for asset in server.images():
        if not is_photo(asset.name):
            report.problem(f"{asset.name}: asset {asset.id} is of a kind that is not read")
            continue
        file = folder / asset.path
        if not file.exists() or _sha1(file) != asset.sha1:
            try:
                server.download(asset, file)
            except GeolocError as error:
                report.problem(f"{asset.name}: {error}")
                continue
        if asset.has_position:
            known.append((asset.path, asset.latitude, asset.longitude))
        report.advance()
    if not known:
        return None
    table = folder / POSITIONS
    with atomic_path(table) as temporary, temporary.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([("file", "lat", "lon"), *known])
    return table


@dataclass(frozen=True, slots=True)
class Assets:
    """The places of photos on a server; their folder is one of `fetch_library`."""

    server: Immich

    def write(self, fitting: Fitting, file: Path, estimate: Estimate, log: ChangeLog) -> bool:
        """Write position and description of an asset; see `Target`.

        The description is the mark of an estimate, because an asset has no field for it.
        """
        asset = self.server.asset(file.parent.name)
        if asset.sha1 != _sha1(file):
            raise GeolocError(f"{asset.name}: differs on {self.server.url}; place it again")
        if asset.has_position:
            return False
        mark = f"{estimate.note} [{ESTIMATE_METHOD}]"
        own = "" if ESTIMATE_METHOD in asset.description else asset.description
        after = (estimate.lat, estimate.lon, f"{own}\n{mark}" if own else mark)
        before = (asset.latitude, asset.longitude, asset.description)
        change: Change = {
            "immich": self.server.url,
            "asset": asset.id,
            "before": dict(zip(_FIELDS, before, strict=True)),
            "after": dict(zip(_FIELDS, after, strict=True)),
        }
        log.append(change)
        self.server.update(asset.id, change["after"])
        log.append({"done": asset.id})
        return True


def undo_asset(change: Change) -> bool | None:
    """Restore an asset; False if it has changed since, None if there is nothing to restore.

    Immich has no call that removes a position. 0, 0 is written instead, which it and this program
    read as unknown.
    """
    server = Immich(change["immich"])
    asset = server.asset(change["asset"])
    if _is(asset, change["before"]):
        return None
    if not _is(asset, change["after"]):
        return False
    before = change["before"]
    server.update(asset.id, {**before, "latitude": before["latitude"] or 0.0,
                             "longitude": before["longitude"] or 0.0})  # fmt: skip
    return True


def _is(asset: Asset, fields: dict[str, Any]) -> bool:
    """Return whether an asset has position and description; none and 0, 0 are the same."""
    now = np.array([asset.latitude or 0.0, asset.longitude or 0.0])
    then = np.array([fields["latitude"] or 0.0, fields["longitude"] or 0.0])
    near = bool(np.abs(now - then).max() < _SAME_DEG)
    return near and asset.description == fields["description"]


def _sha1(file: Path) -> str:
    """Return the base64 sha1 of a file, which Immich identifies originals by."""
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, lambda: hashlib.sha1(usedforsecurity=False)).digest()
    return base64.b64encode(digest).decode("ascii")
