"""Players of every kind, and every way in which they fail: real programs, a real server."""

import email
import json
import os
import sys
import textwrap
import threading
import time
from email import policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from geoloc.errors import BundleError, TableError
from geoloc.game.places import GameError, Places
from geoloc.game.players import command, http
from geoloc.game.players.command import CommandPlayer
from geoloc.game.players.http import HttpPlayer
from geoloc.game.players.log import read_log
from geoloc.game.players.registry import make_players
from geoloc.io.jsonl_process import CommandError
from geoloc.photos.decode import read_exif
from tests.geoloc.game.skilled import places_at
from tests.processes import is_dead

AMPLE_S = 300.0
"""Never used up: a test that waits so long has failed."""

SHORT_S = 0.2
"""Used where no answer ever comes."""


@pytest.fixture
def bot(tmp_path):
    """Make a player from the body of a loop over requests."""

    def make(body: str, before: str = "") -> CommandPlayer:
        script = tmp_path / "bot.py"
        loop = "import json, os, sys, time\n" + textwrap.dedent(before)
        loop += "for line in sys.stdin:\n"
        loop += "    request = json.loads(line)\n    number = request['id']\n"
        loop += textwrap.indent(textwrap.dedent(body), "    ") + "\n    sys.stdout.flush()\n"
        script.write_text(loop)
        return CommandPlayer("bot", f"{sys.executable} {script}")

    return make


@pytest.fixture
def short_wait(monkeypatch):
    """Wait SHORT_S for the reply about every odd place, and as long as it takes for others."""
    ask = command._ask

    def ask_odd_shortly(process, number, photos, seconds, loading_s):
        if number % 2:
            return ask(process, number, photos, SHORT_S, 0.0)
        return ask(process, number, photos, seconds, loading_s)

    monkeypatch.setattr(command, "_ask", ask_odd_shortly)


GOOD = """print('{"lat": 48.5, "lon": 2.5}')"""


@pytest.mark.parametrize(
    ("failure", "problem"),
    [
        ("sys.exit(3)", "the program ended with exit code 3"),
        ("""print('{"lat": NaN, "lon": 2.5}')""", "no place on Earth"),
        ("""print('{"lat": 91, "lon": 2.5}')""", "no place on Earth"),
        ("""print('{"lat": 1e999, "lon": 2}')""", "no place on Earth"),
        ("""print('{"lat": null, "lon": null}')""", "refused"),
        ("""print('{"lat": "here", "lon": [2]}')""", "no numbers"),
        ("""print('{"place": "Paris"}')""", "no JSON object with lat and lon"),
    ],
)
def test_failure_of_a_program_costs_one_round(bot, photo, failure, problem):
    player = bot(f"if number == 1: {failure}\nelse: {GOOD}")
    first, failed, third = player.ask(places_at(np.zeros((3, 2)), (photo,)), AMPLE_S)
    assert (first.lat, third.lat) == (48.5, 48.5)
    assert np.isnan([failed.lat, failed.lon]).all()
    assert problem in failed.problem


@pytest.mark.parametrize(
    "failure",
    [
        "time.sleep(1000)", "print('Bonjour !')", "print('[48.5, 2.5]')", "print('x' * 3_000_000)",
        """print('{"id": 0, "lat": 0, "lon": 0}')""",
    ],
)  # fmt: skip
def test_missing_reply_of_a_program_costs_one_round(bot, photo, short_wait, failure):
    player = bot(f"if number == 1: {failure}\nelse: {GOOD}")
    first, failed, third = player.ask(places_at(np.zeros((3, 2)), (photo,)), AMPLE_S)
    assert (first.lat, third.lat) == (48.5, 48.5)
    assert np.isnan([failed.lat, failed.lon]).all()
    assert failed.problem == "no reply within 0.2 s"


