"""Forged events of the page: each gets one line and 4xx, and the log no traceback."""

import json
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="the demo extra is not installed")

import gradio as gr
from fastapi.testclient import TestClient

from demo.api import application
from demo.api.limits import Limits
from demo.page.app import build
from demo.page.events import CALL, EVENT, EventCheck
from demo.security.events import MAX_EVENT_BYTES
from tests.demo.fakes import FakeGeolocator

SESSION = "abc"

WRONG = [
    None, True, -1, 7, 10**400, 2.5, float("inf"), float("nan"), "", "no such choice", "x" * 5000,
    "\ud800", "\0", [], [None], [[]], ["/etc/passwd"], {}, {"paths": None}, {"paths": 7},
    {"paths": []}, {"paths": [None]}, {"paths": ["/etc/passwd"]}, {"paths": ["../" * 99]},
    {"paths": ["\0"]}, {"paths": ["x" * 5000]}, {"paths": [""]}, {"paths": ["."]}, {"run": []},
    {"areas": 7}, {"areas": [7]}, {"areas": [{"kind": []}]}, {"areas": [{"kind": "circle"}]},
    {"areas": [{"kind": "circle", "lat": 10**400, "lon": 0, "radius_km": 1}]},
    {"areas": [{"kind": "polygon", "ring": [[1e308, 1], [2, -1e308], [3, 3]]}]},
    {"areas": [{"kind": "name", "text": {"a": 1}}]}, {"areas": [{}] * 5000},
    {"shadow": 7}, {"pins": []}, {"pins": [{"lat": "x"}]}, {"path": "/etc/passwd"},
    {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}, {"__type__": "update"},
]  # fmt: skip
"""Values that no event carries, or not every event."""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("uploads")))
        yield build({"fake": FakeGeolocator("fake"), "other": FakeGeolocator("other")})


@pytest.fixture(scope="module")
def client(page):
    """A client to which errors of the application are exceptions."""
    service = application.create({"fake": FakeGeolocator()}, limits=Limits(), page=page)
    with TestClient(service) as started:
        yield started


@pytest.fixture(autouse=True)
def quiet(capfd):
    yield
    printed = "".join(capfd.readouterr())
    assert printed.count("Traceback") == 0


def send(client, path, body, **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} | headers
    return client.post(path, content=content, headers=headers)


def event(number, data, **more):
    return {"fn_index": number, "data": data, "session_hash": SESSION, **more}


def refused(reply):
    """Return whether a reply refuses a request in one line of its own."""
    return 400 <= reply.status_code < 500 and set(reply.json()) == {"error", "request_id"}


def usual(component):
    """Return a value that an event may carry."""
    if isinstance(component, gr.State):
        return None
    return {"areas": []} if isinstance(component, gr.HTML) else component.value


def test_values_of_wrong_types_are_refused_in_one_line(client, page):
    """Each input of the page is tried in the first event that has it."""
    strange, answers, tried = {}, set(), set()
    for number, known in page.fns.items():
        for place, component in enumerate(known.inputs if known.fn else ()):
            if component in tried or isinstance(component, gr.State):
                continue
            tried.add(component)
            for value in WRONG:
                data = [usual(component) for component in known.inputs]
                data[place] = value
                reply = send(client, EVENT, event(number, data))
                answers.add(reply.status_code)
                if reply.status_code != 200 and not refused(reply):
                    strange[number, place, str(value)[:40]] = reply.status_code, reply.text[:200]
    assert strange == {}
    assert answers == {200, 422}
    assert len(tried) > 12


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"null", b"[]", b"7", b'"x"', b"\xff\xfe", b"[" * 100_000, b"{}",
        b'{"fn_index":' + b"9" * 5000 + b',"data":[],"session_hash":"a"}',
        b'{"data":' + b"[" * 5000 + b"]" * 5000 + b',"fn_index":1,"session_hash":"a"}',
        event(10**6, []), event(-1, []), event("0", []), event(None, []), event(True, []),
        event(1.5, []), event(0, None), event(0, {}), event(0, []), event(0, [1] * 999),
        {"fn_index": 0, "data": []}, event(0, [], session_hash=None), event(0, [], session_hash=""),
        event(0, [], session_hash="x" * 65), event(0, [], session_hash="../../x"),
        event(0, [], session_hash=["a"]), {"session_hash": "a", "data": [], "fn_index": None},
    ],
)  # fmt: skip
def test_what_is_no_event_is_refused(client, body):
    assert refused(send(client, EVENT, body))


def test_a_very_large_event_is_refused_before_it_is_parsed(client):
    large = send(client, EVENT, event(0, ["x" * MAX_EVENT_BYTES]))
    assert large.status_code == 413
    assert large.json()["error"] == "more than 1 MB in one event"


def test_other_sites_cannot_send_events_as_plain_text(client):
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        assert refused(send(client, EVENT, event(0, []), **{"Content-Type": kind}))


def test_nothing_that_was_not_checked_is_passed_on(page):
    check = EventCheck(page)
    chosen = next(n for n, known in page.fns.items() if "_example" in str(known.fn))
    more = {"batched": True, "oauth_token": "x", "event_id": "y", "trigger_id": 3, "event_data": {}}
    sent = check(EVENT, json.dumps(event(chosen, [1], **more)).encode())
    assert json.loads(sent) == event(chosen, [1])


def call(page, function="search", **changed):
    named = {f.__name__: n for n, b in page.blocks.items() for f in getattr(b, "server_fns", ())}
    where = named.get(function if isinstance(function, str) else "search", named["search"])
    return {"component_id": where, "fn_name": function, "session_hash": SESSION} | changed


def test_scripts_call_their_own_functions_with_any_value(client, page):
    for value in WRONG:
        if value == "\ud800" or value != value or value == float("inf"):
            continue  # no JSON
        assert send(client, CALL, call(page, data=value)).json() == []
        assert send(client, CALL, call(page, "named", data=value)).json()["problem"]
        assert send(client, CALL, call(page, "outline", data=value)).status_code == 200
    italy = send(client, CALL, call(page, data="ital")).json()
    assert {"text": "Italy", "kind": "country"} in italy


def test_other_functions_cannot_be_called(client, page):
    for body in (
        call(page, "get_config", data=1), call(page, "__init__", data=1), call(page, [], data=1),
        call(page, data=1, component_id=10**9), call(page, data=1, component_id="x"),
        call(page, data=1, session_hash=None), [], "x",
    ):  # fmt: skip
        assert refused(send(client, CALL, body))
    form = client.post(CALL, files={"file": b"x"}, data=call(page, data="x"))
    assert refused(form)


def test_an_input_of_unknown_type_is_found_when_the_page_is_built():
    with gr.Blocks() as page:
        upload = gr.File()
        upload.change(lambda file: None, upload)
    with pytest.raises(TypeError, match="make it a `part`"):
        EventCheck(page)


def test_uploads_are_those_of_this_page(client, page, photo):
    drop = next(n for n, known in page.fns.items() if "_uploaded" in str(known.fn))
    answer = client.post("/gradio_api/upload", files={"files": ("x.jpg", photo.read_bytes())})
    (path,) = answer.json()
    assert send(client, EVENT, event(drop, [{"paths": [path]}])).status_code == 200
    assert not Path(path).is_absolute()
    other = send(client, EVENT, event(drop, [{"paths": [str(photo)]}]))
    assert other.json()["error"] == (
        "this event: these files were not uploaded to this page; choose them again"
    )
