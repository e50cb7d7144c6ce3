"""Keys, the page's login, headers, connections and folders of a public server."""

import socket
import subprocess
import sys

import pytest

from tests.browser import TIMEOUT_MS
from tests.demo.fake_service import photo_of
from tests.demo.services import ROOT, fake, jpeg, photos
from tests.demo.states import check_state

pytest.importorskip("gradio", reason="the demo extra is not installed")

from demo.security import sandbox
from demo.security.headers import SecurityHeaders

KEY = "a key of people"


@pytest.fixture(scope="module")
def closed():
    with fake(page=True, access={"api_key": KEY}) as server:
        yield server
        assert "Traceback" not in server.log.read_text()


def log_in(server, key):
    return server.client.post("/login", data={"key": key})


def test_no_endpoint_of_the_page_answers_before_the_login(closed):
    closed.client.cookies.clear()
    start = closed.client.get("/")
    assert start.status_code == 401
    assert 'type="password"' in start.text
    assert "gradio" not in start.text
    for method, path in [
        ("GET", "/config"), ("GET", "/gradio_api/heartbeat/x"), ("GET", "/theme.css"),
        ("POST", "/gradio_api/run/predict"), ("POST", "/gradio_api/upload"), ("GET", "/login/x"),
    ]:  # fmt: skip
        reply = closed.client.request(method, path)
        assert reply.status_code == 401, path
        assert reply.json()["error"] == "log in at the start page first"
    for path in ("/v1/health", "/v1/openapi.json", "/v1/schema.json"):
        assert closed.client.get(path).status_code == 200


def test_the_login_sets_a_cookie_that_opens_page_and_api(closed):
    closed.client.cookies.clear()
    wrong = log_in(closed, "another key")
    assert (wrong.status_code, "This is not the key" in wrong.text) == (401, True)
    assert "set-cookie" not in wrong.headers
    right = log_in(closed, KEY)
    assert (right.status_code, right.headers["Location"]) == (303, "/")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= {
        each.strip() for each in right.headers["Set-Cookie"].split(";")
    }
    assert KEY not in right.headers["Set-Cookie"]
    assert "gradio" in closed.client.get("/").text
    assert closed.client.get("/config").status_code == 200
    assert closed.client.get("/v1/bundles").status_code == 200
    closed.client.cookies.clear()
    assert closed.client.get("/config").status_code == 401


def test_the_login_is_accessible_and_leads_to_the_page(closed, browser):
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.set_default_timeout(TIMEOUT_MS)
    page.goto(closed.address)
    check_state(page, "login")
    page.get_by_label("Key").fill("another key")
    page.get_by_role("button", name="Log in").click()
    page.get_by_text("This is not the key.").wait_for()
    check_state(page, "login-wrong")
    page.get_by_label("Key").fill(KEY)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("button", name="Choose photos", exact=True).wait_for()
    page.close()


@pytest.mark.parametrize("cookie", ['"\\377"', "\xff", "x" * 9000, "", '"', "a=b;=;;\x01"])
def test_strange_cookies_are_no_login(closed, cookie):
    closed.client.cookies.clear()
    sent = {"Cookie": f"geoloc_login={cookie}".encode("latin-1")}
    assert closed.client.get("/config", headers=sent).status_code in (400, 401)


def test_no_header_of_a_client_names_the_server(closed):
    log_in(closed, KEY)
    for name, value in (
        ("X-Forwarded-Host", "evil.example"), ("X-Gradio-Server", "http://evil.example"),
        ("X-Gradio-Server", "http://["), ("X-Forwarded-Host", "["), ("Forwarded", "host=evil"),
        ("X-Forwarded-Proto", "https"), ("X-Forwarded-Prefix", "/evil"),
    ):  # fmt: skip
        root = closed.client.get("/config", headers={name: value}).json()["root"]
        assert root == closed.address, name
        assert "evil" not in closed.client.get("/", headers={name: value}).text
    for host in ("", "[", "evil.example/path", "a b", "x@y", "<b>"):
        refused = closed.client.get("/", headers={"Host": host})
        assert refused.status_code == 400
        assert refused.json()["error"] == "the header Host is no name of a server"


