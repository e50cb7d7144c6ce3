"""Local servers of bundles: a static one that fails on request, and a Hugging Face Hub."""

import functools
import hashlib
import http.server
import json
import mmap
import socket
import struct
import threading
from urllib.parse import unquote, urlsplit


class Publisher(http.server.ThreadingHTTPServer):
    """Serves the files of a folder under /world/ and records the requests.

    The attributes `status`, `close_after`, `reset_after` and `hang_after` name, by file, a fault:
    an HTTP status, or the number of bytes after which the connection fails.
    """

    daemon_threads = True
    ranges = True  # supports requests for a part of a file
    sends_length = True

    def __init__(self, folder, handler=None):
        super().__init__(("127.0.0.1", 0), handler or StaticHandler)
        self.folder, self.prefix = folder, "/world/"
        self.status, self.close_after, self.reset_after, self.hang_after = {}, {}, {}, {}
        self.requests, self.over = [], threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.address = self.url + self.prefix

    def handle_error(self, request, client_address):
        """Ignore clients that close the connection."""

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.shutdown()
        self.server_close()


class StaticHandler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        """Print nothing."""

    def do_GET(self):
        server, name = self.server, unquote(self.path.rpartition("/")[2])
        server.requests.append((name, self.headers["Range"]))
        path = server.folder / name
        if name in server.status or not path.is_file() or not self.path.startswith(server.prefix):
            return self.send_error(server.status.get(name, 404))
        content = path.read_bytes()
        self.send_part(name, content, {})

    def send_part(self, name, content, headers):
        """Send the part of a file that is asked for, or the whole."""
        server, first, end = self.server, 0, len(content)
        asked = self.headers["Range"] if server.ranges else None
        if asked:
            start, _, last = asked.removeprefix("bytes=").partition("-")
            first, end = int(start), int(last or end - 1) + 1
            if first >= len(content):
                return self.send_error(416)
        self.send_response(206 if asked else 200)
        if server.sends_length:
            self.send_header("Content-Length", str(end - first))
        if server.ranges:
            self.send_header("Accept-Ranges", "bytes")
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{end - 1}/{len(content)}")
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.send(name, content[first:end])

    def send(self, name, content):
        server = self.server
        for failing in (server.close_after, server.reset_after, server.hang_after):
            if name in failing:
                self.wfile.write(content[: failing[name]])
                self.wfile.flush()
                if failing is server.reset_after:
                    server.over.wait(1)  # a reset discards what the client has not read yet
                    self.connection.setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                    )
                    self.connection.close()
                elif failing is server.hang_after:
                    server.over.wait(60)
                return
        self.wfile.write(content)


class Hub(Publisher):
    """The part of the Hugging Face Hub that huggingface_hub asks for one model repository."""

    sha = "1234567890abcdef1234567890abcdef12345678"

    def __init__(self, folder, repository):
        super().__init__(folder, HubHandler)
        self.repository = repository


class HubHandler(StaticHandler):
    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        server, path = self.server, unquote(urlsplit(self.path).path)
        api = f"/api/models/{server.repository}"
        every = sorted(each for each in server.folder.rglob("*") if each.is_file())
        files = {each.relative_to(server.folder).as_posix(): each for each in every}
        if path.startswith(f"{api}/revision/") and path.rpartition("/")[2] not in (
            server.sha,
            "main",
        ):
            return self.missing("RevisionNotFound")
        if path in (api, f"{api}/revision/{server.sha}", f"{api}/revision/main"):
            siblings = [{"rfilename": n, "size": f.stat().st_size} for n, f in files.items()]
            return self.answer({"id": server.repository, "sha": server.sha, "siblings": siblings})
        if path == f"{api}/tree/{server.sha}":
            rows = [
                {"type": "file", "path": n, "size": f.stat().st_size, "oid": etag(f)}
                for n, f in files.items()
            ]
            return self.answer(rows)
        prefix = f"/{server.repository}/resolve/{server.sha}/"
        name = path.removeprefix(prefix)
        if not path.startswith(prefix) or name not in files:
            return self.missing()
        content = mapped(files[name])
        if self.command == "GET":
            server.requests.append((name, self.headers["Range"]))
        tag = f'"{etag(files[name])}"'
        self.send_part(name, content, {"X-Repo-Commit": server.sha, "ETag": tag})

    def missing(self, kind="RepoNotFound"):
        self.send_response(404)
        self.send_header("X-Error-Code", kind)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def answer(self, value):
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


class DatasetHub(Publisher):
    """The part of the Hugging Face Hub that reading files of one data set in place asks for."""

    sha = Hub.sha

    def __init__(self, folder, repository):
        super().__init__(folder, DatasetHandler)
        self.repository = repository


class DatasetHandler(HubHandler):
    def do_GET(self):
        server, path = self.server, unquote(urlsplit(self.path).path)
        files = {each.name: each for each in sorted(server.folder.iterdir())}
        api = f"/api/datasets/{server.repository}"
        if path == api or path.startswith(f"{api}/revision/"):
            siblings = [{"rfilename": name} for name in files]
            return self.answer({"id": server.repository, "sha": server.sha, "siblings": siblings})
        if path.startswith(f"{api}/tree/"):
            return self.answer(self.rows(files))
        name = path.rpartition("/")[2]
        if not path.startswith(f"/datasets/{server.repository}/resolve/") or name not in files:
            return self.missing()
        tag = f'"{etag(files[name])}"'
        headers = {"X-Repo-Commit": server.sha, "ETag": tag}
        self.send_part(name, files[name].read_bytes(), headers)

    def do_POST(self):
        """Say what is known of some paths."""
        server = self.server
        asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
        found = {each.name: each for each in server.folder.iterdir() if each.name in unquote(asked)}
        self.answer(self.rows(found))

    def rows(self, files):
        return [
            {"type": "file", "path": name, "size": file.stat().st_size, "oid": etag(file)}
            for name, file in files.items()
        ]


def mapped(path):
    """Return the content of a file, of which only the part that is sent takes memory."""
    if not path.stat().st_size:
        return b""
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def etag(path):
    """Return the name of a file's content, as git has one."""
    return _digest(path, path.stat().st_mtime_ns)


@functools.cache
def _digest(path, _):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha1").hexdigest()
