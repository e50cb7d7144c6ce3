"""The commands of the README work, and print what it shows."""

import csv
import re
import shlex
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from huggingface_hub import constants

from geoloc.bundle import installed
from geoloc.bundle.catalogue import catalogue
from tests.commands import in_process
from tests.geoloc.bundle.fabricated import fabricate
from tests.geoloc.bundle.publisher import Hub
from tests.geoloc.trips.library import write_decisions, write_gpx, write_library
from training.config import HeadConfig, WorldConfig
from training.recipes import catalogued
from training.recipes.geoclip import models

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MOST_WORDS = 1_200

EXAMPLES = re.findall(r"```bash\n(.*?)```(?:\n\n```text\n(.*?)```)?", README, flags=re.S)
"""Blocks of commands, each with the output that is shown below it."""


@pytest.fixture
def folder(tmp_path, photo_folder, monkeypatch):
    """A folder with the files that the README names, and the installed commands on the path."""
    examples = ROOT / "demo" / "examples"
    shutil.copytree(examples, tmp_path / "my-photos")
    shutil.copy(examples / "tower.jpg", tmp_path / "photo.jpg")
    (tmp_path / "demo").symlink_to(ROOT / "demo")
    write_library(tmp_path / "holiday")
    write_gpx(tmp_path / "walk.gpx")
    write_decisions(tmp_path / "decisions.json", "holiday", tmp_path)
    with (examples / "places.csv").open(encoding="utf-8") as table:
        places = list(csv.DictReader(table))
    truth = [f"{row['file']},{row['lat']},{row['lon']}" for row in places]
    answers = [f"{row['file']},{float(row['lat']) + 1:.4f},{row['lon']}" for row in places]
    (tmp_path / "places.csv").write_text("\n".join(["file,lat,lon", *truth]))
    (tmp_path / "answers.csv").write_text("\n".join(["photo,lat,lon", *answers]))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


def commands() -> list[tuple[str, str]]:
    """The `geoloc` commands of the README, each with the output shown below its block."""
    return [
        (line.split("  #")[0].strip(), shown)
        for block, shown in EXAMPLES
        for line in block.splitlines()
        if line.startswith("geoloc") and "../shared" not in line
    ]


def run(command: str, folder: Path) -> str:
    done = subprocess.run(
        shlex.split(command), cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout + done.stderr


def test_commands_print_the_places_that_are_shown(folder):
    """Probabilities may differ in the last digit between processors; places may not."""
    other = ("my.bundle", "bundle get")
    quick = [(line, shown) for line, shown in commands() if not any(o in line for o in other)]
    assert len(quick) >= 4
    for line, shown in quick:
        printed = run(line, folder)
        for place in re.findall(r"^\d  (.*?)  ", shown, flags=re.M):
            assert place in printed, line
    assert (folder / "answer.html").is_file()
    assert (folder / "map.html").is_file()
    assert (folder / "report.html").is_file()
    assert (folder / "review.html").is_file()
    assert len(list((folder / "holiday").glob("*.xmp"))) == 8


def test_the_world_model_is_one_command_and_without_a_network_it_says_so(folder, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / "data"))
    (line,) = (line for line, _ in commands() if "bundle get" in line)
    assert line == "geoloc bundle get geoclip"
    done = subprocess.run(
        [sys.executable, "-m", *line.split(), "--quiet"], cwd=ROOT, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    (message,) = done.stderr.splitlines()
    assert "HF_HUB_OFFLINE is set" in message


@pytest.mark.slow
def test_the_world_model_is_built_by_that_command_and_is_the_default_then(
    folder, monkeypatch, capsys
):
    """From the Hub, which is a local server with small networks, to an answer, without torch."""
    pytest.importorskip("onnx")
    gallery = Path(pytest.importorskip("geoclip").__file__).parent / "model" / "gps_gallery"
    entry = catalogue()["geoclip"]
    published = folder / "published"
    paths = dict(zip((file.name for file in entry.files), fabricate(entry, folder), strict=True))
    paths[entry.files[2].name] = gallery / Path(entry.files[2].name).name  # its checksum is known
    for name, path in paths.items():
        (published / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, published / name)
    heads = HeadConfig(tau_km=75.0, epochs=1, weight_decay=10.0, whitening=0.0)
    small = WorldConfig(per_cell=400, examples=200, held_out=40, heads=heads)
    build = partial(catalogued.install, config=small, points=300)
    monkeypatch.setattr(catalogued, "install", build)
    monkeypatch.setattr(catalogued, "everywhere", lambda places, points: places)
    monkeypatch.setattr(models, "PLACES", 300)
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / "data"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    (line,) = (line for line, _ in commands() if "bundle get" in line)
    geoloc = in_process(capsys)
    with Hub(published, "Xenova/geoclip-large-patch14") as server:
        template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        done = geoloc(*line.split()[1:])
    assert done.returncode == 0, done.stderr
    assert "installed: geoloc locate PHOTO --bundle geoclip" in done.stdout
    assert f"revision {Hub.sha[:12]}" in done.stderr
    assert installed.default_name() == "geoclip"
    assert geoloc("locate", folder / "photo.jpg", "--json").returncode == 0


def test_make_locate_prints_what_is_shown():
    targets = (ROOT / "Makefile").read_text(encoding="utf-8")
    (photos,) = re.findall(r"^EXAMPLES := (.*)$", targets, flags=re.M)
    (recipe,) = re.findall(r"bin/geoloc (locate \$\(EXAMPLES\).*)$", targets, flags=re.M)
    printed = run(f"{sys.executable} -m geoloc {recipe.replace('$(EXAMPLES)', photos)}", ROOT)
    shown = next(block for block in re.findall(r"```text\n(.*?)```", README, flags=re.S))
    names = re.findall(r"^\d  (.*?)  ", shown, flags=re.M)
    assert len(names) == 4
    for name in names:
        assert name in printed


@pytest.mark.slow
def test_a_bundle_of_own_places_answers(folder, photo_folder):
    shutil.rmtree(folder / "my-photos")
    shutil.copytree(photo_folder, folder / "my-photos")
    (folder / "my-photos" / "damaged.jpg").unlink()
    (folder / "my-photos" / "without.jpg").unlink()
    lines = [line for line, _ in commands() if "my.bundle" in line]
    assert len(lines) == 2
    for line in lines:
        run(line, folder)


def test_library(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.S)
    exec(compile(code, "README", "exec"), {})
    assert "Paris" in capsys.readouterr().out


def test_it_is_short():
    assert len(README.split()) <= MOST_WORDS


def test_links_and_targets_exist():
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", README):
        if not link.startswith("http"):
            assert (ROOT / link).exists(), link
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`?make ([a-z-]+)", README):
        assert re.search(rf"^{target}:", makefile, flags=re.M), target
