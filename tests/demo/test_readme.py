"""The commands in demo/README.md work."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from tests.demo.services import ROOT, running

pytest.importorskip("fastapi", reason="the demo extra is not installed")

README = (ROOT / "demo" / "README.md").read_text(encoding="utf-8")
PLACEHOLDER = "http://127.0.0.1:7860"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.S)


def commands(program: str) -> list[list[str]]:
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    words = [shlex.split(line, comments=True) for line in lines]
    return [line for line in words if program in line]


@pytest.fixture(scope="module")
def server():
    with running("-m", "demo.server", "--port", "0", "--no-page", "--bundle", "starter") as started:
        yield started


@pytest.fixture
def folder(tmp_path):
    shutil.copy(ROOT / "demo" / "examples" / "tower.jpg", tmp_path / "photo.jpg")
    return tmp_path


def run(words: list[str], folder, address: str) -> str:
    words = [word.replace(PLACEHOLDER, address) for word in words]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "GEOLOC_ADDRESS": address}
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_commands_are_answered(server, folder):
    lines = commands("curl")
    assert len(lines) == 7
    for words in lines:
        assert json.loads(run(words, folder, server.address)).get("error") is None, words


def test_client_commands_print_an_answer(server, folder):
    (words,) = commands("geoloc.client")
    assert run([sys.executable, *words[1:]], folder, server.address).startswith("photo.jpg: ")
    (code,) = blocks("python")
    printed = run([sys.executable, "-c", code], folder, server.address)
    assert re.fullmatch(r"photo\.jpg .*Australia\n", printed)


def test_the_shortened_answer_has_only_fields_of_a_real_one(server, folder):
    def is_part(short, real) -> bool:
        if isinstance(short, dict):
            return all(key in real and is_part(value, real[key]) for key, value in short.items())
        if isinstance(short, list):
            return all(map(is_part, short, real))
        return isinstance(real, type(short))

    (block,) = blocks("json")
    assert is_part(json.loads(block), json.loads(run(commands("curl")[0], folder, server.address)))


def test_server_commands_have_valid_options():
    from demo.server import app

    lines = commands("geoloc-demo")
    assert len(lines) == 6
    for words in lines:
        options = words[words.index("geoloc-demo") + 1 :]
        app.parse_args(options, exit_on_error=False, print_error=False)


def test_paths_in_links_and_commands_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if target != "../tests/benchmarks/README.md":  # written together with the benchmarks
            assert (ROOT / "demo" / target).exists(), target
    (words,) = commands("demo/space/app.py")
    assert (ROOT / words[1]).is_file()
