import json
import re
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import resources

import pytest

from demo.api.files import MEDIA_TYPES
from demo.api.form import FIELDS
from geoloc.client import Question
from tests.demo.fake_service import photo_of, place_of
from tests.demo.services import fake, jpeg, photos

pytest.importorskip("fastapi", reason="the demo extra is not installed")


@pytest.fixture(scope="module")
def server():
    with fake() as running:
        yield running
        assert running.stop() == 0
        assert running.files() == []


def locate(server, *contents, names=None, headers=None, **options):
    return server.client.post(
        "/v1/locate", files=photos(*contents, names=names), data=options, headers=headers
    )


def test_locate_returns_the_guess_of_the_library(server):
    reply = locate(server, jpeg(photo_of(100)), names=["holiday.jpg"])
    assert reply.status_code == 200
    body = reply.json()
    (answer,) = body["answers"]
    assert (body["schema_version"], body["bundle"], answer["error"]) == (1, "fake", None)
    assert answer["photo"] == answer["guess"]["photo"] == "holiday.jpg"
    assert answer["guess"]["schema_version"] == 4
    at = answer["guess"]["lat"], answer["guess"]["lon"]
    assert at == pytest.approx(place_of(100), abs=1.0)
    assert {"radius_50_km", "radius_80_km", "radius_95_km"} <= answer["guess"].keys()


def test_several_photos_are_answered_in_order_and_an_unreadable_one_is_reported(server):
    reply = locate(server, jpeg(photo_of(3)), b"text", jpeg(photo_of(200)), names=["a", "b", "a"])
    first, broken, last = reply.json()["answers"]
    assert reply.status_code == 200
    assert first["guess"]["lat"] == pytest.approx(place_of(3)[0], abs=1.0)
    assert last["guess"]["lat"] == pytest.approx(place_of(200)[0], abs=1.0)
    assert broken["guess"] is None
    assert broken["error"].startswith("b: not a picture")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top": 0}, "top: give at least 1; see /v1/openapi.json"),
        ({"top": 41}, "top: give at most 40"),
        ({"top": "many"}, "top: give a whole number"),
        ({"whithin": "Tasmania"}, "'whithin' is no field of this form; did you mean 'within'?"),
        ({"Top": 3}, "'Top' is no field of this form; did you mean 'top'?"),
        ({"photo": "x"}, "'photo' is no field of this form; did you mean 'photos'?"),
        ({"<b>": 3}, "'<b>' is no field of this form; known are photos, top, within, together"),
        ({"bundle": "other"}, "bundle: 'other' is not served here; choose fake"),
        ({"within": "Lilliput"}, '"Lilliput" is no country, region or town'),
        ({"within": "Portugal"}, "Portugal: the model has no place there"),
        ({"within": "/etc/places.geojson"}, "a file name is not accepted here"),
        ({"within": " ../secret.JSON\n"}, "a file name is not accepted here"),
        ({"within": "x" * 7000}, "within: give at most 6000 characters"),
        ({"together": "perhaps"}, "together: give true or false"),
    ],
)  # fmt: skip
def test_invalid_options_get_a_one_line_error(server, options, message):
    reply = locate(server, jpeg(photo_of(1)), **options)
    assert reply.status_code == 422
    assert reply.json()["error"].startswith(message)
    assert "\n" not in reply.json()["error"]


def test_a_constraint_is_accepted(server):
    reply = locate(server, jpeg(photo_of(1)), within="Tasmania, Australia")
    assert reply.status_code == 200


def test_requests_have_an_id_and_the_log_has_no_names_or_addresses(server):
    given = locate(server, jpeg(photo_of(1)), names=["secret name.jpg"],
                   headers={"X-Request-ID": "mine-42"})  # fmt: skip
    assert given.headers["X-Request-ID"] == given.json()["request_id"] == "mine-42"
    for odd in ("two words", "x" * 65, "line\tbreak"):
        made = locate(server, b"?", headers={"X-Request-ID": odd})
        assert re.fullmatch("[0-9a-f]{32}", made.headers["X-Request-ID"])
        assert made.json()["request_id"] == made.headers["X-Request-ID"]
    logged = server.log.read_text()
    assert re.search(r"mine-42 POST '/v1/locate' 200 \d+ ms", logged)
    assert "secret" not in logged
    assert "127.0.0.1" not in logged


def test_health_and_bundles(server):
    health = server.client.get("/v1/health").json()
    assert (health["status"], health["schema_version"]) == ("ok", 1)
    (bundle,) = server.client.get("/v1/bundles").json()["bundles"]
    assert bundle == {"name": "fake", "default": True, "cells": 2, "photos": 2, "encoder": "colour"}


