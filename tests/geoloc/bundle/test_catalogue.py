"""The catalogue: complete entries, licences before downloads, files from the Hub or a folder."""

import dataclasses
import hashlib
import shutil

import pytest

from geoloc.bundle import hub
from geoloc.bundle.catalogue import catalogue, licence_lines
from geoloc.bundle.origins import Origin, compare_and_record
from geoloc.cli import obtain
from geoloc.cli.bundle import show
from geoloc.encoders.towers.families import FAMILIES
from geoloc.errors import BundleError
from tests.geoloc.bundle.publisher import Hub


def nothing(received, expected):
    """Report no progress."""


def test_every_entry_says_what_a_user_has_to_know():
    assert {"geoclip", "geospot", "megaloc", "pe-core", "siglip2", "dinov3", "osv5m", "plonk"} <= {
        *catalogue()
    }
    for entry in catalogue().values():
        for value in (entry.title, entry.licence, entry.use, entry.good_at, entry.tested):
            assert value, entry.name
        assert entry.size_mb > 0
        assert bool(entry.missing) != bool(entry.files)
        if not entry.missing:
            assert entry.family in {*FAMILIES, "onnx"}
            assert entry.pixels is not None


def test_no_default_forbids_commercial_use():
    from geoloc.bundle import installed

    assert catalogue()[installed.WORLD].commercial
    assert not catalogue()[installed.WORLD].needs_accepting


@pytest.mark.parametrize("name", ["streetclip", "dinov3"])
def test_a_licence_with_terms_is_accepted_by_its_name(name):
    entry = catalogue()[name]
    for accepted in (None, "yes", "MIT"):
        with pytest.raises(BundleError, match="--accept-licence") as refused:
            entry.check_licence(accepted)
        assert entry.licence in str(refused.value)
    entry.check_licence(entry.licence.upper())
    catalogue()["geoclip"].check_licence(None)


