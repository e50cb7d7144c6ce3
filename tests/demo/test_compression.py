"""Replies in the encodings that a client accepts."""

import gzip
import json

import brotli
import pytest

pytest.importorskip("fastapi", reason="the demo extra is not installed")

from fastapi import FastAPI
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from fastapi.testclient import TestClient

from demo.compression import Compression, accepted_encoding


@pytest.mark.parametrize(
    ("header", "encoding"),
    [
        ("gzip, deflate, br, zstd", "br"), ("gzip", "gzip"), ("BR", "br"), ("br;q=1.0, gzip", "br"),
        ("br; q=0, gzip;q=0.5", "gzip"), ("identity", ""), ("", ""), ("abrupt", ""), (",;,", ""),
    ],
)  # fmt: skip
def test_the_best_accepted_encoding_is_chosen(header, encoding):
    assert accepted_encoding(header) == encoding


@pytest.fixture(scope="module")
def client():
    app = FastAPI()
    app.get("/long")(lambda: JSONResponse({"words": ["place"] * 1000}))
    app.get("/short")(lambda: {"word": "place"})
    app.get("/picture")(lambda: PlainTextResponse("a" * 5000, media_type="image/png"))
    app.get("/lines")(lambda: StreamingResponse(iter(["{}", "{}"]), media_type="application/json"))

    @app.get("/done")
    def done():
        return JSONResponse("a" * 5000, headers={"Content-Encoding": "identity"})

    app.add_middleware(Compression)
    with TestClient(app) as started:
        yield started


@pytest.mark.parametrize(
    ("encoding", "decompress"),
    [("br", brotli.decompress), ("gzip", gzip.decompress), ("", bytes)],
)
def test_whole_json_is_compressed_as_the_client_accepts(client, encoding, decompress):
    with client.stream("GET", "/long", headers={"Accept-Encoding": encoding}) as reply:
        raw = b"".join(reply.iter_raw())
    assert reply.headers.get("content-encoding", "") == encoding
    assert int(reply.headers["content-length"]) == len(raw)
    assert json.loads(decompress(raw)) == {"words": ["place"] * 1000}
    assert len(raw) < 200 or not encoding


@pytest.mark.parametrize("path", ["/short", "/picture", "/lines", "/done"])
def test_short_replies_pictures_and_streams_stay_as_they_are(client, path):
    headers = client.get(path, headers={"Accept-Encoding": "br"}).headers
    assert headers.get("content-encoding", "identity") == "identity"