def test_unknown_paths_and_methods_get_a_one_line_error(server):
    for method, path, status in [
        ("GET", "/v1/nothing", 404), ("GET", "/v1/docs", 404), ("GET", "/v1/locate", 405),
        ("DELETE", "/v1/health", 405), ("GET", "/", 404), ("GET", "/v1/batch/none", 404),
    ]:  # fmt: skip
        reply = server.client.request(method, path)
        assert reply.status_code == status, path
        assert reply.json()["error"]


def test_concurrent_clients_get_their_own_answers(server):
    contents = {number: jpeg(photo_of(number), "PNG") for number in range(0, 256, 2)}

    def client(first: int) -> int:
        numbers = [*contents][first::16][:4]
        for number in numbers:
            reply = locate(server, contents[number], names=[f"{number}.jpg"])
            assert reply.status_code == 200, reply.text
            (answer,) = reply.json()["answers"]
            assert answer["photo"] == f"{number}.jpg"
            at = answer["guess"]["lat"], answer["guess"]["lon"]
            assert at == pytest.approx(place_of(number), abs=0.01)  # neighbours are 0.6 apart
        return len(numbers)

    with ThreadPoolExecutor(64) as clients:
        assert sum(clients.map(client, [n % 16 for n in range(64)])) == 256


def finished(server, address):
    while (progress := server.client.get(address).json())["state"] in ("waiting", "running"):
        time.sleep(0.02)
    return progress


def test_a_batch_is_accepted_polled_and_fetched(server):
    numbers = list(range(0, 250, 5))
    accepted = server.client.post(
        "/v1/batch", files=photos(*(jpeg(photo_of(n), "PNG") for n in numbers), b"broken")
    )
    assert accepted.status_code == 202
    assert accepted.json()["total"] == 51
    progress = finished(server, accepted.headers["Location"])
    assert (progress["state"], progress["done"], progress["error"]) == ("finished", 51, None)
    assert 0 < progress["deleted_in_s"] <= 300
    guesses = [answer["guess"] for answer in progress["answers"][:-1]]
    places = [place_of(number)[0] for number in numbers]
    assert [guess["lat"] for guess in guesses] == pytest.approx(places, abs=0.01)
    assert progress["answers"][-1]["error"].startswith("50.jpg: not a picture")


@pytest.mark.parametrize("ending", sorted(MEDIA_TYPES))
def test_answers_of_batches_are_files_of_geoloc_batch(server, ending):
    batches = [
        server.client.post("/v1/batch", files=photos(*content)).json()["id"]
        for content in ([jpeg(photo_of(7)), b"broken"], [jpeg(photo_of(200))])
    ]
    for each in batches:
        finished(server, f"/v1/batch/{each}")
    reply = server.client.get(f"/v1/batch/{','.join(batches)}/answers.{ending}")
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith(MEDIA_TYPES[ending])
    assert f'filename="answers.{ending}"' in reply.headers["content-disposition"]
    if ending == "csv":
        assert len(reply.text.splitlines()) == 3
    if ending == "jsonl":
        lat = [json.loads(line)["lat"] for line in reply.text.splitlines()]
        assert lat == pytest.approx([place_of(7)[0], place_of(200)[0]], abs=1.0)
    gone = server.client.get(f"/v1/batch/{batches[0]},none/answers.{ending}")
    assert gone.status_code == 404
    unknown = server.client.get(f"/v1/batch/{batches[0]}/answers.exe")
    assert (unknown.status_code, list(unknown.json())) == (422, ["error", "request_id"])
    for each in batches:
        server.client.delete(f"/v1/batch/{each}")


def test_limits_of_photos_pixels_batches_and_time():
    limits = {"photos": 2, "batch_photos": 3, "megapixels": 1, "batches": 1, "answer_s": 0.5,
              "keep_s": 2.0}  # fmt: skip
    small = jpeg(photo_of(1))
    with fake(limits=limits, slow_s=1.0) as server:
        too_many = locate(server, small, small, small)
        assert too_many.status_code == 400
        assert too_many.json()["error"].startswith("more than 2 photos in one request; use /v1/b")
        far_too_many = locate(server, *[small] * 4)
        assert far_too_many.json()["error"] == "more than 3 photos in one request; send fewer"
        large = jpeg(photo_of(1).resize((1200, 1200)))
        too_large = locate(server, large)
        assert too_large.status_code == 422
        assert "1200 x 1200 pixels are more than 1 megapixels" in too_large.json()["error"]
        late = locate(server, small)
        assert late.status_code == 503
        assert late.json()["error"].startswith("no answer within 0.5 s")
        batch = server.client.post("/v1/batch", files=photos(small)).headers["Location"]
        full = server.client.post("/v1/batch", files=photos(small))
        assert (full.status_code, "Retry-After" in full.headers) == (503, True)
        assert finished(server, batch)["state"] == "finished"
        while server.client.get(batch).status_code != 404:  # until it has expired
            time.sleep(0.05)


