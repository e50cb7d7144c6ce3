"""Downloads of bundles from a local server, with interruptions, damage and hostile content."""

import json
import shutil
import socket
from types import SimpleNamespace

import numpy as np
import pytest

from geoloc.bundle import directory, download, installed, network
from geoloc.errors import BundleError, GeolocError
from geoloc.retrieval.tables import MEMBERS
from tests.geoloc.bundle.publisher import Hub, Publisher

LARGE = "members.faiss"
SIZE = 500_000


def write_bundle(folder, seed=0):
    """Write files with the names and checksums of a bundle; they can be verified, not loaded."""
    rng = np.random.default_rng(seed)
    folder.mkdir(exist_ok=True)
    for name in (*directory.FILES, MEMBERS):
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
    monkeypatch.setattr(network, "TIMEOUT_S", 5)
    return installed.target("world")


def error_of(address, target):
    """Return the one-line error of a download that fails."""
    with pytest.raises(BundleError) as error:
        download.fetch(address, target)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_downloaded_bundle_loads(target):
    with Publisher(directory.EMBEDDED / "starter") as server:
        assert download.fetch(server.address, target) == target
    assert directory.load("world").path == target
    assert contents(target) == contents(directory.EMBEDDED / "starter")
    assert [path.name for path in target.parent.iterdir()] == ["world"]


def test_progress_sums_to_the_size(publisher, published, target):
    reports = []
    download.fetch(publisher.address, target, lambda *report: reports.append(report))
    assert sum(received for received, _ in reports) == sum(map(len, contents(published).values()))
    assert {expected for _, expected in reports} == {
        path.stat().st_size for path in published.iterdir()
    }
    assert len(reports) > len(directory.FILES) + 5  # of a large file more than once


def test_the_final_slash_is_optional(publisher, published, target):
    download.fetch(publisher.address.rstrip("/"), target)
    assert contents(target) == contents(published)


@pytest.mark.parametrize("how", ["close_after", "reset_after", "hang_after"])
def test_a_broken_connection_is_resumed(publisher, published, target, monkeypatch, how):
    monkeypatch.setattr(network, "TIMEOUT_S", 1)
    getattr(publisher, how)[LARGE] = 300_000
    line = error_of(publisher.address, target)
    assert LARGE in line
    assert "run the same command again" in line
    if how == "close_after":
        assert "300,000 of 500,000 bytes" in line
    assert not target.exists()
    assert installed.names() == []
    before = publisher.requests.copy()
    publisher.requests.clear()
    getattr(publisher, how).clear()

    reports = []
    download.fetch(publisher.address, target, lambda *report: reports.append(report))
    assert contents(target) == contents(published)
    ranges = dict(publisher.requests)
    assert ranges.pop("bundle.json") is None  # always the newest
    first = int(ranges[LARGE].removeprefix("bytes=").removesuffix("-"))
    assert first == 300_000 if how == "close_after" else 0 < first <= 300_000
    whole = {name for name, _ in before} - {"bundle.json", LARGE}
    assert not whole & set(ranges)  # nothing twice
    received = sum(received for received, expected in reports if expected == SIZE)
    assert received == SIZE - first
    assert [path.name for path in target.parent.iterdir()] == ["world"]


def test_a_complete_part_is_not_downloaded_again(publisher, published, target):
    publisher.close_after[LARGE] = 300_000
    error_of(publisher.address, target)
    part = target.with_name(".world.download") / (LARGE + ".part")
    part.write_bytes((published / LARGE).read_bytes())
    publisher.close_after.clear()
    download.fetch(publisher.address, target)
    assert (LARGE, f"bytes={SIZE}-") in publisher.requests
    assert contents(target) == contents(published)


def test_a_server_without_range_requests(publisher, published, target):
    publisher.ranges = False
    publisher.close_after[LARGE] = 300_000
    error_of(publisher.address, target)
    publisher.close_after.clear()
    download.fetch(publisher.address, target)
    assert contents(target) == contents(published)


def test_a_server_without_content_length(publisher, published, target):
    publisher.sends_length = False
    reports = []
    download.fetch(publisher.address, target, lambda *report: reports.append(report))
    assert contents(target) == contents(published)
    assert {expected for _, expected in reports} == {None}
    publisher.close_after[LARGE] = 300_000
    assert f"{LARGE}: its checksum differs" in error_of(publisher.address, target)
    assert contents(target) == contents(published)


def test_a_wrong_checksum_keeps_the_older_bundle(publisher, published, target):
    download.fetch(publisher.address, target)
    older = contents(target)
    write_bundle(published, seed=1)
    good = (published / LARGE).read_bytes()
    (published / LARGE).write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    assert f"{LARGE}: its checksum differs" in error_of(publisher.address, target)
    assert contents(target) == older
    partial = target.with_name(".world.download")
    assert not [path for path in partial.iterdir() if path.name.startswith(LARGE)]
    (published / LARGE).write_bytes(good)
    download.fetch(publisher.address, target)
    assert contents(target) == contents(published) != older
    assert [path.name for path in target.parent.iterdir()] == ["world"]


def test_parts_of_an_earlier_version_are_discarded(publisher, published, target):
    (published / "extra.onnx").write_bytes(b"x" * 1000)
    (published / "bundle.json").unlink()
    directory.seal(published, "world", SimpleNamespace(to_dict=dict), {}, {})
    publisher.close_after["prototypes.faiss"] = 10  # after extra.onnx
    error_of(publisher.address, target)
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
def test_an_http_error_names_the_file(publisher, target, name, code):
    publisher.status[name] = code
    line = error_of(publisher.address, target)
    assert f"{publisher.address}{name}: {code}" in line
    assert not target.exists()
    if name == "bundle.json":
        assert list(target.parent.iterdir()) == []