def test_lines_before_and_after_a_reply_are_skipped(bot, photo):
    player = bot(
        f"""
        if number == 1: print("loading"); {GOOD}
        elif number == 2: {GOOD}; print('{{"lat": 0, "lon": 0, "id": 2}}')
        else: {GOOD}
        """
    )
    answers = list(player.ask(places_at(np.zeros((4, 2)), (photo,)), AMPLE_S))
    assert [answer.lat for answer in answers] == [48.5] * 4


def test_program_is_started_once_and_gets_photos_without_metadata(bot, photo, tmp_path):
    log = tmp_path / "requests.jsonl"
    player = bot(
        f"""
        with open({str(log)!r}, "a") as requests:
            exists = os.path.exists(request["photos"][0])
            print(json.dumps([os.getpid(), request, exists]), file=requests)
        data = open(request["photos"][0], "rb").read()
        open({str(tmp_path)!r} + "/copy.jpg", "wb").write(data)
        print('{{"lat": 1, "lon": 2}}')
        """
    )
    answers = list(player.ask(places_at(np.zeros((3, 2)), (photo, photo)), AMPLE_S))
    assert [answer.problem for answer in answers] == ["", "", ""]
    assert np.isnan(answers[0].seconds), "the first one includes the start"
    assert 0 <= answers[1].seconds < AMPLE_S
    requests = [json.loads(line) for line in log.read_text().splitlines()]
    assert len({pid for pid, _, _ in requests}) == 1
    assert [request["id"] for _, request, _ in requests] == [0, 1, 2]
    for _, request, existed in requests:
        assert existed
        assert len(request["photos"]) == 2
        assert request["seconds"] == AMPLE_S
        assert "eiffel" not in json.dumps(request), "file names can name the place"
        assert not any(map(os.path.exists, request["photos"])), "copies are deleted"
    assert read_exif(photo).lat is not None
    assert read_exif(tmp_path / "copy.jpg").lat is None
    assert is_dead(requests[0][0])


def test_program_and_its_children_are_killed(bot, photo, short_wait, tmp_path):
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
    first, second = player.ask(places_at(np.zeros((2, 2)), (photo,)), AMPLE_S)
    assert (first.lat, second.problem) == (1, "no reply within 0.2 s")
    while not is_dead(int(child.read_text())):
        time.sleep(0.01)


def test_program_that_never_works_is_given_up(photo):
    places = places_at(np.zeros((command.GIVE_UP_AFTER + 3, 2)), (photo,))
    answers = list(CommandPlayer("bot", "/no/such/program").ask(places, AMPLE_S))
    assert len(answers) == len(places)
    assert "cannot be started" in answers[0].problem
    assert "given up" in answers[-1].problem


def test_unreadable_photo_does_not_count_as_a_failure_of_the_program(bot, photo):
    broken = photo.with_name("broken.jpg")
    broken.write_bytes(b"no photo")
    player = bot('print(\'{"lat": 1, "lon": 2}\')')
    places = places_at(np.zeros((2, 2)), (photo,))
    places = type(places)(places.name, places.latlon, ((broken,), (photo,)), places.group)
    bad, good = player.ask(places, AMPLE_S)
    assert "not a picture" in bad.problem
    assert good.lat == 1


REPLIES = {
    "good": b'{"lat": 48.5, "lon": 2.5, "place": "Paris"}',
    "list": b'{"answers": [{"photo": "a", "guess": {"lat": 48.5, "lon": 2.5}, "error": null}]}',
    "refused": b'{"answers": [{"photo": "a", "guess": null, "error": "too dark"}]}',
    "garbage": b"<html>hello</html>",
    "nested": b"[" * 100_000,
    "nan": b'{"lat": NaN, "lon": 2.5}',
    "empty": b"",
    "huge": b" " * (http.MAX_REPLY_BYTES + 1),
}