def test_rate_limit_and_key():
    with fake(limits={"posts_per_minute": 3}, access={"api_key": "let me in"}) as server:
        small = jpeg(photo_of(1))
        assert server.client.get("/v1/health").status_code == 200
        assert server.client.get("/v1/bundles").status_code == 401
        for key in (None, "", "wrong", "let me in, please"):
            headers = {"X-API-Key": key} if key else {}
            assert server.client.get("/v1/batch/x", headers=headers).status_code == 401
            assert locate(server, small, headers=headers).status_code == 401  # not counted
        for _ in range(2):
            assert locate(server, small, headers={"X-API-Key": "let me in"}).status_code == 200
        assert locate(server, small, headers={"X-API-Key": "let me in"}).status_code == 200
        refused = locate(server, small, headers={"X-API-Key": "let me in"})
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["Retry-After"]) <= 20
        assert server.client.get("/v1/health").status_code == 200


def test_stopping_finishes_accepted_work_and_lets_it_be_fetched():
    with fake(slow_s=0.4) as server:
        contents = [jpeg(photo_of(number)) for number in range(80)]  # three batches of the encoder
        replies = []
        request = threading.Thread(target=lambda: replies.append(locate(server, contents[9])))
        request.start()
        batch = server.client.post("/v1/batch", files=photos(*contents)).headers["Location"]
        while not server.client.get(batch).json()["done"]:
            time.sleep(0.02)
        server.process.terminate()
        while (health := server.client.get("/v1/health")).status_code != 503:
            time.sleep(0.02)
        assert health.json()["status"] == "stopping"
        assert locate(server, contents[0]).status_code == 503
        progress = finished(server, batch)
        assert (progress["state"], len(progress["answers"])) == ("finished", 80)
        request.join()
        assert replies[0].status_code == 200
        server.client.close()
        assert server.process.wait(20) == 0
        assert server.files() == []


def start_batch(server, count: int) -> str:
    """Send a batch, and stop the server once it has refused new work."""
    contents = [jpeg(photo_of(1))] * count
    batch = server.client.post("/v1/batch", files=photos(*contents)).headers["Location"]
    server.process.terminate()
    while server.client.get("/v1/health").status_code != 503:
        time.sleep(0.02)
    return batch


def test_work_that_takes_too_long_is_given_up_when_the_server_stops():
    limits = {"batch_photos": 400, "drain_s": 0.5}
    with fake(slow_s=0.5, limits=limits) as server:
        start_batch(server, 400)  # 13 batches of the encoder
        server.client.close()
        assert server.process.wait(60) == 0
        calls = int(server.process.stdout.read().rsplit(":", 1)[1])
        assert calls < 13
        assert "gave up waiting for 1 batch" in server.log.read_text()
        assert server.files() == []


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_a_stopping_server_says_what_it_waits_for_and_a_second_signal_ends_it(sig):
    with fake(slow_s=600) as server:  # longer than the test waits
        batch = start_batch(server, 2)
        assert server.client.get(batch).json()["state"] in ("waiting", "running")
        server.client.close()
        waiting = "stopping: waiting up to 120 s for 1 batch to be finished and fetched"
        while waiting not in server.log.read_text():
            time.sleep(0.02)
        assert "a second signal stops at once" in server.log.read_text()
        assert server.stop(sig) == 128 + sig
        assert server.files() == []


def test_the_document_is_complete(server):
    document = server.client.get("/v1/openapi.json").json()
    assert document["paths"].keys() == {
        *("/health", "/schema.json", "/bundles", "/locate", "/batch", "/batch/{id}"),
        "/batch/{id}/answers.{ending}",
    }
    assert document["servers"] == [{"url": "/v1"}]
    for model in ("Located", "Progress", "Problem", "Health", "Answer", "BundleInfo"):
        schema = document["components"]["schemas"][model]
        assert schema["examples"], model
        assert schema["description"], model
    guess = document["components"]["schemas"]["Guess"]
    assert {"lat", "lon", "radius_80_km", "schema_version", "candidates"} <= guess[
        "properties"
    ].keys()
    assert "HTTPValidationError" not in json.dumps(document)
    form = document["components"]["schemas"]["Body_locate_locate_post"]
    assert {*form["properties"]} == {*FIELDS}
    assert {*Question().__dict__} | {"photos"} == {*FIELDS}


def test_stated_shadows_and_metadata_are_options_and_errors_are_422(server):
    photo = jpeg(photo_of(1))
    assert locate(server, photo, use_metadata="true").status_code == 200
    for fields in ({"shadow": "0:1", "time": "2024-06-01T10:30Z"}, {"shadow": "1:1"}):
        reply = locate(server, photo, **fields)
        assert reply.status_code == 422
        assert re.match("a? ?shadow ", reply.json()["error"])


