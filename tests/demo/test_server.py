"""The command `geoloc-demo`: options, answers, uploads and isolation."""

import json
import os
import re
import secrets
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from demo.api.inference import ConcurrentGeolocator
from demo.security.grid import snap
from geoloc.bundle import directory as bundles
from geoloc.client import Answer, Client, Question, ServiceError
from geoloc.geolocator import Geolocator
from tests.demo.fake_service import photo_of, place_of
from tests.demo.hostile import BOUNDARY, form, part, request
from tests.demo.services import ROOT, fake, jpeg, photos, running

pytest.importorskip("gradio", reason="the demo extra is not installed")

PRECISION_KM = 100.0


@pytest.fixture(scope="module")
def starter():
    return Geolocator.from_bundle("starter")


@pytest.fixture(scope="module")
def command():
    """The real command with its page, on a free port."""
    options = ["--port", "0", "--max-precision-km", PRECISION_KM]
    with running("-m", "demo.server", *options, GEOLOC_API_KEY="key") as server:
        server.client.headers["X-API-Key"] = "key"
        yield server
        assert server.stop() == 0
        assert [*server.temporary.iterdir()] == []


def noise(seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 255, (6, 9, 3), np.uint8))
    return jpeg(small.resize((180, 120)), "PNG")


def test_page_and_api_share_a_port_and_answers_are_blurred(command, starter):
    assert "gradio" in command.client.get("/").text
    reply = command.client.post("/v1/locate", files=photos(noise(0)), data={"top": 3}).json()
    guess, exact = reply["answers"][0]["guess"], starter.locate(noise(0))
    (expected,), _ = snap([(exact.lat, exact.lon)], PRECISION_KM)
    assert (guess["lat"], guess["lon"]) == pytest.approx(expected)
    assert guess["neighbours"] == guess["region"] == []
    assert guess["radius_80_km"] > exact.radius_80_km


