"""Players of every kind, and all the ways in which they fail: real programs, a real server."""

import email
import json
import os
import sys
import textwrap
import threading
import time
from email import policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from geoloc.errors import BundleError, TableError
from geoloc.game.places import GameError
from geoloc.game.players import command
from geoloc.game.players.command import CommandPlayer
from geoloc.game.players.http import HttpPlayer
from geoloc.game.players.log import read_log
from geoloc.game.players.registry import make_players
from geoloc.io.jsonl_process import CommandError
from geoloc.photos.decode import read_exif
from tests.geoloc.game.skilled import places_at

START_S = 30.0
"""Python may take its time to start on a busy machine."""


@pytest.fixture
def bot(tmp_path):
    """Makes a player of the body of a loop over requests."""

    def make(body: str, before: str = "", start_s: float = START_S) -> CommandPlayer:
        script = tmp_path / "bot.py"
        loop = "import json, os, sys, time\n" + textwrap.dedent(before)
        loop += "for line in sys.stdin:\n    asked = json.loads(line)\n    number = asked['id']\n"
        loop += textwrap.indent(textwrap.dedent(body), "    ") + "\n    sys.stdout.flush()\n"
        script.write_text(loop)
        return CommandPlayer("bot", f"{sys.executable} {script}", start_s)

    return make


def gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_program_loses_the_round_and_not_the_tournament(bot, photo):
    player = bot(
        """
        good = '{"lat": 48.5, "lon": 2.5}'
        if number == 1: time.sleep(1000)
        elif number == 3: sys.exit(3)
        elif number == 5: print("Bonjour !")
        elif number == 7: print('{"lat": NaN, "lon": 2.5}')
        elif number == 8: print('{"lat": 91, "lon": 2.5}')
        elif number == 9: print('{"lat": null, "lon": null}')
        elif number == 10: print('{"lat": "here", "lon": [2]}')
        elif number == 11: print('{"lat": 1e999, "lon": 2}')
        elif number == 12: print('{"place": "Paris"}')
        elif number == 13: print('[48.5, 2.5]')
        elif number == 15: print("x" * 3_000_000)
        elif number == 17: print('{"id": 16, "lat": 48.5, "lon": 2.5}')
        elif number == 18: print("loading"); print(good)
        elif number == 19: print(good); print('{"lat": 0, "lon": 0}')
        else: print(good)
        """
    )
    places = places_at(np.zeros((21, 2)), (photo,))
    start = time.monotonic()
    answers = list(player.ask(places, 2.0))
    assert time.monotonic() - start < 200, "hangs were cut short"
    lost = {number: answer.problem for number, answer in enumerate(answers) if answer.lat != 48.5}
    assert list(lost) == [1, 3, 5, 7, 8, 9, 10, 11, 12, 13, 15, 17]
    assert all(np.isnan(answers[number].lat) and np.isnan(answers[number].lon) for number in lost)
    for number, reason in {
        1: "no reply within 2 s", 3: "exit code 3", 5: "no reply", 7: "no place on Earth",
        8: "no place on Earth", 9: "refused", 10: "no numbers", 11: "no place on Earth",
        12: "no JSON object with lat and lon", 13: "no reply", 15: "no reply", 17: "no reply",
    }.items():  # fmt: skip
        assert reason in lost[number], number


