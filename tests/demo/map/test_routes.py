import pytest

pytest.importorskip("fastapi", reason="the demo extra is not installed")

from fastapi import FastAPI
from fastapi.testclient import TestClient

from demo.map.routes import FILES, MEDIA_TYPES, OwnTiles, add_map, version


def client(tiles=None):
    app = FastAPI()
    add_map(app, tiles)
    return TestClient(app)


def test_files_and_tiles_are_compressed_and_kept_by_browsers():
    visitor = client()
    for name in (*MEDIA_TYPES, "settings.json", "borders/2/2/1.mvt", "names/3/4/2.mvt"):
        reply = visitor.get(f"/map/{version()}/{name}")
        assert reply.status_code == 200
        assert "immutable" in reply.headers["cache-control"]
        assert reply.headers["content-encoding"] == "br"
        for accepted, encoding in (("gzip", "gzip"), ("br;q=0, gzip;q=0.5", "gzip"), ("", None)):
            other = visitor.get(f"/map/{version()}/{name}", headers={"Accept-Encoding": accepted})
            assert other.content == reply.content
            assert other.headers.get("content-encoding") == encoding


@pytest.mark.parametrize(
    "path",
    ["server.py", "..%2Fpage.css", "borders/9/0/0.mvt", "roads/1/0/0.mvt", "names/2/4/0.mvt"],
)
def test_nothing_else_is_served(path):
    assert client().get(f"/map/{version()}/{path}").status_code == 404


def test_no_other_server_is_named_unless_the_owner_names_tiles():
    assert client().get("/map/x/settings.json").json()["tiles"] is None
    tiles = OwnTiles("https://tiles.example/{z}/{x}/{y}.png", "Example")
    assert client(tiles).get("/map/x/settings.json").json()["tiles"]["url"] == tiles.url


def test_the_licence_of_the_library_is_kept():
    text = (FILES / "maplibre-gl.LICENSE.txt").read_text()
    assert "MapLibre contributors" in text
    assert "Redistribution and use" in text
