"""A small Immich server on loopback that keeps the documented requests and answers."""

import base64
import hashlib
import json
import re
import threading
import uuid
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = "key-of-the-test"
UPDATABLE = {
    "dateTimeOriginal", "description", "isFavorite", "latitude", "livePhotoVideoId", "longitude",
    "rating", "visibility",
}  # fmt: skip
"""Fields of UpdateAssetDto."""


class Server:
    """Photos of one user, and the requests that came."""

    def __init__(self, page_size: int = 1000) -> None:
        self.assets: dict[str, dict] = {}
        self.content: dict[str, bytes] = {}
        self.requests: list[tuple[str, str]] = []
        self.page_size = page_size
        self.url = ""

    def add(self, name: str, content: bytes, **exif) -> str:
        """Add a photo with fields of ExifResponseDto; returns its id."""
        id_ = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{name} {len(self.assets)}"))
        sha1 = hashlib.sha1(content, usedforsecurity=False).digest()
        self.content[id_] = content
        self.assets[id_] = {
            "id": id_, "type": "IMAGE", "originalFileName": name,
            "checksum": base64.b64encode(sha1).decode("ascii"), "isTrashed": False,
            "exifInfo": {"latitude": None, "longitude": None, "description": "", **exif},
        }  # fmt: skip
        return id_

    def exif(self, id_: str) -> dict:
        return self.assets[id_]["exifInfo"]

    def answer(self, method: str, path: str, body: dict) -> tuple[int, object]:
        """Return status and JSON, or bytes, of a request."""
        if (method, path) == ("POST", "/api/search/metadata"):
            size = min(body["size"], self.page_size)
            start = (body["page"] - 1) * size
            found = [each for each in self.assets.values() if each["type"] == body["type"]]
            following = str(body["page"] + 1) if start + size < len(found) else None
            items = found[start : start + size]
            assert body["withExif"] is True
            return 200, {"assets": {"items": items, "total": len(items), "count": len(items),
                                    "facets": [], "nextPage": following}}  # fmt: skip
        match = re.fullmatch(r"/api/assets/([0-9a-f-]{36})(/original)?", path)
        if match is None or match[1] not in self.assets:
            return 400, {"message": "Not found or no asset.read access", "statusCode": 400}
        if match[2]:
            return 200, self.content[match[1]]
        if method == "PUT":
            places = [body.get("latitude", 0), body.get("longitude", 0)]
            if not body.keys() <= UPDATABLE or not all(isinstance(p, int | float) for p in places):
                return 400, {"message": ["latitude must be a latitude string or number"]}
            self.exif(match[1]).update(body)
        return 200, self.assets[match[1]]


@contextmanager
def running(server: Server):
    """Serve on a free port of loopback; `server.url` is the address."""

    class Handler(BaseHTTPRequestHandler):
        def handle_one(self):
            length = int(self.headers.get("content-length", 0))
            body = json.loads(self.rfile.read(length) or b"{}")
            server.requests.append((self.command, self.path))
            status, reply = server.answer(self.command, self.path, body)
            if self.headers.get("x-api-key") != KEY:
                status, reply = 401, {"message": "Invalid API key", "statusCode": 401}
            content = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = handle_one

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        server.url = f"http://127.0.0.1:{http.server_port}"
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()
