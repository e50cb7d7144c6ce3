"""What is wrong with the network is said in one line: no network, proxies, clocks, licences."""

import json
import socket
import ssl
import threading
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from filelock import FileLock

from geoloc.bundle import directory, download, hub, network, transfer
from geoloc.bundle.transfer import Remote, fetch_file
from geoloc.errors import BundleError
from tests.geoloc.bundle.publisher import Hub, Publisher

SIZE = 1_000_000


def refused(remote, path):
    with pytest.raises(BundleError) as error:
        fetch_file(remote, path, lambda received, expected: None)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def content(tmp_path):
    folder = tmp_path / "published"
    folder.mkdir()
    data = bytes(range(256)) * (SIZE // 256)
    (folder / "large.bin").write_bytes(data)
    return data


@pytest.fixture
def server(content, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "RANGE_BYTES", 100_000)
    with Publisher(tmp_path / "published") as running:
        yield running


def remote(server, **options):
    address = server.address + "large.bin"
    return Remote(address, address, **options)


def test_a_large_file_comes_in_parallel_ranges(server, content, tmp_path):
    received = []
    path = tmp_path / "large.bin"
    fetch_file(remote(server), path, lambda new, expected: received.append((new, expected)))
    assert path.read_bytes() == content
    assert sum(new for new, _ in received) == len(content)
    assert {expected for _, expected in received} == {len(content)}
    ranges = {asked for _, asked in server.requests}
    assert len(ranges) == -(-len(content) // 100_000)
    assert None in ranges  # the first request learns the length
    assert sorted(p.name for p in tmp_path.iterdir()) == ["large.bin", "published"]


def test_ranges_are_resumed_and_not_fetched_twice(server, content, tmp_path, monkeypatch):
    monkeypatch.setattr(network, "TIMEOUT_S", 2)
    path = tmp_path / "large.bin"
    whole = content
    part = tmp_path / "large.bin.part"
    part.write_bytes(whole[:100_000])
    part.with_name("large.bin.part3").write_bytes(whole[300_000:400_000])
    part.with_name("large.bin.part4").write_bytes(whole[400_000:450_000])
    fetch_file(remote(server), path, lambda new, expected: None)
    assert path.read_bytes() == whole
    asked = {asked for _, asked in server.requests}
    assert "bytes=100000-" in asked
    assert "bytes=450000-499999" in asked
    assert not any(each and each.startswith("bytes=300000") for each in asked)


def test_a_crash_while_ranges_are_joined_loses_nothing(server, content, tmp_path):
    part = tmp_path / "large.bin.part"
    part.write_bytes(content[:230_000])  # the second was being appended
    part.with_name("large.bin.part2").write_bytes(content[200_000:300_000])
    fetch_file(remote(server), tmp_path / "large.bin", lambda new, expected: None)
    assert (tmp_path / "large.bin").read_bytes() == content


def test_a_file_of_another_length_or_checksum_is_refused(server, tmp_path):
    for options in ({"size": 7}, {"sha256": "0" * 64}):
        assert "checksum differs" in refused(remote(server, **options), tmp_path / "large.bin")
        assert [path.name for path in tmp_path.iterdir()] == ["published"]


def test_a_web_page_of_a_proxy_is_not_taken_for_the_file(server, tmp_path, monkeypatch):
    from tests.geoloc.bundle import publisher

    send = publisher.StaticHandler.send_part
    page = {"Content-Type": "text/html; charset=utf-8"}
    monkeypatch.setattr(
        publisher.StaticHandler,
        "send_part",
        lambda self, name, data, _: send(self, name, data, page),
    )
    line = refused(remote(server), tmp_path / "large.bin")
    assert "a web page came instead of the file" in line
    assert "HTTPS_PROXY" in line


def test_a_web_page_instead_of_the_hub_is_reported(monkeypatch, tmp_path):
    from huggingface_hub import constants

    (tmp_path / "published").mkdir()
    with Hub(tmp_path / "published", "somebody/world") as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(
            server.RequestHandlerClass, "answer", lambda self, value: login_page(self)
        )
        with pytest.raises(BundleError, match="a web page came instead of the answer"):
            hub.Repository.find("somebody/world")


def login_page(handler):
    handler.send_response(200)
    handler.send_header("Content-Type", "text/html")
    handler.send_header("Content-Length", "6")
    handler.end_headers()
    handler.wfile.write(b"<html>")


@pytest.mark.parametrize("reason", ["certificate is not yet valid", "certificate has expired"])
def test_a_wrong_clock_is_named(reason):
    inner = ssl.SSLCertVerificationError(f"[SSL: CERTIFICATE_VERIFY_FAILED] {reason} (_ssl.c:1000)")
    line = str(network.unreachable("hf:a/b", httpx.ConnectError(str(inner))))
    assert "its certificate is not valid on 20" in line
    assert "correct the clock" in line


def test_a_host_that_does_not_connect_is_reported_within_the_limit(monkeypatch):
    """A name that is never resolved would otherwise block for as long as the system likes."""
    monkeypatch.setattr(network, "REACH_S", 0.05)
    asked, over = threading.Event(), threading.Event()

    def never(*arguments):
        asked.set()
        over.wait(20)
        raise OSError

    monkeypatch.setattr(socket, "create_connection", never)
    with pytest.raises(BundleError, match=r"hf:a/b: cannot be reached \(timed out\)"):
        network.reach("https://hub.invalid", "hf:a/b")
    over.set()
    assert asked.is_set()


def test_the_proxy_is_what_has_to_be_reached(monkeypatch):
    reached = []
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:3128")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    def connect(address, timeout):
        reached.append(address)
        return SimpleNamespace(close=lambda: None)

    monkeypatch.setattr(socket, "create_connection", connect)
    network.reach("https://hub.invalid/x", "x")
    monkeypatch.setenv("NO_PROXY", "hub.invalid")
    network.reach("https://hub.invalid/x", "x")
    assert reached == [("proxy.invalid", 3128), ("hub.invalid", 443)]


def test_offline_mode_opens_no_connection(monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(socket, "create_connection", lambda *arguments: pytest.fail("connected"))
    with pytest.raises(BundleError, match="HF_HUB_OFFLINE is set"):
        hub.Repository.find("somebody/world")


def test_a_licence_that_was_not_accepted_on_the_hub_is_named(monkeypatch):
    from huggingface_hub import HfApi, constants, errors

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "reach", lambda *arguments: None)

    def gated(*arguments, **options):
        response = httpx.Response(403, request=httpx.Request("GET", "https://hub.invalid"))
        raise errors.GatedRepoError("gated", response=response)

    monkeypatch.setattr(HfApi, "model_info", gated)
    with pytest.raises(BundleError, match=r"who accepted the licence.*hf auth login"):
        hub.Repository.find("meta/model")


def test_a_file_that_vanished_from_a_repository_is_named():
    with pytest.raises(BundleError, match=r"hf:a/b/model\.bin: the repository no longer has"):
        hub.Repository("a/b", "main", {"other.bin": (1, None)}).remote("model.bin")


def test_two_downloads_of_one_bundle_do_not_disturb_each_other(tmp_path):
    target = tmp_path / "bundles" / "world"
    with download.unfinished(target) as partial:
        (partial / "half.part").write_bytes(b"x")
        with (
            pytest.raises(BundleError, match="world: another process is downloading it"),
            download.unfinished(target),
        ):
            pytest.fail("entered")
        assert (partial / "half.part").exists()
        assert FileLock(partial / ".lock").lock_file
    assert list(target.parent.iterdir()) == []


def test_a_bundle_is_packed_and_unpacked(tmp_path):
    from geoloc.bundle import packed

    starter = directory.EMBEDDED / "starter"
    size = packed.pack(starter, tmp_path / "out" / "starter.tar")
    assert size > sum(path.stat().st_size for path in starter.iterdir())
    packed.unpack(tmp_path / "out" / "starter.tar", tmp_path / "there")
    for path in starter.iterdir():
        assert (tmp_path / "there" / path.name).read_bytes() == path.read_bytes()
    whole = (tmp_path / "out" / "starter.tar").read_bytes()
    for name, content in {"half": whole[: len(whole) // 2], "none": b"", "page": b"<html>"}.items():
        (tmp_path / f"{name}.tar").write_bytes(content)
        with pytest.raises(BundleError, match=r"not a packed bundle|damaged bundle"):
            packed.unpack(tmp_path / f"{name}.tar", tmp_path / name)
        assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", ".hidden", "a/b"])
def test_a_packed_file_writes_nothing_outside_its_folder(tmp_path, name):
    import io
    import tarfile

    from geoloc.bundle import packed

    with tarfile.open(tmp_path / "evil.tar", "w") as archive:
        info = tarfile.TarInfo(name)
        info.size = 4
        archive.addfile(info, io.BytesIO(b"evil"))
    with pytest.raises(BundleError, match="do not trust it"):
        packed.unpack(tmp_path / "evil.tar", tmp_path / "bundle")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.tar"]


def test_loading_does_not_read_unchanged_files_again_but_verifying_does(tmp_path, monkeypatch):
    import os
    import shutil

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    bundle = tmp_path / "bundle"
    shutil.copytree(directory.EMBEDDED / "starter", bundle)
    for path in bundle.iterdir():
        os.utime(path, (1_700_000_000, 1_700_000_000))  # files that settled long ago
    directory.verify(bundle, remembered=True)
    from geoloc.io import digests

    read = []
    monkeypatch.setattr(digests, "sha256", lambda path: read.append(path.name) or "0")
    directory.verify(bundle, remembered=True)
    assert read == []
    (bundle / "MODEL_CARD.md").write_text("changed")
    with pytest.raises(BundleError, match=r"MODEL_CARD\.md: damaged bundle"):
        directory.verify(bundle, remembered=True)
    monkeypatch.undo()
    names = json.loads((bundle / "bundle.json").read_text())["sha256"]
    assert set(names) <= {Path(path).name for path in map(str, bundle.iterdir())}