def test_the_licence_is_shown_before_anything_is_fetched(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(hub.Repository, "find", lambda *given: pytest.fail("asked the Hub"))
    assert obtain.get("streetclip", photos=tmp_path, quiet=True) == 2
    *shown, line = capsys.readouterr().err.splitlines()
    assert shown == licence_lines(catalogue()["streetclip"])
    assert "forbids commercial use" in shown[1]
    assert "--accept-licence" in line


@pytest.mark.parametrize(
    ("name", "reason"),
    [("chipoint", "cannot be built yet: its 23-feature"), ("megaloc", "with --photos FOLDER")],
)
def test_what_cannot_be_built_is_said_before_anything_is_fetched(capsys, monkeypatch, name, reason):
    monkeypatch.setattr(hub.Repository, "find", lambda *given: pytest.fail("asked the Hub"))
    assert obtain.get(name) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert reason in line


def test_the_catalogue_is_listed_with_sizes_and_licences(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "250")
    assert show(available=True) == 0
    printed = capsys.readouterr().out
    for entry in catalogue().values():
        row = next(line for line in printed.splitlines() if line.split(" ")[0] == entry.name)
        assert entry.size in row
        assert entry.licence.split()[0] in row
    assert "(no commercial use)" in " ".join(printed.split())
    assert "cannot be built yet" in " ".join(printed.split())


@pytest.fixture
def published(tmp_path, monkeypatch):
    from huggingface_hub import constants

    folder = tmp_path / "published"
    folder.mkdir()
    with Hub(folder, "gberton/MegaLoc") as server:
        template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield folder


def test_files_come_from_the_hub_and_are_kept_for_the_next_try(published, tmp_path):
    (published / "model.safetensors").write_bytes(b"weights")
    partial = tmp_path / "partial"
    partial.mkdir()
    entry = catalogue()["megaloc"]
    (path,), (origin,) = entry.fetch(partial, None, nothing)
    assert path.read_bytes() == b"weights"
    assert origin.shown == "hf:gberton/MegaLoc/model.safetensors"
    assert origin.revision == Hub.sha
    assert origin.sha256 == hashlib.sha256(b"weights").hexdigest()
    assert path.parent == partial
    (published / "model.safetensors").unlink()
    with pytest.raises(BundleError, match="no longer has this file"):
        entry.fetch(partial, None, nothing)


def test_an_older_name_of_a_file_is_found(published, tmp_path):
    file = dataclasses.replace(catalogue()["megaloc"].files[0], older="pytorch_model.bin")
    entry = dataclasses.replace(catalogue()["megaloc"], files=(file,))
    (published / "pytorch_model.bin").write_bytes(b"weights")
    (path,), _ = entry.fetch(tmp_path, None, nothing)
    assert path.name.endswith("pytorch_model.bin")


def test_a_repository_that_vanished_is_named(published, tmp_path):
    with pytest.raises(BundleError, match="hf:sdan/geospot-base: the Hub has no such repository"):
        catalogue()["geospot"].fetch(tmp_path, None, nothing)


def test_given_files_are_taken_and_compared(tmp_path, monkeypatch):
    monkeypatch.setattr(hub.Repository, "find", lambda *given: pytest.fail("asked the Hub"))
    entry = catalogue()["megaloc"]
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    assert entry.fetch(tmp_path, tmp_path, nothing) == ([tmp_path / "model.safetensors"], [])
    shutil.move(
        tmp_path / "model.safetensors", tmp_path / entry.files[0].local("model.safetensors")
    )
    assert len(entry.fetch(tmp_path, tmp_path, nothing)[0]) == 1
    (tmp_path / "coordinates_100K.csv").write_text("LAT,LON\n1,2\n")
    with pytest.raises(BundleError, match=r"coordinates_100K\.csv: not the published file"):
        catalogue()["geoclip"].fetch(tmp_path, tmp_path, nothing)
    original = catalogue()["geoclip-original"]
    wheel_only = dataclasses.replace(original, files=original.files[1:])
    with pytest.raises(BundleError, match="is not on the Hub; give the folder"):
        wheel_only.fetch(tmp_path, None, nothing)


def test_a_disk_that_is_too_small_is_reported_before_the_download(published, tmp_path, monkeypatch):
    from geoloc.bundle import network

    (published / "model.safetensors").write_bytes(b"weights" * 1000)
    monkeypatch.setattr(network, "MARGIN_BYTES", 10**18)
    with pytest.raises(BundleError, match="free some space"):
        catalogue()["megaloc"].fetch(tmp_path, None, nothing)
    assert [path.name for path in tmp_path.iterdir()] == ["published"]


def test_options_that_do_not_apply_are_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert obtain.get("https://hub.invalid/x/", photos=tmp_path) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "are for models of the catalogue" in line
    with pytest.raises(BundleError, match="no such folder; check --files"):
        catalogue()["megaloc"].fetch(tmp_path, tmp_path / "nowhere", nothing)


def test_a_pinned_revision_is_asked_for_and_a_missing_one_is_named(published, tmp_path):
    (published / "model.safetensors").write_bytes(b"weights")
    entry = catalogue()["megaloc"]

    def fetch(revision):
        file = dataclasses.replace(entry.files[0], revision=revision)
        return dataclasses.replace(entry, files=(file,)).fetch(tmp_path, None, nothing)

    _, (origin,) = fetch(Hub.sha)
    assert origin.revision == Hub.sha
    with pytest.raises(BundleError, match="no longer has the revision that was tested"):
        fetch("0" * 40)
    pinned = [file for each in catalogue().values() for file in each.files if file.revision]
    assert pinned
    assert all(len(file.revision) == 40 for file in pinned)


def test_a_file_that_its_publisher_changed_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    first = Origin("hf:a/b/model.safetensors", "1" * 40, "2" * 64)
    assert compare_and_record([first]) == []
    assert compare_and_record([first]) == []
    (line,) = compare_and_record([dataclasses.replace(first, sha256="3" * 64)])
    assert line.startswith("hf:a/b/model.safetensors: changed by its publisher")
    assert "2" * 64 in line
    (tmp_path / "planet-geoloc" / "origins.json").write_text("[1")
    assert compare_and_record([first]) == []