def test_keys_cannot_be_tried_without_end():
    with fake(page=True, access={"api_key": KEY}) as server:
        replies = [log_in(server, f"guess {number}") for number in range(14)]
        assert replies[0].status_code == 401
        assert replies[-1].status_code == 429
        assert "Too many tries" in replies[-1].text
        assert log_in(server, KEY).status_code == 429
        headers = {"X-API-Key": KEY}
        assert server.client.get("/v1/bundles", headers=headers).status_code == 200


def test_a_body_without_a_key_is_refused_before_it_is_sent(closed):
    host, port = closed.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            b"POST /v1/locate HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b"
            b"\r\nContent-Length: 50000000\r\n\r\n--b\r\n"
        )
        connection.settimeout(60)
        assert connection.recv(4096).startswith(b"HTTP/1.1 401")


def test_every_response_has_the_headers_that_browsers_obey(closed):
    closed.client.cookies.clear()
    log_in(closed, KEY)
    origin = {"Origin": "https://evil.example"}
    for path in ("/", "/config", "/v1/health", "/v1/nothing", "/login"):
        headers = closed.client.get(path, headers=origin).headers
        assert headers["X-Content-Type-Options"] == "nosniff", path
        assert "frame-ancestors 'self'" in headers["Content-Security-Policy"]
        assert headers["X-Frame-Options"] == "SAMEORIGIN"
        assert "access-control-allow-origin" not in headers
        assert "evil" not in str(headers)


def test_origins_that_the_owner_names_may_call_the_api_and_frame_the_page():
    named = "https://atlas.example"
    with fake(access={"origins": [named], "api_key": KEY}) as server:
        asked = {
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "x-api-key",
        }
        preflight = server.client.options("/v1/locate", headers={"Origin": named, **asked})
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == named
        foreign = {"Origin": "https://evil.example"}
        assert server.client.options("/v1/locate", headers=foreign | asked).status_code == 400
        headers = server.client.get("/v1/health", headers={"Origin": named}).headers
        assert headers["access-control-allow-origin"] == named
        assert f"frame-ancestors 'self' {named}" in headers["Content-Security-Policy"]
        refused = server.client.get("/v1/health", headers=foreign).headers
        assert "access-control-allow-origin" not in refused


def test_browsers_may_load_the_tiles_that_the_owner_named_and_no_others():
    from demo.map.routes import OwnTiles

    tiles = OwnTiles("https://tiles.example:8443/{z}/{x}/{y}.png", "somebody")
    sent = policy([tiles.origin])
    assert "img-src 'self' data: blob: https://tiles.example:8443;" in sent
    assert "https://" not in policy([])


def policy(tiles):
    """Return the content security policy of a page with tiles of these origins."""
    headers = SecurityHeaders(None, tiles=tiles)._headers
    return headers["Content-Security-Policy"]


def test_headers_that_do_not_arrive_are_not_waited_for():
    with fake(headers_s=0.3) as server:
        host, port = server.address.removeprefix("http://").split(":")
        first = b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n"
        for sent in (b"", b"GET /v1/health HT", first + b"GET /v1/hea"):
            with socket.create_connection((host, int(port))) as connection:
                connection.settimeout(60)
                connection.sendall(sent)
                received = b""
                while more := connection.recv(4096):  # until the server closes the connection
                    received += more
                assert received.count(b"200 OK") == sent.count(b"\r\n\r\n")
        assert server.client.get("/v1/health").status_code == 200


