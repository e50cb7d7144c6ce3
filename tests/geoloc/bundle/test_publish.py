"""`geoloc bundle push`: a bundle on a Hub, with its card, licences and checksums."""

import json
import shutil

import pytest

from geoloc.bundle import directory
from geoloc.bundle.publish import card
from geoloc.errors import BundleError
from geoloc.io.digests import sha256
from tests.commands import process
from tests.geoloc.bundle.upload_hub import UploadHub

STARTER = directory.EMBEDDED / "starter"
REPOSITORY = "somebody/streets"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The starter without what makes it large; it is not loaded here."""
    folder = tmp_path_factory.mktemp("push") / "streets"
    folder.mkdir()
    manifest = json.loads((STARTER / "bundle.json").read_text(encoding="utf-8"))
    for name in manifest["sha256"]:
        large = (STARTER / name).stat().st_size > 200_000
        (folder / name).write_bytes(name.encode() if large else (STARTER / name).read_bytes())
        manifest["sha256"][name] = sha256(folder / name)
    (folder / "bundle.json").write_text(json.dumps(manifest))
    return folder


def push(server, *arguments, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("HF_TOKEN", "hf_" + "x" * 34)
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    return process("bundle", "push", *arguments)


def test_bundle_is_published_whole_with_its_card(small, monkeypatch):
    with UploadHub(REPOSITORY) as server:
        server.store["old.onnx"] = b"of an earlier version"
        done = push(server, small, f"hf:{REPOSITORY}", monkeypatch=monkeypatch)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        assert done.stdout.startswith("published: ")
        assert server.created[0]["visibility"] == "private"
        assert server.commits == ["Bundle starter"]
        files = {*directory.verify(small)["sha256"], "bundle.json", "README.md"}
        assert {*server.store} == files, "and what an earlier version left is deleted"
        for name in files - {"README.md"}:
            assert server.store[name] == (small / name).read_bytes()
        text = server.store["README.md"].decode()
    assert f"geoloc bundle get hf:{REPOSITORY}" in text
    assert "| CC-BY-SA-4.0 |" in text
    assert sha256(small / "calibration.json") in text
    assert text.startswith("---\nlicense: other\n")


def test_refusal_of_the_hub_is_one_line(small, monkeypatch):
    with UploadHub(REPOSITORY, refuse=401) as server:
        done = push(server, small, REPOSITORY, monkeypatch=monkeypatch)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert f"hf:{REPOSITORY}: cannot be published" in line
    assert "hf auth login" in line


def test_file_that_arrives_damaged_is_noticed(small, monkeypatch):
    with UploadHub(REPOSITORY) as server:
        server.damage = "calibration.json"
        done = push(server, small, REPOSITORY, monkeypatch=monkeypatch)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "calibration.json: arrived damaged; run the same command again" in line


def test_bundle_that_needs_this_machine_is_not_published(small, tmp_path, monkeypatch):
    shutil.copytree(small, tmp_path / "local")
    manifest = json.loads((small / "bundle.json").read_text())
    manifest["encoder"]["model"] = "local-dir:/home/somebody/model"
    (tmp_path / "local" / "bundle.json").write_text(json.dumps(manifest))
    with UploadHub(REPOSITORY) as server:
        done = push(server, tmp_path / "local", REPOSITORY, monkeypatch=monkeypatch)
        assert server.created == []
    (line,) = done.stderr.splitlines()
    assert "its encoder names 'local-dir:/home/somebody/model'" in line


def test_single_licence_is_that_of_the_repository(small):
    manifest = {**directory.verify(small), "licences": {"CC-BY-4.0": 12}}
    assert card(small, manifest, REPOSITORY).splitlines()[1] == "license: cc-by-4.0"


def test_damaged_bundle_is_not_published(small, tmp_path):
    shutil.copytree(small, tmp_path / "damaged")
    (tmp_path / "damaged" / "calibration.json").write_text("{}")
    with pytest.raises(BundleError, match="its checksum differs"):
        directory.verify(tmp_path / "damaged")
