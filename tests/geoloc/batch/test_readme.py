"""The commands of geoloc/batch/README.md run as they are written."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.geoloc.batch.library import draw

ROOT = Path(__file__).parents[3]
README = (ROOT / "geoloc" / "batch" / "README.md").read_text(encoding="utf-8")


def test_commands_of_the_readme(tmp_path):
    for number in range(3):
        draw(tmp_path / "my-photos" / f"{number}.jpg", number)
    bin_folder = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "XDG_DATA_HOME": str(tmp_path / "data"),  # so that the starter answers
    }
    commands = re.findall(r"^```bash\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        done = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert "3 answers for 3 photos" in done.stderr
    assert len((tmp_path / "answers.jsonl").read_text().splitlines()) == 3
    assert len((tmp_path / "answers.csv").read_text().splitlines()) == 4


def test_links_of_the_readme():
    links = re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", README)
    assert links
    for link in links:
        assert (ROOT / "geoloc" / "batch" / link).exists(), link
