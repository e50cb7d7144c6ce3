"""What people get: the wheel, the sdist, and a runtime environment without torch."""

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
PACKAGES = ("demo", "geocells", "geoloc", "training")
MOST_WHEEL_MB = 70  # Earth data <= 25, starter bundle <= 40, code
MOST_RUNTIME_MB = 700
NO_REGISTRY = ("error sending request", "dns error", "Failed to fetch", "Network connectivity")


def source_files() -> set[str]:
    """Everything in the packages that is not a cache, relative to the root."""
    return {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    """The folder with the sdist, and the wheel built from it."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT],
        check=True,
        capture_output=True,
        cwd=folder,
    )
    return folder


@pytest.fixture(scope="module")
def wheel(dist):
    (path,) = dist.glob("planet_geoloc-*-py3-none-any.whl")
    return path


def test_the_wheel_holds_the_packages_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        scripts = next(name for name in names if name.endswith("entry_points.txt"))
        assert {"geoloc", "geoloc-train", "geoloc-demo"} <= set(
            archive.read(scripts).decode().split()
        )
    content = {name for name in names if ".dist-info/" not in name}
    assert content == source_files()
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert {"geocells/data/regions.parquet", "geocells/data/README.md"} <= content
    photos = {name for name in content if name.lower().endswith((".jpg", ".jpeg", ".heic"))}
    assert {name.rpartition("/")[0] for name in photos} == {"demo/examples"}  # free, see there


def test_the_wheel_fits_on_a_registry(wheel):
    assert wheel.stat().st_size < MOST_WHEEL_MB * 1e6


def test_the_sdist_can_be_tested(dist):
    (path,) = dist.glob("planet_geoloc-*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    wanted = {"pyproject.toml", "README.md", "LICENSE", "Makefile", "constraints.txt"}
    assert wanted | {"tests/test_packaging.py"} | source_files() <= names
    assert not [name for name in names if name.startswith((".venv", ".cache", ".git/"))]


def environment(folder: Path, wheel: Path, extra: str) -> Path:
    """A fresh environment with the wheel; returns its folder of programs."""
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists():
        pytest.skip("uv is not beside this Python: run  make test")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
    python = folder / "bin" / "python"
    pins = ["--constraints", ROOT / "constraints.txt"]
    installed = subprocess.run(
        [uv, "pip", "install", "--quiet", "--python", python, *pins, f"{wheel}{extra}"],
        capture_output=True,
        text=True,
        check=False,
    )
    if any(reason in installed.stderr for reason in NO_REGISTRY):
        pytest.skip("no package registry can be reached")
    assert installed.returncode == 0, installed.stderr
    return folder / "bin"


@pytest.fixture(scope="module")
def runtime(tmp_path_factory, wheel):
    """Programs of an environment with the `cpu` extra: what answers photos."""
    return environment(tmp_path_factory.mktemp("runtime") / "venv", wheel, "[cpu]")


@pytest.fixture(scope="module")
def bare(tmp_path_factory, wheel):
    """Programs of an environment without any extra."""
    return environment(tmp_path_factory.mktemp("bare") / "venv", wheel, "")


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.jpg"
    pixels = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def run(*command, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A program as a person starts it, away from the checkout."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        list(map(str, command)), cwd=cwd, env=clean, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_the_runtime_is_small_and_has_no_torch(runtime, tmp_path):
    size = sum(p.lstat().st_size for p in runtime.parent.rglob("*") if not p.is_dir())
    assert size < MOST_RUNTIME_MB * 1e6
    absent = ("torch", "torchvision", "pandas", "sklearn", "gradio", "ray")
    code = f"import importlib.util as u; print([m for m in {absent} if u.find_spec(m)])"
    assert run(runtime / "python", "-c", code, cwd=tmp_path).stdout.strip() == "[]"


@pytest.mark.slow
def test_the_runtime_answers_a_photo(runtime, photo, tmp_path):
    answer = run(runtime / "geoloc", "locate", photo, "--json", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    guess = json.loads(answer.stdout)
    guess = guess[0] if isinstance(guess, list) else guess
    assert -90 <= guess["lat"] <= 90
    assert guess["radius_80_km"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("program", ["geoloc", "geoloc-train", "geoloc-demo"])
def test_every_program_explains_itself_without_extras(bare, program, tmp_path):
    shown = run(bare / program, "--help", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "Usage" in shown.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "extra", "command"),
    [
        ("bare", "cpu", ["geoloc", "locate", "photo.jpg", "--bundle", "starter"]),
        ("runtime", "demo", ["geoloc-demo"]),
        ("runtime", "train", ["geoloc-train", "learn", ".", "-o", "my.bundle"]),
    ],
)
def test_a_missing_extra_is_one_line(request, photo, where, extra, command):
    programs = request.getfixturevalue(where)
    refused = run(programs / command[0], *command[1:], cwd=photo.parent)
    assert refused.returncode == 2
    assert f"planet-geoloc[{extra}]" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
    assert not (photo.parent / "my.bundle").exists()
