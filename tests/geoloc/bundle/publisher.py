"""A server of bundles that fails as asked."""

import http.server
import socket
import struct
import threading
from urllib.parse import unquote


class Publisher(http.server.ThreadingHTTPServer):
    """Serves the files of a folder under /world/, and remembers what it was asked for.

    Attributes `status`, `close_after`, `reset_after`, `hang_after`: by file, what goes wrong.
    """

    daemon_threads = True
    ranges = True  # answers requests for a part of a file
    tells_length = True

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), Answer)
        self.folder, self.prefix = folder, "/world/"
        self.status, self.close_after, self.reset_after, self.hang_after = {}, {}, {}, {}
        self.asked, self.over = [], threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.address = self.url + self.prefix

    def handle_error(self, request, client_address):
        """Somebody who hangs up is no news."""

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.shutdown()
        self.server_close()


class Answer(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        """Nothing on the terminal."""

    def do_GET(self):
        server, name = self.server, unquote(self.path.rpartition("/")[2])
        server.asked.append((name, self.headers["Range"]))
        path = server.folder / name
        if name in server.status or not path.is_file() or not self.path.startswith(server.prefix):
            return self.send_error(server.status.get(name, 404))
        content, first = path.read_bytes(), 0
        if server.ranges and self.headers["Range"]:
            first = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
            if first >= len(content):
                return self.send_error(416)
        self.send_response(206 if first else 200)
        if server.tells_length:
            self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        self.send(name, content[first:])

    def send(self, name, content):
        server = self.server
        for failing in (server.close_after, server.reset_after, server.hang_after):
            if name in failing:
                self.wfile.write(content[: failing[name]])
                self.wfile.flush()
                if failing is server.reset_after:
                    server.over.wait(1)  # what is not read yet is lost with a reset
                    self.connection.setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                    )
                    self.connection.close()
                elif failing is server.hang_after:
                    server.over.wait(60)
                return
        self.wfile.write(content)