def test_the_python_client_locates_streams_and_batches(command, tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for number, path in enumerate(paths):
        path.write_bytes(noise(number))
    australia = Question(within="Australia", top=2)
    with Client(command.address, "key") as client:
        assert client.bundles() == ["starter"]
        answers = client.locate(paths, australia)
        assert {answer.guess.place.country for answer in answers} <= {"Australia"}
        assert client.batch(paths, australia) == answers
        broken = Answer("text.jpg", None, "text.jpg: not a picture")
        *streamed, last = client.stream([*paths, ("text.jpg", b"text")], australia)
        assert streamed == answers
        assert (last.photo, last.guess, last.error[:23]) == tuple(vars(broken).values())
        with pytest.raises(
            ServiceError, match=r'"Lilliput" is no country, region or town.*request '
        ):
            client.locate(paths, Question(within="Lilliput"))
        with pytest.raises(ServiceError, match="from the picture alone"):
            client.locate(paths, Question(shadow="1:1", time="2024-06-01T10:30Z"))
    printed = subprocess.run(
        [sys.executable, "-m", "geoloc.client", paths[0]], capture_output=True, text=True,
        check=True, cwd=ROOT,
        env={**os.environ, "GEOLOC_ADDRESS": command.address, "GEOLOC_API_KEY": "key"},
    )  # fmt: skip
    assert re.fullmatch(r"0\.png: .*, within \d+ km \(80 %\)\n", printed.stdout)
    nobody = subprocess.run(
        [sys.executable, "-m", "geoloc.client", paths[0]], capture_output=True, text=True,
        cwd=ROOT, env={**os.environ, "GEOLOC_ADDRESS": "http://127.0.0.1:9"},
    )  # fmt: skip
    assert (nobody.returncode, len(nobody.stderr.splitlines())) == (2, 1)


def test_a_quiet_server_prints_its_address_and_errors_only():
    with running("-m", "demo.server", "--port", "0", "--no-page", "--quiet") as server:
        assert server.client.get("/v1/health").status_code == 200
        assert server.stop() == 0
        assert server.log.read_text() == ""
        assert server.process.stdout.read() == ""


def test_concurrent_requests_get_the_same_answers_as_single_ones(starter):
    concurrent = ConcurrentGeolocator(bundles.load("starter"))
    requests = [(noise(n), 1 + n % 5, (None, "Australia", "France")[n % 3]) for n in range(24)]
    with ThreadPoolExecutor(24) as threads:
        guesses = list(threads.map(lambda request: concurrent.locate(*request), requests))
    for arguments, guess in zip(requests, guesses, strict=True):
        alone = starter.locate(*arguments)
        assert (guess.place, guess.within) == (alone.place, alone.within)
        assert len(guess.candidates) == len(alone.candidates)
        assert guess.chance_200km == pytest.approx(alone.chance_200km, rel=1e-3)
        assert guess.radius_80_km == pytest.approx(alone.radius_80_km, rel=1e-2)


@pytest.fixture(scope="module")
def page():
    with fake(page=True, limits={"upload_mb": 2, "receive_s": 5, "keep_s": 2}) as server:
        yield server


@contextmanager
def forbidden_server():
    """Run a server that must not be called; yield its address and the list of callers."""
    callers = []

    def accept():
        while True:
            try:
                connection, caller = listener.accept()
            except OSError:
                return
            callers.append(caller)
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", callers


def send_path_everywhere(server, path: str) -> str:
    """Send a path as an upload to every event of the page; return all responses as text."""
    config = server.client.get("/config").json()
    parts = {component["id"]: component for component in config["components"]}
    file = {"path": path, "orig_name": "x.jpg", "meta": {"_type": "gradio.FileData"}}
    values = {"html": {"paths": [path]}, "image": file, "file": [file]}

    def send(event) -> str:
        inputs = [parts[component] for component in event["inputs"]]
        body = {
            "data": [values.get(part["type"], part["props"].get("value")) for part in inputs],
            "event_data": {"paths": [path]},
            "fn_index": event["id"],
            "session_hash": secrets.token_hex(8),
        }
        return server.client.post("/gradio_api/run/predict", json=body).text

    events = [event for event in config["dependencies"] if event["backend_fn"]]
    with ThreadPoolExecutor(8) as threads:
        responses = "".join(threads.map(send, events))
    assert '"is_generating":false' in responses
    return responses


def test_the_page_downloads_nothing_and_reads_only_uploaded_files(page, tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(jpeg(photo_of(100), "PNG"))
    longitude = f"{place_of(100)[1]:.3f}"
    mine = {"files": ("mine.png", secret.read_bytes())}
    uploaded = page.client.post("/gradio_api/upload", files=mine).json()
    assert longitude in send_path_everywhere(page, uploaded[0])
    with forbidden_server() as (address, callers):
        for path in (str(secret), f"{address}/x.jpg", "https://example.org/x.jpg", "/etc/passwd"):
            assert longitude not in send_path_everywhere(page, path)
        for path in (f"file={address}/x", f"file=%20{address}/x", f"file={secret}",
                     "file=/etc/passwd", f"proxy={address}", "proxy=https://x.hf.space/y",
                     "run-history/buckets", "vibe-code", "queue/data", "queue/join",
                     "deep_link?session_hash=x", "dev/reload"):  # fmt: skip
            refused = page.client.get(f"/gradio_api/{path}")
            assert refused.status_code in (403, 404), path
        constraint = {"within": f"{address}/x.geojson"}
        page.client.post("/v1/locate", files=photos(jpeg(photo_of(1))), data=constraint)
        assert callers == []


def test_uploads_are_limited_named_safely_and_deleted_in_time(page):
    host, port = page.address.removeprefix("http://").split(":")
    whole = request(
        form(part(bytes(500_000), 'name="files"; filename="../../../x.jpg"')),
        target="/gradio_api/upload",
    )
    named = page.client.post("/gradio_api/upload", files=[("files", ("../../x.jpg", b"x"))])
    (name,) = named.json()
    assert re.fullmatch(r"[0-9a-f]{64}/x\.jpg", name)
    assert [path for path in page.files() if path.match(name)]
    before = page.log.read_text()
    for disposition in ('name="files"', 'filename="x"', 'name="files"; filename=""'):
        strange = page.client.post(
            "/gradio_api/upload",
            content=form(part(b"x", disposition)),
            headers={"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"},
        )
        assert strange.status_code in (200, 400)
    assert "Traceback" not in page.log.read_text().removeprefix(before)
    too_large = page.client.post("/gradio_api/upload", files={"files": bytes(3_000_000)})
    assert too_large.status_code == 413
    broken_off = [socket.create_connection((host, int(port))) for _ in range(2)]
    for line in broken_off:
        line.sendall(whole[:-100])
    broken_off[0].close()  # one disconnects, the other stays silent
    assert b" 408 " in broken_off[1].recv(65536)
    broken_off[1].close()
    whole_upload = re.compile(r".*/[0-9a-f]{64}/.*")  # whole uploads lie in a folder of their hash
    while [path for path in page.files() if not whole_upload.match(str(path))]:
        threading.Event().wait(0.1)  # until the time limit of the test
    assert page.stop() == 0
    assert [*page.temporary.iterdir()] == []
    assert "x.jpg" not in page.log.read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--port", "0", "--bundle", "no such bundle"],
            "geoloc-demo: no such bundle: no such bundle; give",
        ),
        (
            ["--port", "0", "--bundle", "starter", "--bundle", "starter"],
            "a second bundle 'starter'; rename",
        ),
        (["--port", "http"], "--port"),
        (["--host", "300.1.1.1"], "cannot listen on 300.1.1.1, port 7860"),
        (["--prot"], "--prot"),
    ],
)
def test_invalid_options_are_explained(options, message):
    refused = start(*options)
    assert refused.returncode == 2
    assert message in refused.stderr + refused.stdout
    assert "Traceback" not in refused.stderr


def test_a_port_in_use_is_reported():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = start("--port", port)
    assert refused.returncode == 2
    assert refused.stderr == (
        f"geoloc-demo: cannot listen on 127.0.0.1, port {port} (Address already in use);"
        " choose another port with --port\n"
    )


@pytest.mark.parametrize("missing", ["gradio", "fastapi"])
def test_a_missing_extra_is_reported_in_one_line(missing):
    code = f"import sys; sys.modules[{missing!r}] = None; from demo.server import main; main()"
    refused = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert refused.stderr == (
        f"geoloc-demo: {missing} is not installed: run  pip install 'planet-geoloc[demo]'\n"
    )


def start(*options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "demo.server", *map(str, options)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def test_the_openapi_document_needs_no_key(command):
    assert json.loads(command.client.get("/v1/openapi.json").text)["openapi"].startswith("3.")
