"""Bundles fetched from a real server, with everything that goes wrong on the way."""

import json
import shutil
import socket
from types import SimpleNamespace

import numpy as np
import pytest

from geoloc.bundle import directory, download, installed
from geoloc.errors import BundleError, GeolocError
from tests.geoloc.bundle.publisher import Publisher

LARGE = "members.faiss"
SIZE = 500_000


def write_bundle(folder, seed=0):
    """Files with the names and checksums of a bundle; enough for everything but loading."""
    rng = np.random.default_rng(seed)
    folder.mkdir(exist_ok=True)
    for name in directory.FILES:
        (folder / name).write_bytes(rng.bytes(SIZE if name == LARGE else 1000))
    (folder / "bundle.json").unlink(missing_ok=True)
    spec = SimpleNamespace(to_dict=lambda: {"model": "none", "kind": "onnx"})
    directory.seal(folder, "world", spec, {}, {"MIT": 1})
    return folder


def rewrite(folder, **changes):
    path = folder / "bundle.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def published(tmp_path):
    return write_bundle(tmp_path / "published")


@pytest.fixture
def publisher(published):
    with Publisher(published) as server:
        yield server


@pytest.fixture
def target(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(download, "TIMEOUT_S", 5)
    return installed.target("world")


def refused(address, target):
    """The one line that says why nothing was installed."""
    with pytest.raises(BundleError) as error:
        download.fetch(address, target)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_starter_is_fetched_and_answers(target):
    with Publisher(directory.EMBEDDED / "starter") as server:
        assert download.fetch(server.address, target) == target
    assert directory.load("world").path == target
    assert contents(target) == contents(directory.EMBEDDED / "starter")
    assert [path.name for path in target.parent.iterdir()] == ["world"]


def test_progress_adds_up_to_the_bytes(publisher, published, target):
    told = []
    download.fetch(publisher.address, target, lambda *news: told.append(news))
    assert sum(came for came, _ in told) == sum(map(len, contents(published).values()))
    assert {expected for _, expected in told} == {
        path.stat().st_size for path in published.iterdir()
    }
    assert len(told) > len(directory.FILES) + 5  # of a large file more than once


def test_the_address_may_lack_its_slash(publisher, published, target):
    download.fetch(publisher.address.rstrip("/"), target)
    assert contents(target) == contents(published)


@pytest.mark.parametrize("how", ["close_after", "reset_after", "hang_after"])
def test_a_broken_connection_is_resumed(publisher, published, target, monkeypatch, how):
    monkeypatch.setattr(download, "TIMEOUT_S", 1)
    getattr(publisher, how)[LARGE] = 300_000
    line = refused(publisher.address, target)
    assert LARGE in line
    assert "run the same command again" in line
    if how == "close_after":
        assert "300,000 of 500,000 bytes" in line
    assert not target.exists()
    assert installed.names() == []
    before = publisher.asked.copy()
    publisher.asked.clear()
    getattr(publisher, how).clear()

    told = []
    download.fetch(publisher.address, target, lambda *news: told.append(news))
    assert contents(target) == contents(published)
    ranges = dict(publisher.asked)
    assert ranges.pop("bundle.json") is None  # always the newest
    first = int(ranges[LARGE].removeprefix("bytes=").removesuffix("-"))
    assert first == 300_000 if how == "close_after" else 0 < first <= 300_000
    whole = {name for name, _ in before} - {"bundle.json", LARGE}
    assert not whole & set(ranges)  # nothing twice
    came = sum(came for came, expected in told if expected == SIZE)
    assert came == SIZE - first
    assert [path.name for path in target.parent.iterdir()] == ["world"]


def test_a_part_that_was_already_whole(publisher, published, target):
    publisher.close_after[LARGE] = 300_000
    refused(publisher.address, target)
    part = target.with_name(".world.download") / (LARGE + ".part")
    part.write_bytes((published / LARGE).read_bytes())
    publisher.close_after.clear()
    download.fetch(publisher.address, target)
    assert (LARGE, f"bytes={SIZE}-") in publisher.asked
    assert contents(target) == contents(published)


def test_a_server_that_only_sends_whole_files(publisher, published, target):
    publisher.ranges = False
    publisher.close_after[LARGE] = 300_000
    refused(publisher.address, target)
    publisher.close_after.clear()
    download.fetch(publisher.address, target)
    assert contents(target) == contents(published)


def test_a_server_that_does_not_say_how_long_a_file_is(publisher, published, target):
    publisher.tells_length = False
    told = []
    download.fetch(publisher.address, target, lambda *news: told.append(news))
    assert contents(target) == contents(published)
    assert {expected for _, expected in told} == {None}
    publisher.close_after[LARGE] = 300_000
    assert f"{LARGE}: its checksum differs" in refused(publisher.address, target)
    assert contents(target) == contents(published)


def test_a_wrong_checksum_leaves_the_older_bundle(publisher, published, target):
    download.fetch(publisher.address, target)
    older = contents(target)
    write_bundle(published, seed=1)
    good = (published / LARGE).read_bytes()
    (published / LARGE).write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    assert f"{LARGE}: its checksum differs" in refused(publisher.address, target)
    assert contents(target) == older
    partial = target.with_name(".world.download")
    assert not [path for path in partial.iterdir() if path.name.startswith(LARGE)]
    (published / LARGE).write_bytes(good)
    download.fetch(publisher.address, target)
    assert contents(target) == contents(published) != older
    assert [path.name for path in target.parent.iterdir()] == ["world"]


def test_what_came_of_an_earlier_version_is_not_mixed_in(publisher, published, target):
    (published / "extra.onnx").write_bytes(b"x" * 1000)
    (published / "bundle.json").unlink()
    directory.seal(published, "world", SimpleNamespace(to_dict=dict), {}, {})
    publisher.close_after["prototypes.faiss"] = 10  # after extra.onnx
    refused(publisher.address, target)
    partial = target.with_name(".world.download")
    assert {"extra.onnx", "prototypes.faiss.part"} <= set(contents(partial))
    publisher.close_after.clear()
    (published / "extra.onnx").unlink()
    write_bundle(published, seed=1)
    with pytest.raises(BundleError, match=r"prototypes.faiss: its checksum differs"):
        download.fetch(publisher.address, target)
    download.fetch(publisher.address, target)
    assert contents(target) == contents(published)


@pytest.mark.parametrize("name", ["bundle.json", LARGE])
@pytest.mark.parametrize("code", [404, 500])
def test_what_the_server_refuses_is_named(publisher, target, name, code):
    publisher.status[name] = code
    line = refused(publisher.address, target)
    assert f"{publisher.address}{name}: {code}" in line
    assert not target.exists()
    if name == "bundle.json":
        assert list(target.parent.iterdir()) == []


def test_a_place_that_cannot_be_reached(target):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = refused(f"http://127.0.0.1:{port}/world/", target)
    assert f"127.0.0.1:{port}" in line
    assert "copy the bundle from another machine" in line
    assert list(target.parent.iterdir()) == []


def test_a_server_that_says_nothing(target, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        line = refused(f"http://127.0.0.1:{silent.getsockname()[1]}/world/", target)
    assert "cannot be reached (timed out)" in line


@pytest.mark.parametrize(
    "address",
    [
        "world",
        "/a/path",
        "file:///etc",
        "ftp://h/x/",
        "http://",
        "http://[::1/x/",
        "http://h/ü/",
        "hf:ü/x",
    ],
)
def test_what_is_no_address(target, address):
    assert f"{address}: not an address" in refused(address, target)
    assert not target.parent.exists()


@pytest.mark.parametrize("address", ["http://a b/x/", "http://127.0.0.1:port/x/"])
def test_an_address_that_leads_nowhere(target, address):
    assert "cannot be reached" in refused(address, target)


def test_no_space_is_said_before_it_is_used(publisher, published, target, monkeypatch):
    usage = SimpleNamespace(free=download.MARGIN_BYTES + 2 * SIZE // 3)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    line = refused(publisher.address, target)
    assert "free some space" in line
    assert "MB are needed" in line
    assert not target.exists()
    assert LARGE + ".part" not in contents(target.with_name(".world.download"))
    monkeypatch.undo()
    download.fetch(publisher.address, target)
    assert contents(target) == contents(published)


def test_a_disk_that_gets_full(publisher, published, target):
    partial = target.with_name(".world.download")
    partial.mkdir(parents=True)
    (partial / (LARGE + ".part")).symlink_to("/dev/full")
    line = refused(publisher.address, target)
    assert "No space left on device" in line
    assert "cannot be reached" not in line
    (partial / (LARGE + ".part")).unlink()
    download.fetch(publisher.address, target)
    assert contents(target) == contents(published)


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", ".x", "..", "", "a/b", "a\0b", "a\\b", "\ud800", "x" * 300]
)
def test_hostile_names_are_not_written(publisher, published, target, name, tmp_path):
    (tmp_path / "x").write_text("mine")
    checksums = json.loads((published / "bundle.json").read_text())["sha256"]
    rewrite(published, sha256={name: "0" * 64} | checksums)
    line = refused(publisher.address, target)
    assert publisher.address in line
    assert "do not trust" in line
    assert [name for name, _ in publisher.asked] == ["bundle.json"]
    assert (tmp_path / "x").read_text() == "mine"


@pytest.mark.parametrize(
    "text", ["<!doctype html><p>Hello", "", "[]", "{}", '{"sha256": 3}', '{"sha256": [[1, 2]]}']
)
def test_what_is_no_bundle(publisher, published, target, text):
    (published / "bundle.json").write_text(text)
    line = refused(publisher.address, target)
    assert publisher.address in line
    assert not target.exists()


def test_a_bundle_that_lacks_files_or_is_of_another_version(publisher, published, target):
    checksums = json.loads((published / "bundle.json").read_text())["sha256"]
    del checksums["cells.parquet"]
    rewrite(published, sha256=checksums)
    assert "cells.parquet" in refused(publisher.address, target)
    rewrite(published, schema_version=99)
    assert "schema 99" in refused(publisher.address, target)
    assert installed.names() == []


def test_what_is_no_bundle_is_not_replaced(publisher, target):
    target.mkdir(parents=True)
    (target / "dear.txt").write_text("…")
    assert "not a bundle" in refused(publisher.address, target)
    assert publisher.asked == []
    assert contents(target) == {"dear.txt": "…".encode()}


def test_half_a_download_is_no_bundle(publisher, target):
    publisher.close_after[LARGE] = 100
    refused(publisher.address, target)
    (half,) = target.parent.iterdir()
    assert (half / "bundle.json").is_file()  # and yet:
    assert half.name not in directory.names()
    for name in ("world", half.name):
        with pytest.raises(BundleError, match="no such bundle"):
            directory.find(name)


def test_the_hub(publisher, published, target, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", publisher.url)
    publisher.prefix = "/somebody/world/resolve/main/"
    download.fetch("hf:somebody/world", target)
    assert contents(target) == contents(published)
    with pytest.raises(GeolocError, match="404"):
        download.fetch("hf:somebody/else", installed.target("else"))
