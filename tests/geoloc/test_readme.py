"""The Python examples of geoloc/README.md run as they stand, in order."""

import re
import shutil
from pathlib import Path

import pytest

from geoloc.output.sinks import SINKS

README = Path(__file__).parents[2] / "geoloc/README.md"


def test_the_python_examples_run(photo_folder, tmp_path, monkeypatch, capsys):
    for number, name in enumerate(("photo.jpg", "view1.jpg", "view2.jpg")):
        shutil.copy(photo_folder / f"{number:02}.jpg", tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("geoloc.output.sinks.SINKS", SINKS.copy())
    text = README.read_text(encoding="utf-8")
    blocks = [
        "\n" * (text[: match.start(1)].count("\n")) + match[1]
        for match in re.finditer(r"```python\n(.*?)```", text, flags=re.S)
    ]
    assert len(blocks) >= 8
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, README, "exec"), names)
    shown = capsys.readouterr()
    assert shown.err == ""
    assert "unreadable: photo: " in shown.out
    assert "Lilliput" in shown.out
    assert names["guess"].within == "New South Wales, Australia"
    assert len(names["together"].photos) == 2
    assert names["told"].witnesses[0].bits > 0.0


@pytest.mark.parametrize("name", ["geoloc/README.md"])
def test_links_of_the_readme_exist(name):
    path = README.parents[1] / name
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target
