"""Demo servers for tests: as processes, or in a thread of the test."""

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

import httpx
from PIL import Image

from demo.api import application
from demo.api.limits import Limits
from demo.page.app import build
from demo.page.theme import appearance
from demo.security.sandbox import OWNED

ROOT = Path(__file__).parents[2]


class Running:
    """A running server process: its address, log and temporary folder."""

    def __init__(self, process, log: Path, temporary: Path) -> None:
        self.process, self.log, self.temporary = process, log, temporary
        self.address = re.search(r"http://\S+", process.stdout.readline())[0]
        self.client = httpx.Client(base_url=self.address, timeout=60)

    def stop(self, sig=signal.SIGTERM) -> int:
        self.process.send_signal(sig)
        return self.process.wait(60)

    def files(self) -> list[Path]:
        """Return the files that visitors left on the server."""
        found = [path for path in self.temporary.rglob("*") if path.is_file()]
        return [path for path in found if path.name != OWNED]


@contextmanager
def running(*command, **environment):
    """Run a server that prints its address on the first line; kill it at the end of the block."""
    with tempfile.TemporaryDirectory() as scratch:
        temporary, log = Path(scratch) / "tmp", Path(scratch) / "log"
        temporary.mkdir()
        env = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary), **environment}
        with log.open("w") as err:
            process = subprocess.Popen(
                [sys.executable, *map(str, command)],
                env=env, cwd=scratch, stdout=subprocess.PIPE, stderr=err, text=True,
            )  # fmt: skip
        try:
            server = Running(process, log, temporary)
            yield server
            server.client.close()
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            process.stdout.close()


def fake(**options):
    """Run the service of `fake_service`."""
    return running("-m", "tests.demo.fake_service", json.dumps(options))


@contextmanager
def mounted(geolocators, limits=Limits(), **options):  # noqa: B008
    """Serve page and API around geolocators of this process; yield the address."""
    page = build(geolocators, limits=limits, **options)
    service = application.create(geolocators, limits=limits, page=page, appearance=appearance())
    with in_thread(service) as port:
        yield f"http://127.0.0.1:{port}/"


@contextmanager
def in_thread(app, **options):
    """Serve an ASGI application in a thread; yield its port on this machine."""
    import uvicorn

    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1, **options)
        server = uvicorn.Server(config)
        serving = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        serving.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            serving.join()


def jpeg(image: Image.Image, kind: str = "JPEG", **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def photos(*contents, names=None):
    """Return the multipart form fields of photos."""
    names = names or [f"{number}.jpg" for number in range(len(contents))]
    return [("photos", (name, content)) for name, content in zip(names, contents, strict=True)]
