"""Servers as processes of their own, and how to talk to them."""

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

from demo.api import routes
from demo.api.limits import Limits
from demo.page.app import build
from demo.page.theme import appearance

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


class Running:
    """A server: where it listens, what it wrote, and where its temporary files are."""

    def __init__(self, process, log: Path, temporary: Path) -> None:
        self.process, self.log, self.temporary = process, log, temporary
        self.address = re.search(r"http://\S+", process.stdout.readline())[0]
        self.client = httpx.Client(base_url=self.address, timeout=60)

    def stop(self, sig=signal.SIGTERM) -> int:
        self.process.send_signal(sig)
        return self.process.wait(60)

    def files(self) -> list[Path]:
        return [path for path in self.temporary.rglob("*") if path.is_file()]


@contextmanager
def running(*command, **environment):
    """A program that prints its address on its first line, until the end of the block."""
    with tempfile.TemporaryDirectory() as scratch:
        temporary, log = Path(scratch) / "tmp", Path(scratch) / "log"
        temporary.mkdir()
        paths = os.pathsep.join([str(ROOT), str(HERE)])
        env = {**os.environ, "PYTHONPATH": paths, "TMPDIR": str(temporary), **environment}
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
    """The service with the geolocator that reads colours."""
    return running(HERE / "fake_service.py", json.dumps(options))


@contextmanager
def mounted(geolocators, **options):
    """Page and API around geolocators of this process: their address."""
    import uvicorn

    page = build(geolocators, **options)
    service = routes.create(geolocators, limits=Limits(), page=page, appearance=appearance())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(service, log_config=None, timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        serving = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        serving.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            server.should_exit = True
            serving.join()


def jpeg(image: Image.Image, kind: str = "JPEG", **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def photos(*contents, names=None):
    """The multipart form of photos."""
    names = names or [f"{number}.jpg" for number in range(len(contents))]
    return [("photos", (name, content)) for name, content in zip(names, contents, strict=True)]
