"""An Immich server as a library: downloads, positions, and places written back and reverted."""

import csv
import hashlib
import json

import numpy as np
import pytest

from geoloc.errors import GeolocError
from geoloc.trips.review import changes
from geoloc.trips.review.apply import Summary, apply_decisions
from geoloc.trips.review.decisions import read_decisions
from geoloc.trips.review.immich import KEY_VARIABLE, Assets, Immich, fetch_library, undo_asset
from tests.geoloc.photos.samples import encoded
from tests.geoloc.trips.review.immich_server import KEY, Server, running
from tests.geoloc.trips.review.test_decisions import Problems, save
from tests.scenes import draw_photo


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with running(Server(page_size=2)) as started:
        rng = np.random.default_rng(1)
        for i in range(3):
            started.add("IMG_1.jpg", encoded(draw_photo(i, rng), "JPEG"))
        started.add("gps.jpg", encoded(draw_photo(0, rng), "JPEG"), latitude=10.0, longitude=20.0)
        started.add("film.raw", b"raw")
        yield started


def fetch(server, folder) -> tuple:
    problems = Problems()
    return fetch_library(Immich(server.url), folder, problems), problems.lines


def decided(server, folder, ids, **changes_):
    photos = [
        {"photo": f"{id_}/{server.assets[id_]['originalFileName']}", "lat": 45.764, "lon": 4.8357,
         "sha256": hashlib.sha256(server.content[id_]).hexdigest(), "radius_80_km": 1.5,
         "kind": "guessed", "decision": "accepted", "how": "by sight"} | changes_
        for id_ in ids
    ]  # fmt: skip
    return save(folder.parent / "decisions.json", folder, *photos)


def apply(server, decisions, folder):
    problems = Problems()
    target = Assets(Immich(server.url))
    log = decisions.with_suffix(".log.jsonl")
    done = apply_decisions(read_decisions(decisions), folder, target, log, problems)
    return done, problems.lines, log


def test_photos_of_all_pages_are_downloaded_once_and_positions_are_known(server, tmp_path):
    folder = tmp_path / "immich"
    table, problems = fetch(server, folder)
    ids = list(server.assets)
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg")}
    assert files == {*(f"{id_}/IMG_1.jpg" for id_ in ids[:3]), f"{ids[3]}/gps.jpg"}
    assert (folder / ids[1] / "IMG_1.jpg").read_bytes() == server.content[ids[1]]
    with table.open(encoding="utf-8") as file:
        assert list(csv.DictReader(file)) == [
            {"file": f"{ids[3]}/gps.jpg", "lat": "10.0", "lon": "20.0"}
        ]
    assert problems == [f"film.raw: asset {ids[4]} is of a kind that is not read"]
    server.requests.clear()
    (folder / ids[0] / "IMG_1.jpg").write_bytes(b"half")
    fetch(server, folder)
    loaded = [path for _, path in server.requests if path.endswith("/original")]
    assert loaded == [f"/api/assets/{ids[0]}/original"]


def test_places_are_written_marked_as_estimates_and_reverted(server, tmp_path):
    folder = tmp_path / "immich"
    fetch(server, folder)
    first, second, third, gps, _ = server.assets
    server.exif(second)["description"] = "The old town"
    before = json.dumps(server.assets)
    done, lines, log = apply(server, decided(server, folder, [first, second, gps]), folder)
    assert done == Summary(2, 1, 0)
    assert lines == [f"{gps}/gps.jpg: has a position already, which is kept"]
    assert server.exif(first)["latitude"] == 45.764
    assert server.exif(first)["description"] == (
        "Position estimated by planet-geoloc (by sight): 8 of 10 such photos lie within 1.5 km of"
        " it. [ESTIMATE planet-geoloc]"
    )
    assert server.exif(second)["description"].startswith("The old town\nPosition estimated")
    assert server.exif(third)["latitude"] is None
    table, _ = fetch(server, folder)
    assert len(table.read_text().splitlines()) == 2, "estimates are not read as known positions"
    problems = []
    undone = list(changes.undo_changes(changes.read_changes(log), undo_asset, problems.append))
    assert (len(undone), problems) == (2, [])
    for id_ in (first, second):
        assert (server.exif(id_)["latitude"], server.exif(id_)["longitude"]) == (0.0, 0.0)
        server.exif(id_).update(latitude=None, longitude=None)
    assert json.dumps(server.assets) == before
    assert list(changes.undo_changes(changes.read_changes(log), undo_asset, problems.append)) == []


def test_estimates_are_replaced_by_a_later_review(server, tmp_path):
    folder = tmp_path / "immich"
    fetch(server, folder)
    first = next(iter(server.assets))
    apply(server, decided(server, folder, [first]), folder)
    done, _, _ = apply(server, decided(server, folder, [first], lat=1.5), folder)
    assert done == Summary(1, 0, 0)
    assert server.exif(first)["latitude"] == 1.5
    assert server.exif(first)["description"].count("ESTIMATE") == 1


def test_assets_that_changed_since_stay_as_they_are(server, tmp_path):
    folder = tmp_path / "immich"
    fetch(server, folder)
    first, second, third, *_ = server.assets
    server.assets[second]["checksum"] = "another"
    decisions = decided(server, folder, [first, second, third])
    del server.assets[third]
    done, lines, log = apply(server, decisions, folder)
    assert done == Summary(1, 0, 2)
    assert "differs on http" in lines[0]
    assert "answered 400" in lines[1]
    server.exif(first).update(latitude=3.0)
    problems = []
    assert list(changes.undo_changes(changes.read_changes(log), undo_asset, problems.append)) == []
    assert problems == [f"asset {first}: has changed since, and stays as it is"]


def test_unusable_servers_are_one_line(server, tmp_path, monkeypatch):
    for url in ("http://127.0.0.1:1", "nonsense", "http://[", server.url + "/wrong"):
        with pytest.raises(GeolocError, match="check the address") as refused:
            fetch_library(Immich(url), tmp_path, Problems())
        assert "\n" not in str(refused.value)
    monkeypatch.setenv(KEY_VARIABLE, "wrong")
    with pytest.raises(GeolocError, match="refused the key in IMMICH_API_KEY"):
        fetch(server, tmp_path)
    monkeypatch.delenv(KEY_VARIABLE)
    with pytest.raises(GeolocError, match="needs a key; create one in Immich and set"):
        Immich(server.url)


@pytest.mark.parametrize("name", ["../../evil.jpg", "/etc/evil.jpg", "a/b.jpg"])
def test_names_of_a_server_cannot_leave_the_folder(server, tmp_path, name):
    server.add(name, b"x")
    folder = tmp_path / "immich"
    fetch(server, folder)
    assert not list(tmp_path.glob("*.jpg"))
    server.assets["../../x"] = {**next(iter(server.assets.values())), "id": "../../x"}
    with pytest.raises(GeolocError, match="answers unlike Immich"):
        fetch(server, folder)
