"""Every entry of the catalogue becomes a bundle that answers, where torch cannot be imported."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("onnx")
pytest.importorskip("torch")  # writes the fabricated checkpoints

from geoloc.bundle import directory
from geoloc.bundle.catalogue import catalogue
from geoloc.errors import BundleError, TableError
from geoloc.io.progress import NullReporter
from tests.geoloc.bundle.fabricated import fabricate
from tests.geoloc.bundle.publisher import Hub
from training.recipes import catalogued

BUILDABLE = {name: entry for name, entry in catalogue().items() if not entry.missing}
PHOTOS = 9


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    for name, entry in BUILDABLE.items():
        fabricate(entry, folder / name)
    return folder


@pytest.fixture(scope="module")
def photos(photo_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    for number in range(PHOTOS):
        shutil.copy(photo_folder / f"{number:02}.jpg", folder)
    return folder


@pytest.mark.parametrize("kind", ["world", "encoder"])
def test_every_entry_is_built_and_answers_without_torch(files, photos, tmp_path, kind):
    script = Path(__file__).with_name("without_torch.py")
    done = subprocess.run(
        [sys.executable, script, files, tmp_path, photos, kind],
        cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *answers, last = map(json.loads, done.stdout.splitlines())
    assert last["loaded"] == []
    assert [each["name"] for each in answers] == [
        name for name, entry in BUILDABLE.items() if entry.kind == kind
    ]
    for answer in answers:
        assert "error" not in answer, answer["error"]
        assert answer["confidence"] == "not sure"  # nothing is claimed before it is calibrated
    for answer in answers:
        bundle = directory.load(tmp_path / answer["name"])
        entry = BUILDABLE[answer["name"]]
        assert any(entry.licence in licence for licence in bundle_licences(bundle.path))
        assert "int8 form" in (bundle.path / "MODEL_CARD.md").read_text("utf-8"), "or why not"
        if kind == "encoder":
            assert len(bundle.ranker.gallery.members) == PHOTOS
            assert "Not calibrated" in (bundle.path / "MODEL_CARD.md").read_text("utf-8")


def bundle_licences(path):
    return json.loads((path / "bundle.json").read_text(encoding="utf-8"))["licences"]


def install(name, paths, out, **options):
    return catalogued.install(
        BUILDABLE[name], paths, out / name, cache=out, report=NullReporter(), **options
    )


def test_a_file_of_another_version_is_refused_by_name(files, photos, tmp_path):
    other = [files / "dinov3" / BUILDABLE["dinov3"].files[0].local("model.safetensors")]
    with pytest.raises(BundleError, match="holds no timm image tower") as refused:
        install("pe-core", other, tmp_path, photos=photos)
    assert str(other[0]) in str(refused.value)
    assert not (tmp_path / "pe-core").exists()
    assert [path.name for path in tmp_path.iterdir()] == []


def test_half_a_file_is_refused_by_name(files, photos, tmp_path):
    whole = files / "megaloc" / BUILDABLE["megaloc"].files[0].local("model.safetensors")
    half = tmp_path / "half" / "model.safetensors"
    half.parent.mkdir()
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(BundleError, match="cut off") as refused:
        install("megaloc", [half], tmp_path, photos=photos)
    assert str(half) in str(refused.value)


def test_photos_without_positions_are_refused(files, photo_folder, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    shutil.copy(photo_folder / "without.jpg", folder)
    path = files / "osv5m" / BUILDABLE["osv5m"].files[0].local("model.safetensors")
    with pytest.raises(TableError, match=str(folder)):
        install("osv5m", [path], tmp_path, photos=folder)


@pytest.mark.slow
def test_an_encoder_is_installed_from_the_hub_with_one_command(
    files, photos, tmp_path, monkeypatch
):
    """From the Hub, which is a local server, to an answer; with the whole command line."""
    entry = BUILDABLE["megaloc"]
    published = tmp_path / "published"
    published.mkdir()
    local = entry.files[0].local("model.safetensors")
    shutil.copy(files / "megaloc" / local, published / "model.safetensors")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def geoloc(*arguments):
        command = [sys.executable, "-m", "geoloc", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    with Hub(published, entry.files[0].repository) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        printed = geoloc("bundle", "get", "megaloc", "--photos", photos, "--name", "mine")
        assert "geoloc locate PHOTO --bundle mine" in printed
    assert [path.name for path in (tmp_path / "data" / "planet-geoloc" / "bundles").iterdir()] == [
        "mine"
    ]
    answer = json.loads(geoloc("locate", photos / "00.jpg", "--bundle", "mine", "--json"))
    assert answer["candidates"]
    assert "MegaLoc" in geoloc("bundle", "list")