def test_a_program_is_started_once_and_sees_no_more_than_pixels(bot, photo, tmp_path):
    log = tmp_path / "seen.jsonl"
    player = bot(
        f"""
        with open({str(log)!r}, "a") as seen:
            print(json.dumps([os.getpid(), asked, os.path.exists(asked["photos"][0])]), file=seen)
        data = open(asked["photos"][0], "rb").read()
        open({str(tmp_path)!r} + "/copy.jpg", "wb").write(data)
        print('{{"lat": 1, "lon": 2}}')
        """
    )
    answers = list(player.ask(places_at(np.zeros((3, 2)), (photo, photo)), 9.0))
    assert [answer.problem for answer in answers] == ["", "", ""]
    assert np.isnan(answers[0].seconds), "the first one includes the start"
    assert 0 <= answers[1].seconds < 9
    seen = [json.loads(line) for line in log.read_text().splitlines()]
    assert len({process for process, _, _ in seen}) == 1
    assert [asked["id"] for _, asked, _ in seen] == [0, 1, 2]
    for _, asked, existed in seen:
        assert existed
        assert len(asked["photos"]) == 2
        assert asked["seconds"] == 9.0
        assert "eiffel" not in json.dumps(asked), "names of files say where they are from"
        assert not any(map(os.path.exists, asked["photos"])), "copies do not stay"
    assert read_exif(photo).lat is not None
    assert read_exif(tmp_path / "copy.jpg").lat is None
    assert gone(seen[0][0])


def test_a_program_and_its_children_are_ended(bot, photo, tmp_path):
    child = tmp_path / "child"
    player = bot(
        """
        if number == 1: time.sleep(1000)
        print('{"lat": 1, "lon": 2}')
        """,
        before=f"""
        import subprocess
        sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
        open({str(child)!r}, "w").write(str(sleeper.pid))
        """,
    )
    first, second = player.ask(places_at(np.zeros((2, 2)), (photo,)), 1.0)
    assert (first.lat, second.problem) == (1, "no reply within 1 s")
    process = int(child.read_text())
    for _ in range(100):
        if gone(process) or Path(f"/proc/{process}/stat").read_text().split()[2] == "Z":
            return
        time.sleep(0.05)
    pytest.fail("the child lives on")


def test_a_program_that_never_works_is_given_up(photo):
    places = places_at(np.zeros((command.GIVE_UP_AFTER + 3, 2)), (photo,))
    answers = list(CommandPlayer("bot", "/no/such/program").ask(places, 1.0))
    assert len(answers) == len(places)
    assert "cannot be started" in answers[0].problem
    assert "given up" in answers[-1].problem


def test_an_unreadable_photo_is_nobodys_fault(bot, photo):
    broken = photo.with_name("broken.jpg")
    broken.write_bytes(b"no photo")
    player = bot('print(\'{"lat": 1, "lon": 2}\')')
    places = places_at(np.zeros((2, 2)), (photo,))
    places = type(places)(places.name, places.latlon, ((broken,), (photo,)), places.group)
    bad, good = player.ask(places, 9.0)
    assert "not a picture" in bad.problem
    assert good.lat == 1


REPLIES = {
    "good": b'{"lat": 48.5, "lon": 2.5, "place": "Paris"}',
    "list": b'{"answers": [{"photo": "a", "guess": {"lat": 48.5, "lon": 2.5}, "error": null}]}',
    "refused": b'{"answers": [{"photo": "a", "guess": null, "error": "too dark"}]}',
    "garbage": b"<html>hello</html>",
    "nan": b'{"lat": NaN, "lon": 2.5}',
    "empty": b"",
}