@pytest.fixture
def server(monkeypatch):
    """A server that replies to each request as the next of its `words` says."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.requests.append((self.path, self.headers["Content-Type"], body))
            word = self.server.words.pop(0)
            if word == "hang":
                self.server.closing.wait()
            elif word == "drip":
                self.send_response(200)
                self.end_headers()
                while not self.server.closing.wait(0.01):
                    self.wfile.write(b" ")
                    self.wfile.flush()
            elif word == "close":
                self.connection.close()
            elif word == "500":
                self.send_error(500)
            elif word == "redirect":
                self.send_response(307)
                self.send_header("Location", self.server.address + "/elsewhere")
                self.end_headers()
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
        running.words, running.requests, running.closing = [], [], threading.Event()
        running.address = f"http://127.0.0.1:{running.server_port}"
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.closing.set()
        running.shutdown()


def test_server_failures_cost_one_round_each(server, photo):
    problems = {
        "good": "", "500": "the server replied 500 Internal Server Error", "list": "",
        "redirect": "the server replied 307", "garbage": "no JSON", "nested": "no JSON",
        "empty": "no JSON", "refused": "too dark", "nan": "no place on Earth",
        "huge": "the reply is larger than 10 MB", "close": "disconnected",
    }  # fmt: skip
    server.words = [*problems, "good"]
    places = places_at(np.zeros((len(server.words), 2)), (photo,))
    *answers, last = HttpPlayer("server", server.address).ask(places, AMPLE_S)
    for (word, problem), answer in zip(problems.items(), answers, strict=True):
        assert problem in answer.problem, word
        assert (answer.lat == 48.5) == (word in ("good", "list")), word
        assert 0 < answer.seconds < AMPLE_S
    assert last.lat == 48.5
    assert {path for path, _, _ in server.requests} == {"/v1/locate"}, "redirects are not followed"


@pytest.mark.parametrize("word", ["hang", "drip"])
def test_server_without_a_complete_reply_is_waited_for_until_the_timeout(server, photo, word):
    server.words = [word]
    places = places_at(np.zeros((1, 2)), (photo,))
    (answer,) = HttpPlayer("server", server.address).ask(places, SHORT_S)
    assert answer.problem == "no reply within 0.2 s"


def test_server_gets_multipart_photos_without_metadata(server, photo):
    server.words = ["good", "good"]
    one, two = places_at(np.zeros((1, 2)), (photo,)), places_at(np.zeros((1, 2)), (photo, photo))
    (answer,) = HttpPlayer("server", server.address + "/").ask(one, AMPLE_S)
    assert answer.lat == 48.5
    list(HttpPlayer("server", server.address + "/own/path").ask(two, AMPLE_S))
    (path, kind, body), (other_path, other_kind, other_body) = server.requests
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


def test_unreachable_server_is_reported(photo, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    (answer,) = HttpPlayer("server", "http://127.0.0.1:9").ask(
        places_at(np.zeros((1, 2)), (photo,)), AMPLE_S
    )
    assert "cannot be reached" in answer.problem


def test_log_player_answers_from_a_table(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(
        "file,lat,lon,seconds\nplace 0,1,2,3\nother,4,5,99\nplace 2,,,1\nplace 3,95,5,1\n"
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


def test_log_player_finds_places_by_path_and_by_base_name_only_where_it_is_unique(tmp_path, caplog):
    path = tmp_path / "mine.csv"
    files = [tmp_path / name for name in ("paris/0.jpg", "nyc/0.jpg", "rome/1.jpg")]
    places = Places(
        np.array(["a", "b", "c"], dtype=object), np.ones((3, 2)),
        tuple((file,) for file in files), np.array(["", "", ""], dtype=object),
    )  # fmt: skip
    path.write_text("file,lat,lon\nnyc/0.jpg,2,2\nx/paris/0.jpg,1,1\n1.png,3,3\n0.jpg,4,4\n")
    (player,) = read_log(path, "", seed=0)
    assert [answer.lat for answer in player.ask(places, 15.0)] == [1, 2, 3]
    assert "1 answers of 'mine' fit several places and are left out" in caplog.text
    path.write_text("photo_id,file,lat,lon\n07,no.jpg,1,1\n7,x.jpg,2,2\n")
    (player,) = read_log(path, "", seed=0)
    by_id = Places(np.array(["07.jpg", "7.jpg"], dtype=object), np.ones((2, 2)),
                   (files[:1], files[1:2]), np.array(["", ""], dtype=object))  # fmt: skip
    assert [answer.lat for answer in player.ask(by_id, 15.0)] == [1, 2]


def test_every_division_of_a_log_is_one_player(tmp_path):
    path = tmp_path / "humans.csv"
    rows = [f"place {place},{lat},0,gold" for place in range(20) for lat in (10, 20, 30)]
    path.write_text("\n".join(["location,lat,lon,division", *rows, "place 0,5,5,master"]))
    gold, master = read_log(path, "", seed=0)
    assert (gold.name, master.name) == ("gold", "master")
    places = places_at(np.zeros((20, 2)), (tmp_path / "x.jpg",))
    guesses = [answer.lat for answer in gold.ask(places, 15)]
    assert set(guesses) == {10, 20, 30}, "one of the division's guesses, drawn by the seed"
    assert guesses == [answer.lat for answer in gold.ask(places, 15)]
    reversed_places = places.take(range(20)[::-1])
    assert guesses[::-1] == [answer.lat for answer in gold.ask(reversed_places, 15)]
    other = read_log(path, "people", seed=1)[0]
    assert other.name == "people gold"
    assert guesses != [answer.lat for answer in other.ask(places, 15)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("file,lat\na,1\n", "column lon is missing"),
        ("lat,lon\n1,2\n", "column file is missing"),
        ("", "not a readable"),
    ],
)
def test_unusable_log_is_refused(tmp_path, text, reason):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(TableError, match=reason) as error:
        read_log(path, "", seed=0)
    assert "bad.csv" in str(error.value)


def test_log_about_other_places_is_refused(tmp_path):
    path = tmp_path / "other.csv"
    path.write_text("file,lat,lon\nsomewhere,1,2\n")
    (player,) = read_log(path, "", seed=0)
    with pytest.raises(GameError, match=r"place 0"):
        list(player.ask(places_at(np.zeros((1, 2)), (tmp_path / "x.jpg",)), 15.0))


def test_specs_create_players(tmp_path):
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


def test_players_of_one_bundle_embed_every_photo_once(photo_folder, monkeypatch):
    from geoloc.encoders import pipeline
    from geoloc.game.players import bundle

    files = [photo_folder / f"{number:02}.jpg" for number in range(6)]
    base = places_at(np.zeros((4, 2)))
    views = ((files[0],), (files[1],), (photo_folder / "damaged.jpg",), (files[3],))
    places = type(base)(base.name, base.latlon, views, base.group)
    embedded = []
    encode_all = pipeline.encode_all
    monkeypatch.setattr(
        bundle,
        "encode_all",
        lambda network, sources: (embedded.extend(sources), encode_all(network, sources))[1],
    )
    players = make_players(["starter", "nearest", "centroid", "prior"], "starter", 0)
    answers = {player.name: list(player.ask(places, 60.0)) for player in players}
    assert len(embedded) == 4
    for name in ("starter", "nearest", "centroid"):
        assert [bool(answer.problem) for answer in answers[name]] == [False, False, True, False]
    guess = players[0]._answers.geolocator.locate(files[3])
    assert (answers["starter"][3].lat, answers["starter"][3].lon) == (guess.lat, guess.lon)
    assert len({(answer.lat, answer.lon) for answer in answers["prior"]}) == 1
    assert next(players[0].ask(places, 1e-9)).problem == "too late"


def test_several_views_of_a_place_are_answered_together(photo_folder):
    views = tuple(photo_folder / f"{number:02}.jpg" for number in (0, 3, 6, 9))
    (player,) = make_players(["starter"], "starter", 0)
    answer, _ = player.ask(places_at(np.zeros((2, 2)), views), 60.0)
    together = player._answers.geolocator.locate_together(views)
    assert (answer.lat, answer.lon) == (together.lat, together.lon)
