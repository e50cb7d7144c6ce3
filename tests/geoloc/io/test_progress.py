"""Progress bars: what they print on a terminal and off one."""

import io
from contextlib import contextmanager, redirect_stderr

import pytest

from geoloc.io.progress import MAX_PRINTED_PROBLEMS, ProgressBars


class Terminal(io.StringIO):
    def isatty(self):
        return True


@contextmanager
def terminal(monkeypatch):
    """Replace standard error; not in a fixture, for pytest sets it again before each test."""
    stream = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    with redirect_stderr(stream):
        yield stream


def test_every_stage_keeps_its_bar_on_a_terminal(monkeypatch):
    with terminal(monkeypatch) as stream, ProgressBars(unit="photos") as bars:
        bars.stage("looking for photos")
        bars.stage("answering photos", 40)
        bars.advance(30, already=True)
        bars.advance(10)
    text = stream.getvalue()
    assert "looking for photos" in text
    assert "1/1" in text
    assert "40/40" in text
    assert "photos/s" in text


def test_steps_of_an_earlier_run_do_not_count_towards_the_rate(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("geoloc.io.progress.time.monotonic", lambda: now[0])
    with terminal(monkeypatch) as stream, ProgressBars(unit="photos") as bars:
        bars.stage("answering photos", 1_000)
        bars.advance(900, already=True)
        now[0] += 2.0
        bars.advance(100)
    assert "50.0 photos/s" in stream.getvalue()
    assert "1000/1000" in stream.getvalue()


def test_rate_is_left_out_without_a_unit(monkeypatch):
    with terminal(monkeypatch) as stream, ProgressBars() as bars:
        bars.stage("calibrating", 3)
        bars.advance(3)
    assert "/s" not in stream.getvalue()


def test_nothing_but_problems_is_printed_off_a_terminal(capsys):
    with ProgressBars(unit="photos") as bars:
        bars.stage("answering photos", 2)
        bars.advance(2)
        bars.problem("a[1].jpg: not a picture")
    assert capsys.readouterr().err == "a[1].jpg: not a picture\n"


def test_stages_are_lines_of_a_log(capsys):
    with ProgressBars(problem_prefix="left out: ", log_stages=True) as bars:
        bars.stage("reading photos")
        bars.problem("a.jpg: no GPS")
        bars.stage("calibrating", 2)
        bars.advance(2)
    assert capsys.readouterr().err == "reading photos\nleft out: a.jpg: no GPS\ncalibrating\n"


@pytest.mark.parametrize("excess", [0, 1_234])
def test_further_problems_are_counted(capsys, excess):
    with ProgressBars() as bars:
        for number in range(MAX_PRINTED_PROBLEMS + excess):
            bars.problem(f"{number}.jpg: damaged")
    assert bars.problems == MAX_PRINTED_PROBLEMS + excess
    lines = capsys.readouterr().err.splitlines()
    assert lines[:MAX_PRINTED_PROBLEMS] == [f"{n}.jpg: damaged" for n in range(20)]
    assert lines[MAX_PRINTED_PROBLEMS:] == (["… and 1,234 more"] if excess else [])