@pytest.fixture
def server(monkeypatch):
    """A server that answers as a list of words tells it to, and keeps what it was sent."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.seen.append((self.path, self.headers["Content-Type"], body))
            word = self.server.words.pop(0)
            if word == "hang":
                time.sleep(3)
            elif word == "drip":
                self.send_response(200)
                self.end_headers()
                for _ in range(30):
                    self.wfile.write(b" ")
                    self.wfile.flush()
                    time.sleep(0.1)
            elif word == "close":
                self.connection.close()
            elif word == "500":
                self.send_error(500)
            else:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(REPLIES[word])

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_):  # clients that have stopped waiting
            pass

    with Server(("127.0.0.1", 0), Handler) as running:
        running.words, running.seen = [], []
        running.address = f"http://127.0.0.1:{running.server_port}"
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def test_a_server_loses_the_round_and_not_the_tournament(server, photo):
    server.words = [
        "good", "500", "list", "garbage", "refused", "nan", "drip", "close", "hang", "empty",
        "good",
    ]  # fmt: skip
    words = server.words.copy()
    places = places_at(np.zeros((len(words), 2)), (photo,))
    answers = dict(enumerate(HttpPlayer("server", server.address).ask(places, 1.5)))
    for number, word in enumerate(words):
        assert (answers[number].lat == 48.5) == (word in ("good", "list")), word
    assert "500" in answers[1].problem
    assert "no JSON" in answers[3].problem
    assert answers[4].problem == "too dark"
    assert "no place on Earth" in answers[5].problem
    assert "no reply within 1.5 s" in answers[6].problem
    assert "no reply within 1.5 s" in answers[8].problem
    assert "no JSON" in answers[9].problem
    assert 0 < answers[10].seconds < 1.5


def test_a_server_gets_multipart_photos_without_metadata(server, photo):
    server.words = ["good", "good"]
    one, two = places_at(np.zeros((1, 2)), (photo,)), places_at(np.zeros((1, 2)), (photo, photo))
    (answer,) = HttpPlayer("server", server.address + "/").ask(one, 9.0)
    assert answer.lat == 48.5
    list(HttpPlayer("server", server.address + "/own/path").ask(two, 9.0))
    (path, kind, body), (other_path, other_kind, other_body) = server.seen
    assert (path, other_path) == ("/v1/locate", "/own/path")

    def parts(kind, body):
        message = email.message_from_bytes(
            f"Content-Type: {kind}\r\n\r\n".encode() + body, policy=policy.HTTP
        )
        return [
            (part.get_param("name", header="content-disposition"), part.get_content())
            for part in message.iter_parts()
        ]

    ((name, content),) = parts(kind, body)
    assert name == "photos"
    assert read_exif(content).lat is None
    assert [name for name, _ in parts(other_kind, other_body)] == ["photos", "photos", "together"]


def test_a_server_that_is_not_there(photo):
    (answer,) = HttpPlayer("server", "http://127.0.0.1:9").ask(
        places_at(np.zeros((1, 2)), (photo,)), 5.0
    )
    assert "cannot be reached" in answer.problem


def test_answers_in_a_table(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(
        "file,lat,lon,seconds\nplace 0,1,2,3\nfolder/place 1,4,5,99\nplace 2,,,1\nplace 3,95,5,1\n"
    )
    (player,) = read_log(path, "", seed=0)
    assert player.name == "mine"
    answers = list(player.ask(places_at(np.zeros((5, 2)), (tmp_path / "x.jpg",)), 15.0))
    assert (answers[0].lat, answers[0].lon, answers[0].seconds) == (1, 2, 3)
    assert [answer.problem for answer in answers] == [
        "", "no answer in the table", "refused", "refused", "no answer in the table",
    ]  # fmt: skip
    late = next(player.ask(places_at(np.zeros((1, 2)), (tmp_path / "x.jpg",)), 2.0))
    assert (late.problem, late.seconds) == ("too late", 3)


def test_guesses_of_people_by_division(tmp_path):
    path = tmp_path / "humans.csv"
    rows = [f"place {place},{lat},0,gold" for place in range(20) for lat in (10, 20, 30)]
    path.write_text("\n".join(["location,lat,lon,division", *rows, "place 0,5,5,master"]))
    gold, master = read_log(path, "", seed=0)
    assert (gold.name, master.name) == ("gold", "master")
    places = places_at(np.zeros((20, 2)), (tmp_path / "x.jpg",))
    said = [answer.lat for answer in gold.ask(places, 15)]
    assert set(said) == {10, 20, 30}, "one of the division's guesses, drawn by the seed"
    assert said == [answer.lat for answer in gold.ask(places, 15)]
    reversed_places = places.take(range(20)[::-1])
    assert said[::-1] == [answer.lat for answer in gold.ask(reversed_places, 15)]
    other = read_log(path, "people", seed=1)[0]
    assert other.name == "people gold"
    assert said != [answer.lat for answer in other.ask(places, 15)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("file,lat\na,1\n", "column lon is missing"),
        ("lat,lon\n1,2\n", "column file is missing"),
        ("", "not a readable"),
    ],
)
def test_tables_that_are_none(tmp_path, text, reason):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(TableError, match=reason) as error:
        read_log(path, "", seed=0)
    assert "bad.csv" in str(error.value)


def test_a_table_about_other_places_is_refused(tmp_path):
    path = tmp_path / "other.csv"
    path.write_text("file,lat,lon\nsomewhere,1,2\n")
    (player,) = read_log(path, "", seed=0)
    with pytest.raises(GameError, match=r"place 0"):
        list(player.ask(places_at(np.zeros((1, 2)), (tmp_path / "x.jpg",)), 15.0))


def test_specs(tmp_path):
    (tmp_path / "log.csv").write_text("file,lat,lon\na,1,2\n")
    specs = ["prior", "starter", "my bot=cmd:python b.py --x=1", "http://user:pw@h:1/p?q=1"]
    players = make_players([*specs, f"log={tmp_path / 'log.csv'}", "near=nearest"], "starter", 0)
    assert [(player.name, player.kind) for player in players] == [
        ("prior", "baseline"), ("starter", "bundle"), ("my bot", "command"), ("h:1", "http"),
        ("log", "log"), ("near", "baseline"),
    ]  # fmt: skip
    with pytest.raises(GameError, match="two players are called 'prior'"):
        make_players(["prior", "prior"], "starter", 0)
    with pytest.raises(CommandError, match="command is empty"):
        make_players(["cmd:"], "starter", 0)
    (missing,) = make_players(["nosuch"], "starter", 0)
    with pytest.raises(BundleError, match="nosuch"):
        list(missing.ask(places_at(np.zeros((1, 2)), (tmp_path / "x.jpg",)), 1.0))


def test_a_bundle_looks_once_for_all_that_it_plays(photo_folder, monkeypatch):
    from geoloc.encoders import pipeline
    from geoloc.game.players import bundle

    files = [photo_folder / f"{number:02}.jpg" for number in range(6)]
    shown = places_at(np.zeros((4, 2)))
    views = ((files[0],), (files[1],), (photo_folder / "damaged.jpg",), (files[3],))
    places = type(shown)(shown.name, shown.latlon, views, shown.group)
    seen = []
    encode_all = pipeline.encode_all
    monkeypatch.setattr(
        bundle,
        "encode_all",
        lambda network, sources: (seen.extend(sources), encode_all(network, sources))[1],
    )
    players = make_players(["starter", "nearest", "centroid", "prior"], "starter", 0)
    answers = {player.name: list(player.ask(places, 60.0)) for player in players}
    assert len(seen) == 4
    for name in ("starter", "nearest", "centroid"):
        assert [bool(answer.problem) for answer in answers[name]] == [False, False, True, False]
    guess = players[0]._answers.geolocator.locate(files[3])
    assert (answers["starter"][3].lat, answers["starter"][3].lon) == (guess.lat, guess.lon)
    assert len({(answer.lat, answer.lon) for answer in answers["prior"]}) == 1
    assert next(players[0].ask(places, 1e-9)).problem == "too late"


def test_several_views_are_answered_together(photo_folder):
    views = tuple(photo_folder / f"{number:02}.jpg" for number in (0, 3, 6, 9))
    (player,) = make_players(["starter"], "starter", 0)
    answer, _ = player.ask(places_at(np.zeros((2, 2)), views), 60.0)
    together = player._answers.geolocator.locate_together(views)
    assert (answer.lat, answer.lon) == (together.lat, together.lon)
