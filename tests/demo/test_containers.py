"""Container file and Space: referenced files exist and the commands run. Nothing is built."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.demo.services import ROOT, jpeg, photos, running

FILE = ROOT / "demo" / "Containerfile"
SPACE = ROOT / "demo" / "space"
CONSTRAINTS = (ROOT / "constraints.txt").read_text()


def instructions() -> list[tuple[str, str]]:
    lines = [line for line in FILE.read_text().splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


def test_the_container_file_has_no_lint():
    hadolint = shutil.which("hadolint", path=Path(sys.executable).parent)
    if hadolint is None:
        pytest.skip("hadolint is not installed: run  make setup")
    shown = subprocess.run([hadolint, FILE], capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stdout + shown.stderr


def test_copied_paths_exist_and_are_in_the_build_context():
    copied = [
        name
        for kind, rest in instructions()
        if kind == "COPY" and not rest.startswith("--from")
        for name in rest.split()[:-1]
    ]
    sent = (ROOT / "demo" / "Containerfile.dockerignore").read_text().splitlines()
    assert {"pyproject.toml", "constraints.txt", "geoloc", "demo"} <= set(copied)
    for name in copied:
        assert (ROOT / name).exists(), name
        assert f"!{name}" in sent
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert set(packages["targets"]["wheel"]["packages"]) <= set(copied)


def test_both_variants_use_existing_stages_and_pinned_packages():
    stages = [rest.split(" AS ") for kind, rest in instructions() if kind == "FROM"]
    names = [name for _, name in stages]
    assert names[-2:] == ["gpu", "cpu"]  # the last one is the default target
    for position, (base, _) in enumerate(stages):
        assert base in ("python:3.11-slim", *names[:position])
    for source in re.findall(r"--from=(\S+)", FILE.read_text()):
        assert source in names
    (extra,) = re.findall(r"'\.\[(\w+)\]'", FILE.read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert extra in project["optional-dependencies"]
    for package in ("torch", "torchvision", "open-clip-torch", "timm"):
        assert re.search(rf"^{package}==", CONSTRAINTS, flags=re.M)


def test_the_entry_point_starts_and_passes_the_health_check():
    (entry,) = [json.loads(rest) for kind, rest in instructions() if kind == "ENTRYPOINT"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    module, function = project["scripts"][entry[0]].split(":")
    assert function == "main"
    with running("-m", module, *entry[1:], "--port", "0", "--no-page") as server:
        (check,) = [rest for kind, rest in instructions() if kind == "HEALTHCHECK"]
        python = json.loads(check.partition("CMD ")[2])
        address = server.address.replace("0.0.0.0", "127.0.0.1")
        code = python[2].replace("http://127.0.0.1:7860", address)
        subprocess.run([sys.executable, "-c", code], check=True)
        assert server.stop() == 0


def front_matter() -> dict[str, str]:
    _, head, _ = (SPACE / "README.md").read_text().split("---\n", 2)
    return {key: value.strip('"') for key, value in re.findall(r"^(\w+): (.+)$", head, flags=re.M)}


def test_the_space_has_the_required_settings():
    settings = front_matter()
    assert settings["sdk"] == "gradio"
    assert (SPACE / settings["app_file"]).is_file()
    assert f"\ngradio=={settings['sdk_version']}\n" in CONSTRAINTS
    assert settings["license"] == "apache-2.0"
    assert len(settings["short_description"]) <= 60
    assert {"title", "emoji", "colorFrom", "colorTo", "python_version"} <= settings.keys()
    assert (SPACE / "requirements.txt").read_text().strip() == "planet-geoloc[demo]"


def test_the_space_runs_and_blurs_locations():
    from PIL import Image

    with running(SPACE / "app.py", PORT="0") as server:
        server.client.base_url = server.address.replace("0.0.0.0", "127.0.0.1")
        reply = server.client.post("/v1/locate", files=photos(jpeg(Image.new("RGB", (64, 64)))))
        guess = reply.json()["answers"][0]["guess"]
        assert (guess["neighbours"], guess["region"]) == ([], [])
        assert guess["radius_50_km"] >= 25.0
        assert "gradio" in server.client.get("/").text
        assert server.stop() == 0
