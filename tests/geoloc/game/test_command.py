"""`geoloc play` from the command line."""

import json
import sys

import pytest

from tests.commands import Done, in_process


@pytest.fixture
def geoloc(capsys, monkeypatch):
    """Run a command in this process; see `in_process`."""
    monkeypatch.setenv("COLUMNS", "160")
    return in_process(capsys)


def rows(done: Done, code: int = 0) -> dict[str, list[str]]:
    """Return the cells of the printed table by player."""
    assert done.returncode == code, done.stderr
    lines = done.stdout.split("\n\n")[1].splitlines()
    return {line.split()[0]: line.split()[1:] for line in lines[1:]}


@pytest.fixture
def library(tmp_path, photo_folder, monkeypatch):
    """A manifest of drawn photos, and the answers of two systems."""
    names = [f"{number:02}.jpg" for number in range(24)]
    where = [(48.9 + number / 100, 2.4 + number % 5) for number in range(24)]
    table = [
        f"{photo_folder / name},{lat},{lon}" for name, (lat, lon) in zip(names, where, strict=True)
    ]
    (tmp_path / "photos.csv").write_text("\n".join(["file,lat,lon", *table]))
    for name, off in (("good", 0.1), ("bad", 20.0)):
        answers = [
            f"{photo},{lat + off},{lon}" for photo, (lat, lon) in zip(names, where, strict=True)
        ]
        (tmp_path / f"{name}.csv").write_text("\n".join(["file,lat,lon", *answers]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_tournament_is_written_as_replay_and_page(geoloc, library):
    players = ["--player", "good.csv", "--player", "bad.csv", "--player", "starter"]
    first = geoloc(
        "play", "photos.csv", *players, "--mode", "duel", "--rounds", 20, "--games", 50,
        "-o", "new/replay.json", "--html", "new/pages/replay.html",
    )  # fmt: skip
    assert (library / "new" / "pages" / "replay.html").is_file()
    (library / "new" / "replay.json").rename("replay.json")
    table = rows(first)
    assert set(table) == {"good", "bad", "starter"}
    assert next(iter(table)) == "good"
    assert "50 simulated duels, rules ranked-2026, between every two of 3 players" in first.stdout
    assert geoloc("play", "replay.json").stdout == first.stdout, "a replay scored again"
    legacy = geoloc("play", "replay.json", "--rules", "legacy", "--html", "legacy.html")
    assert "rules legacy" in legacy.stdout
    assert "rules legacy" in (library / "legacy.html").read_text()
    record = json.loads((library / "replay.json").read_text())
    assert [player["name"] for player in record["players"]] == ["bad", "good", "starter"]


def test_crashing_program_plays_to_the_end(geoloc, library):
    bot = library / "bot.py"
    bot.write_text("print('Bonjour !', flush=True)\nraise SystemExit(1)\n")
    done = geoloc(
        "play", "photos.csv", "--player", "good.csv", "--player", f"bot=cmd:{sys.executable} {bot}",
        "--mode", "streak", "--rounds", 12, "--games", 20,
    )  # fmt: skip
    table = rows(done, code=1)
    assert table["bot"][-1] == "%"
    assert table["bot"][-2] == "100.0"
    assert "bot, no pin: " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--player", "good.csv"], "give two or more"),
        (["--player", "prior", "--player", "prior"], "two players"),
        (["--player", "prior", "--player", "nosuch"], "no such bundle"),
        (["--player", "prior", "--player", "nosuch.csv"], "no such table"),
        (["--map", "nosuch.json"], "nosuch.json: not a map"),
        (["--views", "4"], "no place with 4 views"),
        (["--player", "good.csv", "--player", "bad.csv", "-o", "bad.csv/replay.json"], "bad.csv:"),
        (
            ["--player", "good.csv", "--player", "bad.csv", "--mode", "classic", "--rounds", "3"],
            "draw more of them",
        ),
    ],
)
def test_unusable_input_is_reported_in_one_line(geoloc, library, arguments, reason):
    done = geoloc("play", "photos.csv", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    errors = [line for line in done.stderr.splitlines() if "left out" not in line]
    assert len(errors) == 1
    assert reason in errors[0]
    assert sorted(path.name for path in library.iterdir()) == ["bad.csv", "good.csv", "photos.csv"]


def test_missing_table_or_replay_is_reported_in_one_line(geoloc):
    for name, reason in {"nosuch.csv": "no such table", "nosuch.json": "not a replay"}.items():
        done = geoloc("play", name)
        assert done.returncode == 2
        assert name in done.stderr
        assert reason in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert "--player" in geoloc("play", "--help").stdout


def test_starter_beats_the_prior_on_photos_it_was_trained_on(geoloc, shared):
    """The photos are training photos of the starter: this is no measurement of its quality."""
    done = geoloc(
        "play", shared / "data" / "photos" / "photos.csv", "--mode", "duel", "--rounds", 30,
        "--player", "starter", "--player", "prior", "--player", "centroid", "--player", "nearest",
    )  # fmt: skip
    table = rows(done)
    assert set(table) == {"starter", "prior", "centroid", "nearest"}
    rating = {name: float(cells[0].replace(",", "")) for name, cells in table.items()}
    assert min(rating["starter"], rating["centroid"]) > rating["prior"]
    assert "no pin:" not in done.stdout