def test_only_named_proxies_tell_the_address_of_the_client():
    limits = {"posts_per_minute": 1}
    small = jpeg(photo_of(1))

    def statuses(server):
        return [
            server.client.post(
                "/v1/locate", files=photos(small), headers={"X-Forwarded-For": f"192.0.2.{number}"}
            ).status_code
            for number in range(3)
        ]

    with fake(limits=limits) as server:
        assert statuses(server) == [200, 429, 429]
    with fake(limits=limits, proxies=["127.0.0.1"]) as server:
        assert statuses(server) == [200, 200, 200]


def test_links_are_right_behind_a_prefix():
    with fake(page=True, access={"root_path": "/geo"}) as server:
        accepted = server.client.post("/v1/batch", files=photos(jpeg(photo_of(1))))
        assert accepted.headers["Location"].startswith("/geo/v1/batch/")
        document = server.client.get("/v1/openapi.json").json()
        assert document["servers"] == [{"url": "/geo/v1"}]
        assert server.client.get("/config").json()["root"].endswith("/geo")
        assert server.client.head("/v1/health").status_code == 200
        blocked = server.client.get("/gradio_api/file=http://127.0.0.1/x")
        assert blocked.status_code == 404
        assert "does not use this address" in blocked.json()["error"]


def test_folders_of_killed_servers_are_removed_at_the_next_start_and_others_stay(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(sandbox.tempfile, "tempdir", str(tmp_path))
    left = tmp_path / f"{sandbox.PREFIX}killed"
    left.mkdir()
    (left / sandbox.OWNED).touch()
    (left / "photo.jpg").write_bytes(b"private")
    foreign = tmp_path / f"{sandbox.PREFIX}foreign"
    foreign.mkdir()
    code = (
        "import sys; from demo.security.sandbox import private_temp_folder\n"
        "with private_temp_folder(60) as folder: print(folder, flush=True); sys.stdin.read()"
    )
    running = subprocess.Popen(
        [sys.executable, "-c", code], text=True, cwd=ROOT, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, env={"TMPDIR": str(tmp_path)},
    )  # fmt: skip
    folder = running.stdout.readline().strip()
    assert not left.exists()
    assert foreign.exists()
    with sandbox.private_temp_folder(60):
        assert [each for each in tmp_path.iterdir() if str(each) == folder]
    running.kill()
    running.communicate()
    sandbox.remove_abandoned(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == [foreign.name]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--allow-origin", "example.org"], "write it as https://example.org"),
        (["--allow-origin", "https://example.org/page"], "write it as https://example.org"),
        (["--root-path", "geo"], "begin it with /"),
        (["--tiles", "https://tiles.example/map.png"], "no address of map tiles"),
    ],
)  # fmt: skip
def test_wrong_options_are_one_line(options, message):
    result = subprocess.run(
        [sys.executable, "-m", "demo.server", "--no-page", "--port", "0", *options],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert result.returncode == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(("key", "warned"), [("", True), (KEY, False)])
def test_an_open_server_without_a_key_is_warned_about(key, warned):
    from tests.demo.services import running

    command = ["-m", "demo.server", "--no-page", "--port", "0", "--host", "0.0.0.0"]
    with running(*command, GEOLOC_API_KEY=key) as server:
        assert ("everybody who reaches this machine" in server.log.read_text()) == warned


@pytest.mark.parametrize(
    "name", ["evil.example", "127.0.0.1.evil.example", "localhost.", "1.2.3.4"]
)
def test_a_server_with_photos_of_its_owner_answers_to_no_name_of_another_site(local, name):
    for path in ("/", "/config", "/v1/health"):
        reply = local.client.get(path, headers={"Host": name})
        assert reply.status_code == 403
        assert "this machine only" in reply.json()["error"]
    for own in ("localhost", "LOCALHOST:7860", "127.0.0.1:1", "[::1]:80"):
        assert local.client.get("/v1/health", headers={"Host": own}).status_code == 200


@pytest.fixture(scope="module")
def local():
    with fake(page=False, access={"local_only": True}) as server:
        yield server