def test_an_unreachable_server(target):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = error_of(f"http://127.0.0.1:{port}/world/", target)
    assert f"127.0.0.1:{port}" in line
    assert "copy the bundle from another machine" in line
    assert list(target.parent.iterdir()) == []


def test_a_server_that_does_not_respond(target, monkeypatch):
    monkeypatch.setattr(network, "TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        line = error_of(f"http://127.0.0.1:{silent.getsockname()[1]}/world/", target)
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
def test_invalid_addresses_are_refused(target, address):
    assert f"{address}: not an address" in error_of(address, target)
    assert not target.parent.exists()


@pytest.mark.parametrize("address", ["http://a b/x/", "http://127.0.0.1:port/x/"])
def test_an_unusable_host_or_port(target, address):
    assert "cannot be reached" in error_of(address, target)


def test_free_space_is_checked_before_a_download(publisher, published, target, monkeypatch):
    usage = SimpleNamespace(free=network.MARGIN_BYTES + 2 * SIZE // 3)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    line = error_of(publisher.address, target)
    assert "free some space" in line
    assert "MB are needed" in line
    assert not target.exists()
    assert LARGE + ".part" not in contents(target.with_name(".world.download"))
    monkeypatch.undo()
    download.fetch(publisher.address, target)
    assert contents(target) == contents(published)


def test_a_full_disk_is_reported(publisher, published, target):
    partial = target.with_name(".world.download")
    partial.mkdir(parents=True)
    (partial / (LARGE + ".part")).symlink_to("/dev/full")
    line = error_of(publisher.address, target)
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
    line = error_of(publisher.address, target)
    assert publisher.address in line
    assert "do not trust" in line
    assert [name for name, _ in publisher.requests] == ["bundle.json"]
    assert (tmp_path / "x").read_text() == "mine"


@pytest.mark.parametrize(
    "text", ["<!doctype html><p>Hello", "", "[]", "{}", '{"sha256": 3}', '{"sha256": [[1, 2]]}']
)
def test_a_manifest_that_is_not_a_bundle(publisher, published, target, text):
    (published / "bundle.json").write_text(text)
    line = error_of(publisher.address, target)
    assert publisher.address in line
    assert not target.exists()


def test_missing_files_and_other_schema_versions_are_refused(publisher, published, target):
    checksums = json.loads((published / "bundle.json").read_text())["sha256"]
    del checksums["cells.parquet"]
    rewrite(published, sha256=checksums)
    assert "cells.parquet" in error_of(publisher.address, target)
    rewrite(published, schema_version=99)
    assert "schema 99" in error_of(publisher.address, target)
    assert installed.names() == []


def test_a_folder_that_is_not_a_bundle_is_not_replaced(publisher, target):
    target.mkdir(parents=True)
    (target / "dear.txt").write_text("…")
    assert "not a bundle" in error_of(publisher.address, target)
    assert publisher.requests == []
    assert contents(target) == {"dear.txt": "…".encode()}


def test_an_unfinished_download_is_not_listed(publisher, target):
    publisher.close_after[LARGE] = 100
    error_of(publisher.address, target)
    (half,) = target.parent.iterdir()
    assert (half / "bundle.json").is_file()  # and yet:
    assert half.name not in directory.names()
    for name in ("world", half.name):
        with pytest.raises(BundleError, match="no such bundle"):
            directory.find(name)


@pytest.fixture
def hub(published, monkeypatch):
    from huggingface_hub import constants

    with Hub(published, "somebody/world") as server:
        template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield server


def test_a_bundle_from_the_hub_is_installed(hub, published, target):
    (published / "unrelated.bin").write_bytes(b"x")
    download.fetch("hf:somebody/world", target)
    (published / "unrelated.bin").unlink()
    assert contents(target) == contents(published)
    assert [path.name for path in target.parent.iterdir()] == ["world"]
    with pytest.raises(GeolocError, match="hf:somebody/else: the Hub has no such"):
        download.fetch("hf:somebody/else", installed.target("else"))
    assert [path.name for path in target.parent.iterdir()] == ["world"]


def test_a_damaged_file_on_the_hub_is_downloaded_again(hub, published, target):
    good = (published / LARGE).read_bytes()
    (published / LARGE).write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    assert f"{LARGE}: its checksum differs" in error_of("hf:somebody/world", target)
    assert not target.exists()
    (published / LARGE).write_bytes(good)
    whole = {name for name, _ in hub.requests} - {LARGE, "bundle.json"}
    hub.requests.clear()
    download.fetch("hf:somebody/world", target)
    assert contents(target) == contents(published)
    assert not whole & {name for name, _ in hub.requests}  # nothing twice


def test_free_space_is_checked_before_a_download_from_the_hub(hub, target, monkeypatch):
    usage = SimpleNamespace(free=network.MARGIN_BYTES + SIZE // 2)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert "MB are needed" in error_of("hf:somebody/world", target)
    assert {name for name, _ in hub.requests} == {"bundle.json"}


def test_an_unreachable_hub(target, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert "hf:somebody/world: cannot be reached" in error_of("hf:somebody/world", target)
