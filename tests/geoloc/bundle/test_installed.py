"""Installed bundles, the default bundle, and the hint on the starter's limits."""

import os
import pty
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from geoloc.bundle import directory, installed
from geoloc.errors import BundleError

FOLDER = "planet-geoloc/bundles"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty folder of installed bundles."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / FOLDER


def install(name):
    shutil.copytree(directory.EMBEDDED / "starter", installed.target(name))


def test_bundles_are_in_the_user_data_folder(home, monkeypatch, tmp_path):
    assert installed.folder() == home
    assert installed.target("my-world.2") == home / "my-world.2"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    if sys.platform == "linux":
        assert installed.folder() == tmp_path / ".local/share" / FOLDER


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "/a", "a/"])
def test_invalid_names_are_refused(name):
    with pytest.raises(BundleError, match="not a name"):
        installed.target(name)


def test_installed_bundles_are_found_by_name(home):
    assert installed.names() == []
    assert directory.names() == ["starter"]
    with pytest.raises(BundleError, match="geoloc bundle get geoclip"):
        directory.find("geoclip")
    install("geoclip")
    install("mine")
    (home / ".mine.download").mkdir()
    (home / ".mine.download" / "bundle.json").touch()
    (home / "empty").mkdir()
    assert installed.names() == ["geoclip", "mine"]
    assert directory.names() == ["geoclip", "mine", "starter"]
    assert directory.find("mine") == home / "mine"
    assert directory.find("starter") == directory.EMBEDDED / "starter"
    with pytest.raises(BundleError, match="geoclip, mine, starter"):
        directory.find("nosuch")
    install("starter")  # replaces the embedded one
    assert directory.find("starter") == home / "starter"


def test_the_starter_is_found_if_the_home_folder_is_unreadable(monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", "/" + "x" * 300)  # any error of the file system
    assert directory.names() == ["starter"]
    assert directory.find("starter") == directory.EMBEDDED / "starter"


def test_the_world_model_is_the_default_if_installed(capsys, monkeypatch):
    assert installed.default_name() == "starter"
    install("mine")
    assert installed.default_name() == "starter"
    install("geoclip")
    assert installed.default_name() == "geoclip"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert installed.choose_default() == "geoclip"
    assert capsys.readouterr() == ("", "")


def test_the_hint_is_printed_once_and_only_on_a_terminal(capsys, monkeypatch, home):
    assert installed.choose_default() == "starter"
    assert capsys.readouterr() == ("", "")
    assert not home.parent.exists()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert installed.choose_default() == "starter"
    assert capsys.readouterr() == ("", installed.starter_hint() + "\n")
    assert installed.choose_default() == "starter"
    assert capsys.readouterr() == ("", "")


def test_the_hint_needs_no_writable_home(capsys, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", "/dev/null/data")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert installed.choose_default() == "starter"
    assert capsys.readouterr().err == installed.starter_hint() + "\n"


def test_the_hint_names_a_command_that_works_here(monkeypatch):
    monkeypatch.setattr(installed, "missing_for_world", list)
    assert installed.starter_hint().endswith("run  geoloc bundle get geoclip")
    monkeypatch.setattr(installed, "missing_for_world", lambda: ["torch"])
    assert installed.world_command() == "make setup && .venv/bin/geoloc bundle get geoclip"
    monkeypatch.setattr(installed, "__file__", "/site-packages/geoloc/bundle/installed.py")
    assert installed.world_command() == (
        "pip install 'planet-geoloc[cpu]' && geoloc bundle get geoclip"
    )


def test_make_setup_installs_the_same_version_of_geoclip():
    makefile = Path(directory.__file__).parents[2] / "Makefile"
    assert f"GEOCLIP := {installed.GEOCLIP_PACKAGE}\n" in makefile.read_text("utf-8")


def test_locate_on_a_terminal_asks_nothing_and_opens_no_connection(photo_folder):
    """The command runs on a pseudo-terminal, with a Hub that records connections."""

    def locate(endpoint: str) -> str:
        reader, terminal = pty.openpty()
        done = subprocess.run(
            [sys.executable, "-m", "geoloc", "locate", photo_folder / "00.jpg", "--json"],
            stdin=terminal,
            stdout=subprocess.PIPE,
            stderr=terminal,
            env={**os.environ, "HF_ENDPOINT": endpoint, "HF_HUB_OFFLINE": "0"},
            check=True,
        )
        assert done.stdout.startswith(b"{")
        os.close(terminal)
        shown = b""
        try:
            while more := os.read(reader, 1000):
                shown += more
        except OSError:  # end of the pseudo-terminal
            pass
        os.close(reader)
        return " ".join(shown.decode().split())

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert locate(endpoint) == " ".join(installed.starter_hint().split())
        assert locate(endpoint) == ""
        with pytest.raises(BlockingIOError):
            server.accept()
