"""What importing costs, and in which direction imports point."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {
    "torch",
    "onnxruntime",
    "faiss",
    "pandas",
    "gradio",
    "contourpy",
    "shapely",
    "sklearn",
    "ray",
}
TRAINING = {"torch", "sklearn", "pandas", "geopandas", "gradio"}


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_imports_point_right_only():
    contracts = run("from importlinter.cli import lint_imports; raise SystemExit(lint_imports())")
    assert contracts.returncode == 0, contracts.stdout
    assert " 0 broken" in contracts.stdout


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("geoloc", HEAVY | {"numpy", "PIL"}),
        ("geoloc.guess", HEAVY | {"numpy", "PIL"}),
        ("geoloc.errors", HEAVY | {"numpy", "PIL"}),
        ("geoloc.photos.decode", HEAVY),
        ("geoloc.game", HEAVY),
        ("geocells", HEAVY | {"numpy"}),
        ("geoloc.cli.main", HEAVY | {"numpy", "pyarrow"}),
        ("geoloc.cli.evaluate", HEAVY | {"numpy", "pyarrow"}),
        ("geoloc.evaluation.results", TRAINING | {"faiss", "onnxruntime"}),
        ("geoloc.geolocator", TRAINING | {"faiss", "onnxruntime", "scipy"}),
        ("geoloc.output.formats", HEAVY - {"shapely"}),
        ("geoloc.output.sinks", TRAINING | {"faiss", "onnxruntime"}),
        ("geoloc.output.tagging", HEAVY - {"shapely"} | {"pyexiv2"}),
        ("geoloc.cli.batch", HEAVY | {"numpy", "PIL", "pyarrow", "filelock"}),
        ("geoloc.batch.run", TRAINING | {"faiss", "onnxruntime", "ray", "fsspec", "scipy"}),
        ("demo.page.view", TRAINING),
        ("demo.page.app", TRAINING),
        ("demo.server", HEAVY | {"numpy", "fastapi", "uvicorn"}),
        ("demo.api.application", TRAINING | {"faiss", "onnxruntime"}),
        ("demo.api.inference", TRAINING | {"faiss", "onnxruntime"}),
        ("training.cli.main", HEAVY | {"numpy", "pyarrow"}),
    ],
)
def test_importing_loads_only_what_is_needed(module, unwanted):
    loaded = run(f"import sys, {module}; print(*sys.modules)")
    assert loaded.returncode == 0, loaded.stderr
    assert not unwanted & set(loaded.stdout.split())


def test_public_names_are_importable():
    shown = run("import geoloc; print(*(getattr(geoloc, name) for name in geoloc.__all__))")
    assert shown.returncode == 0, shown.stderr


def test_the_runtime_of_the_encoder_reports_to_nobody(tmp_path):
    """ONNX Runtime keeps a session file for its reports, unless they are off before its import."""
    code = (
        "from geoloc import Geolocator; from PIL import Image;"
        "Geolocator.from_bundle().locate(Image.new('RGB', (64, 64)))"
    )
    env = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    answered = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={
            **env,
            "TMPDIR": str(tmp_path),
            "HOME": str(tmp_path),
            "XDG_CACHE_HOME": str(tmp_path),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert answered.returncode == 0, answered.stderr
    ours = tmp_path / "planet-geoloc"  # the cache of this package
    assert [each for each in tmp_path.iterdir() if each != ours] == []