def test_options_in_the_address_are_refused_instead_of_ignored(server):
    reply = server.client.post("/v1/locate?top=3", files=photos(jpeg(photo_of(1))))
    assert reply.status_code == 422
    assert reply.json()["error"] == (
        "'top' in the address has no effect; send it as a field of the form"
    )
    assert server.client.get("/v1/health?verbose=1").status_code == 422


def test_other_bodies_than_forms_get_an_error_that_says_what_to_send(server):
    for body in (
        {"json": {"photos": ["x"]}},
        {"content": jpeg(photo_of(1)), "headers": {"Content-Type": "image/jpeg"}},
        {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}},
        {"data": {"top": "3"}},
        {"data": {"photos": "x.jpg"}},
        {},
    ):
        reply = server.client.post("/v1/locate", **body)
        assert reply.status_code in (400, 422), body
        assert "send a form (multipart/form-data)" in reply.json()["error"], reply.json()


def test_head_answers_like_get_without_a_body(server):
    for path in ("/v1/health", "/v1/bundles", "/v1/openapi.json"):
        head, got = server.client.head(path), server.client.get(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["Content-Length"] == got.headers["Content-Length"]
    assert server.client.head("/v1/nothing").status_code == 404


def test_one_unreadable_photo_of_a_place_is_skipped_and_reported(server):
    contents = jpeg(photo_of(60)), b"text", jpeg(photo_of(60))
    answers = locate(server, *contents, together="true").json()["answers"]
    assert [answer["error"] is None for answer in answers] == [True, False]
    assert answers[0]["guess"]["photos"] == ["0.jpg", "2.jpg"]
    assert answers[1]["error"].startswith("1.jpg: not a picture")
    none = locate(server, b"text", b"more", together="true")
    assert none.status_code == 422
    assert none.json()["error"].startswith("0.jpg: not a picture")


def test_answers_are_streamed_one_by_one_also_for_more_photos_than_one_request_takes(server):
    contents = [*(jpeg(photo_of(number), "PNG") for number in range(0, 200, 5)), b"broken"]
    headers = {"Accept": "application/x-ndjson"}
    request = {"files": photos(*contents), "headers": headers}
    with server.client.stream("POST", "/v1/locate", **request) as reply:
        assert reply.headers["Content-Type"].startswith("application/x-ndjson")
        answers = [json.loads(line) for line in reply.iter_lines()]
    latitudes = [answer["guess"]["lat"] for answer in answers[:-1]]
    assert latitudes == pytest.approx([place_of(n)[0] for n in range(0, 200, 5)], abs=0.01)
    assert answers[-1]["error"].startswith("40.jpg: not a picture")
    refused = server.client.post("/v1/locate", data={"within": "Lilliput"}, **request)
    assert refused.status_code == 422
    assert "Lilliput" in refused.json()["error"]


def test_the_work_of_a_stream_stops_when_its_client_has_gone():
    with fake(slow_s=0.1) as server:
        contents = [jpeg(photo_of(number % 250), "PNG") for number in range(256)]
        request = {"files": photos(*contents), "headers": {"Accept": "application/x-ndjson"}}
        with server.client.stream("POST", "/v1/locate", **request) as reply:
            next(reply.iter_lines())
        assert server.stop() == 0  # waits for what is being answered
        calls = int(server.process.stdout.read().rsplit(":", 1)[1])
        assert calls < 8


def test_a_batch_can_be_deleted_and_other_clients_cannot_fill_the_queue():
    with fake(slow_s=0.2, limits={"batches": 1}, proxies=["127.0.0.1"]) as server:

        def send(client):
            headers = {"X-Forwarded-For": client}
            content = [jpeg(photo_of(1))] * 64
            return server.client.post("/v1/batch", files=photos(*content), headers=headers)

        mine = send("192.0.2.1")
        second = send("192.0.2.1")
        assert second.status_code == 503
        assert (
            second.json()["error"]
            == "one client may have 1 batches here; fetch or delete one first"
        )
        assert send("192.0.2.2").status_code == 202
        address = mine.headers["Location"]
        assert server.client.delete(address).status_code == 204
        assert server.client.get(address).status_code == 404
        assert server.client.delete(address).status_code == 404
        assert send("192.0.2.1").status_code == 202
        server.client.close()


def test_the_schema_of_the_answers_is_published_and_stands_in_the_repository(server):
    published = server.client.get("/v1/schema.json").json()
    kept = json.loads(resources.files("demo.api").joinpath("schema-v1.json").read_text("utf-8"))
    assert published == kept  # else write demo.api.models.response_schema() to the file
    assert {"Located", "Answer", "Guess", "Progress"} <= published["$defs"].keys()
