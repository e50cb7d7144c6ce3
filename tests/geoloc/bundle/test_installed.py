"""Which bundle answers where none is named, and what is asked on the way."""

import io
import os
import pty
import shutil
import socket
import subprocess
import sys
from types import SimpleNamespace

import pytest

from geoloc.bundle import choice, directory, installed
from geoloc.errors import BundleError


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Nothing is installed, and there is no network."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    return tmp_path / "data" / "planet-geoloc" / "bundles"


@pytest.fixture
def network(monkeypatch):
    """The place the weights come from can be reached: on this machine."""
    from huggingface_hub import constants

    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield endpoint


class Terminal(io.StringIO):
    """Somebody who types."""

    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """Call it with what is typed; returns what appears."""

    def sit_down(typed: str) -> Terminal:
        shown = Terminal()
        monkeypatch.setattr(sys, "stdin", Terminal(typed))
        monkeypatch.setattr(sys, "stderr", shown)
        return shown

    return sit_down


@pytest.fixture
def builder(monkeypatch):
    """A builder that answers 0 and installs the starter, unless told otherwise."""
    fake = SimpleNamespace(called=[], code=0)

    def build(out):
        fake.called.append(out)
        if fake.code == 0:
            shutil.copytree(directory.EMBEDDED / "starter", out)
        return fake.code

    def found(group, name):
        assert (group, name) == ("geoloc.bundles", "geoclip")
        return (SimpleNamespace(load=lambda: build),)

    monkeypatch.setattr(choice, "entry_points", found)
    return fake


def install(name):
    shutil.copytree(directory.EMBEDDED / "starter", installed.target(name))


def test_where_bundles_are(home, monkeypatch, tmp_path):
    assert installed.folder() == home
    assert installed.target("my-world.2") == home / "my-world.2"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert installed.folder() == tmp_path / ".local/share/planet-geoloc/bundles"


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "/a", "a/"])
def test_what_is_no_name(name):
    with pytest.raises(BundleError, match="not a name"):
        installed.target(name)


def test_installed_bundles_are_known_by_name(home):
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
    install("starter")  # a newer one than the embedded
    assert directory.find("starter") == home / "starter"


def test_the_starter_is_there_where_the_home_cannot_be_read(monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", "/" + "x" * 300)  # as any other error of the file system
    assert directory.names() == ["starter"]
    assert directory.find("starter") == directory.EMBEDDED / "starter"


def test_the_world_model_is_used_silently(capfd):
    assert installed.best() == "starter"
    install("mine")
    assert installed.best() == "starter"
    install("geoclip")
    assert installed.best() == "geoclip"
    assert choice.choose() == "geoclip"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("stdin", [None, io.StringIO("y\n")])
def test_nobody_is_asked_who_is_not_there(capsys, monkeypatch, network, builder, stdin, home):
    monkeypatch.setattr(sys, "stdin", stdin)
    assert choice.choose() == "starter"
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines() == [choice.KNOWS_LITTLE]
    assert "starter" in choice.KNOWS_LITTLE
    assert builder.called == []
    assert not home.exists()


def test_nothing_is_offered_without_a_network(terminal, builder, network, monkeypatch):
    from huggingface_hub import constants

    with monkeypatch.context() as patch:
        patch.setattr(constants, "HF_HUB_OFFLINE", True)
        shown = terminal("y\n")
        assert choice.choose() == "starter"
        assert shown.getvalue().splitlines() == [choice.KNOWS_LITTLE]
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    shown = terminal("y\n")
    assert choice.choose() == "starter"
    assert shown.getvalue().splitlines() == [choice.KNOWS_LITTLE]
    assert builder.called == []


def test_nothing_is_offered_that_cannot_be_built(terminal, network, monkeypatch):
    monkeypatch.setattr(choice, "entry_points", lambda group, name: ())
    shown = terminal("y\n")
    assert choice.choose() == "starter"
    assert shown.getvalue().splitlines() == [choice.KNOWS_LITTLE]


@pytest.mark.parametrize("answer", ["n\n", "\n", "", "maybe\n"])
def test_who_declines_is_not_asked_again(terminal, network, builder, answer):
    shown = terminal(answer)
    assert choice.choose() == "starter"
    assert "[y/N]" in shown.getvalue()
    assert choice.KNOWS_LITTLE in shown.getvalue()
    shown = terminal("y\n")
    assert choice.choose() == "starter"
    assert shown.getvalue().splitlines() == [choice.KNOWS_LITTLE]
    assert builder.called == []


@pytest.mark.parametrize("answer", ["y\n", "YES\n"])
def test_who_accepts_gets_the_world_model(terminal, network, builder, answer, home):
    shown = terminal(answer)
    assert choice.choose() == "geoclip"
    assert builder.called == [home / "geoclip"]
    assert choice.KNOWS_LITTLE not in shown.getvalue()
    assert choice.choose() == "geoclip"
    assert len(builder.called) == 1


def test_a_build_that_fails_leaves_the_starter(terminal, network, builder):
    builder.code = 2
    shown = terminal("y\n")
    assert choice.choose() == "starter"
    assert shown.getvalue().splitlines()[-1].endswith(choice.KNOWS_LITTLE)
    assert len(builder.called) == 1


def test_a_person_at_a_real_terminal(network, photo_folder):
    def locate(typed: bytes) -> str:
        person, terminal = pty.openpty()
        os.write(person, typed)
        done = subprocess.run(
            [sys.executable, "-m", "geoloc", "locate", photo_folder / "00.jpg", "--json"],
            stdin=terminal,
            stdout=subprocess.PIPE,
            stderr=terminal,
            env={**os.environ, "HF_ENDPOINT": network, "HF_HUB_OFFLINE": "0"},
            check=True,
        )
        assert done.stdout.startswith(b"{")
        os.close(terminal)
        shown = b""
        try:
            while more := os.read(person, 1000):
                shown += more
        except OSError:  # all has been read, and nobody is at the other end
            pass
        os.close(person)
        return shown.decode()

    first = locate(b"n\n")
    assert "Get one now?" in first
    assert choice.KNOWS_LITTLE in first
    second = locate(b"")
    assert "Get one now?" not in second
    assert choice.KNOWS_LITTLE in second
