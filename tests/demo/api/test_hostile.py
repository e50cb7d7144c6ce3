import http.client
import io
import json
import select
import socket
from types import SimpleNamespace

import pytest

from tests.demo.fake_service import photo_of
from tests.demo.hostile import everything, form, part, request
from tests.demo.services import fake, jpeg, photos

pytest.importorskip("fastapi", reason="the demo extra is not installed")

LIMITS = {"upload_mb": 8, "receive_s": 1.5}
MAX_MB = 1500


@pytest.fixture(scope="module")
def server():
    with fake(limits=LIMITS) as running:
        yield running


def send(server, content: bytes) -> tuple[int, str]:
    """Return status and body; tolerate a server that closes before it has read everything."""
    host, port = server.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as line:
        try:
            line.sendall(content)
        except (BrokenPipeError, ConnectionResetError):
            pass
        received = b""
        try:
            while more := line.recv(65536):
                received += more
        except ConnectionResetError:  # it closed before it had read everything
            pass
    reply = http.client.HTTPResponse(SimpleNamespace(makefile=lambda _: io.BytesIO(received)))
    reply.begin()
    return reply.status, reply.read().decode()


def memory_mb(server) -> float:
    status = open(f"/proc/{server.process.pid}/status").read()
    return int(status.split("VmHWM:")[1].split()[0]) / 1000


def test_hostile_uploads_get_a_one_line_error_and_the_server_keeps_working(server):
    sent = everything()
    assert len(sent) >= 200
    wrong = {}
    for name, content in sent:
        status, body = send(server, content)
        error = json.loads(body).get("error", "") if body.startswith("{") else body
        if not (400 <= status < 500 and 0 < len(error) < 500 and "\n" not in error):
            wrong[name] = status, body[:300]
        assert server.process.poll() is None, name
    assert wrong == {}
    good = server.client.post("/v1/locate", files=photos(jpeg(photo_of(7))))
    assert good.status_code == 200
    assert memory_mb(server) < MAX_MB
    assert server.files() == []
    logged = server.log.read_text()
    assert "Traceback" not in logged
    assert "passwd" not in logged
    assert server.stop() == 0


def test_slow_uploads_time_out_while_other_requests_are_answered():
    with fake(limits={**LIMITS, "receive_s": 5}) as server:
        whole = request(form(part(jpeg(photo_of(1)), 'name="photos"; filename="x"')))
        host, port = server.address.removeprefix("http://").split(":")
        slow = [socket.create_connection((host, int(port))) for _ in range(20)]
        for line in slow:
            line.sendall(whole[:-200])
        good = server.client.post("/v1/locate", files=photos(jpeg(photo_of(7))))
        assert good.status_code == 200
        assert select.select(slow, [], [], 0)[0] == []  # none has been answered yet
        for line in slow:
            line.settimeout(20)
            head, _, body = line.recv(65536).partition(b"\r\n\r\n")
            body = body or line.recv(65536)
            assert b" 408 " in head
            assert "took longer than 5 s" in json.loads(body)["error"]
            line.close()
        assert server.files() == []


def test_an_upload_with_a_too_large_content_length_is_refused_before_it_is_sent(fresh_server):
    status, body = send(
        fresh_server,
        request(b"", "Content-Length: 9000000", "Expect: 100-continue", length=False),
    )
    assert status == 413
    assert json.loads(body)["error"] == (
        "more than 8 MB in one request; send fewer or smaller photos"
    )


@pytest.fixture
def fresh_server():
    with fake(limits=LIMITS) as running:
        yield running
