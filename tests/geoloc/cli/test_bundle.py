"""`geoloc bundle`, with bundles that a real server offers."""

import json
import shutil
import subprocess
import sys

import pytest

from geoloc.bundle import directory, installed
from geoloc.cli import bundle as bundle_cli
from geoloc.cli import obtain
from tests.commands import process
from tests.geoloc.bundle.publisher import Hub, Publisher

STARTER = directory.EMBEDDED / "starter"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "110")
    return installed.folder()


@pytest.fixture
def refusal(geoloc):
    """Run a command that cannot be done, and return the only line that it prints."""

    def run(*arguments: object) -> str:
        done = geoloc(*arguments)
        assert done.returncode == 2, done
        assert done.stdout == ""
        (line,) = done.stderr.splitlines()
        return line

    return run


def test_bundle_is_fetched_verified_listed_and_used(geoloc, refusal, photo_folder, home):
    with Publisher(STARTER) as server:
        done = geoloc("bundle", "get", server.address)
        assert (done.returncode, done.stderr) == (0, "")  # no bar without a terminal
        assert "geoloc locate PHOTO --bundle world" in done.stdout
    shutil.copytree(home / "world", home / "mine")
    assert installed.names() == ["mine", "world"]

    checked = geoloc("bundle", "verify", "mine")
    assert checked.stdout == f"{home / 'mine'}: 15 files match their checksums\n"
    encoder = home / "mine" / "encoder.onnx"
    content = encoder.read_bytes()
    encoder.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert f"{encoder}: damaged bundle (its checksum" in refusal("bundle", "verify", "mine")

    listed = geoloc("bundle", "list")
    assert listed.returncode == 2
    (line,) = listed.stderr.splitlines()
    assert str(encoder) in line
    names = [row.split()[0] for row in listed.stdout.splitlines() if not row.startswith(" ")]
    assert names == ["name", "starter", "world"]  # the default first

    answer = geoloc("locate", photo_folder / "00.jpg", "--bundle", "world", "--json")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert json.loads(answer.stdout)["candidates"]


def test_starter_is_listed(geoloc):
    done = geoloc("bundle", "list")
    assert (done.returncode, done.stderr) == (0, "")
    head, row, *_ = done.stdout.splitlines()
    for column in ("name", "encoder", "photos or points", "licences", "MB"):
        assert column in head
    assert row.split()[:4] == ["starter", "tf_efficientnet_lite2", "(onnx)", "7,778"]
    assert row.split()[-1] == f"{sum(path.stat().st_size for path in STARTER.iterdir()) / 1e6:,.0f}"
    assert "CC-BY-SA-4.0" in row
    assert "and 69 more" in done.stdout


@pytest.mark.parametrize("lost", ["encoder", "licences"])
def test_incomplete_description_is_reported_in_one_line(home, lost, capsys):
    shutil.copytree(STARTER, home / "odd")
    path = home / "odd" / "bundle.json"
    manifest = json.loads(path.read_text())
    del manifest[lost]
    path.write_text(json.dumps(manifest))
    assert bundle_cli.show() == 2
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert f"{path}: damaged bundle" in line
    assert lost in line
    assert "starter" in printed.out


def test_world_model_is_listed_first_and_not_built_twice(geoloc, home):
    shutil.copytree(STARTER, home / "geoclip")
    shutil.copytree(STARTER, home / "a")
    rows = geoloc("bundle", "list").stdout.splitlines()
    assert [row.split()[0] for row in rows if row[0] != " "] == ["name", "geoclip", "a", "starter"]
    done = geoloc("bundle", "get", "geoclip")
    assert (done.returncode, done.stderr) == (0, "")
    assert "installed already" in done.stdout


def test_unreachable_server_is_reported_in_one_line(refusal):
    line = refusal("bundle", "get", "http://127.0.0.1:9/world/")
    assert line.startswith("geoloc: http://127.0.0.1:9/world/bundle.json: cannot be reached")
    assert "check the address and the connection" in line
    assert "copy the bundle from another machine" in line


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda: obtain.get("nosuch"), "nosuch: not an address; give https://"),
        (lambda: obtain.get("http://127.0.0.1:9/x/", name="../x"), "'../x': not a name"),
        (lambda: bundle_cli.verify("nosuch"), "nosuch: no such bundle; give its path, or"),
        (lambda: bundle_cli.verify("geoclip"), "geoclip: not installed yet; run  "),
    ],
)
def test_unknown_name_is_reported_in_one_line(call, reason, capsys):
    assert call() == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith(f"geoloc: {reason}")


def test_bundle_of_the_hub_has_the_name_of_its_repository(monkeypatch, home):
    with Hub(STARTER, "somebody/world") as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)  # read when huggingface_hub is imported
        done = process("bundle", "get", "hf:somebody/world")
        assert (done.returncode, done.stderr) == (0, "")
        done = process("bundle", "get", "hf:somebody/world", "--name", "mine")
        assert "geoloc locate PHOTO --bundle mine" in done.stdout
    assert installed.names() == ["mine", "world"]


def test_help_lists_the_bundles_that_can_be_built(geoloc):
    done = geoloc("bundle", "build", "--help")
    assert done.returncode == 0
    assert "geoclip" in done.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["bundle", "--help"], ["bundle", "get", "-h"]])
def test_help_imports_no_heavy_library(arguments):
    code = (
        "import sys; from geoloc.cli.main import app;"
        f" app({arguments}, result_action='return_value'); print('MODULES', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    text, _, modules = done.stdout.partition("MODULES")
    assert "Usage: geoloc" in text
    heavy = {"torch", "faiss", "onnxruntime", "open_clip", "pandas", "sklearn", "shapely", "numpy"}
    assert not (heavy | {"pyarrow", "huggingface_hub"}) & set(modules.split())


def test_world_model_without_the_runtime_names_the_command_to_run(monkeypatch, capsys):
    monkeypatch.setattr(installed, "missing_for_world", lambda: ["faiss"])
    assert obtain.get("geoclip") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"geoloc: geoclip: faiss is not installed; run  {installed.world_command()}"


def test_command_without_a_terminal_prints_no_hint(geoloc, photo_folder):
    photo = photo_folder / "00.jpg"
    default = geoloc("locate", photo, "--json")
    named = geoloc("locate", photo, "--json", "--bundle", "starter")
    assert (default.returncode, default.stderr) == (0, "")
    assert (named.returncode, named.stderr) == (0, "")
    assert default.stdout == named.stdout
