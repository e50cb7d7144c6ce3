"""Every benchmark script can be imported, and the README describes it with its JSON keys."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
README = (HERE / "README.md").read_text(encoding="utf-8")
SCRIPTS = sorted(path.name for path in HERE.glob("*.py") if not path.name.startswith(("_", "test")))
WITH_TORCH = {
    "forms.py", "geoclip.py", "gpu_inference.py", "gpu_training.py", "honesty.py",
    "refinement.py", "retrieve.py", "training.py", "trip_mixed.py", "trips.py",
}  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in WITH_TORCH else ()) for name in SCRIPTS],
)
def test_script_can_be_imported(name):
    if name == "geoclip.py":
        pytest.importorskip("geoclip")
    code = (
        "import runpy, sys; script = sys.argv.pop(); sys.path[0] = sys.argv.pop();"
        " runpy.run_path(script, run_name='imported')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(HERE), str(HERE / name)],
        cwd=HERE.parents[1], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", SCRIPTS)
def test_readme_describes_the_script(name):
    assert f"python tests/benchmarks/{name}" in (HERE / name).read_text(encoding="utf-8")
    section = README.split(f"\n## {name}\n")[1].split("\n## ")[0]
    assert f"python tests/benchmarks/{name}" in section
    described = set(re.findall(r"`(\w+)`", section.split("\nJSON: ")[1].split("\n\n")[0]))
    text = (HERE / name).read_text(encoding="utf-8")
    stems = {re.sub(r"_?(\d+k?|N)$", "", key) for key in described}
    assert [stem for stem in stems if stem not in text] == []
