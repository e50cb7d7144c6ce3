"""Child processes that answer JSON requests: real programs, and every way in which they fail."""

import os
import sys
import textwrap
import time
from contextlib import closing

import pytest

from geoloc.io.jsonl_process import (
    CommandError,
    JsonlProcess,
    NoReplyError,
    parse_command,
)
from tests.processes import is_dead

pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")

AMPLE_S = 300.0
"""Never used up: a test that waits so long has failed."""

SHORT_S = 0.2
"""Used where the program never replies."""


def start(body: str, before: str = "") -> JsonlProcess:
    """Start a program that runs `body` for each request."""
    loop = "import json, os, subprocess, sys, time\n" + textwrap.dedent(before)
    loop += "for line in sys.stdin:\n    number = json.loads(line)['number']\n"
    loop += textwrap.indent(textwrap.dedent(body), "    ") + "\n    sys.stdout.flush()\n"
    return JsonlProcess([sys.executable, "-c", loop])


def ask(process: JsonlProcess, number: int = 0, timeout_s: float = AMPLE_S):
    return process.request(
        {"number": number}, timeout_s, lambda reply: reply.get("number") == number
    )


REPLY = "print(json.dumps({'number': number}), flush=True)\n"


def test_requests_are_answered_by_one_process():
    with closing(start("print(json.dumps({'number': number, 'pid': os.getpid()}))")) as process:
        replies = [ask(process, number) for number in range(3)]
    assert [reply["number"] for reply in replies] == [0, 1, 2]
    assert len({reply["pid"] for reply in replies}) == 1


@pytest.mark.parametrize(
    "output",
    [
        "loading the model ...", "", "{", "[1, 2]", "[" * 100_000, "x" * 3_000_000, "\xff",
        '{"number": 7}', '{"number": null}', "NaN",
    ],
)  # fmt: skip
def test_lines_that_are_not_the_reply_are_skipped(output):
    before = "sys.stdout.reconfigure(encoding='latin-1')\n"
    body = "print(json.loads(line)['output'], flush=True)\n" + REPLY
    with closing(start(body, before)) as process:
        for number in range(2):
            message = {"number": number, "output": output}
            reply = process.request(message, AMPLE_S, lambda r, n=number: r.get("number") == n)
            assert reply == {"number": number}


def test_lines_after_a_reply_are_not_taken_for_the_next_reply():
    with closing(start(REPLY + "print(json.dumps({'number': number + 1, 'old': 1}))")) as process:
        assert ask(process, 0) == {"number": 0}
        wait_until(lambda: process._lines.qsize() == 1)
        assert ask(process, 1) == {"number": 1}


@pytest.mark.parametrize(("body", "code"), [("sys.exit(3)", 3), ("os.kill(os.getpid(), 9)", -9)])
def test_end_of_the_program_ends_the_wait(body, code):
    with closing(start(body)) as process:
        with pytest.raises(NoReplyError, match=f"the program ended with exit code {code}$"):
            ask(process)
        with pytest.raises(NoReplyError, match=f"the program ended with exit code {code}$"):
            ask(process)


def test_end_of_the_program_between_two_requests_ends_the_wait():
    with closing(start(REPLY + "sys.exit(3)")) as process:
        assert ask(process, 0) == {"number": 0}
        wait_until(lambda: not process._reader.is_alive())
        with pytest.raises(NoReplyError, match="the program ended with exit code 3"):
            ask(process, 1)


def test_program_that_closes_its_output_is_not_waited_for():
    with (
        closing(start("os.close(1); time.sleep(1000)")) as process,
        pytest.raises(NoReplyError, match="the program closed its standard output"),
    ):
        ask(process)


@pytest.mark.parametrize("body", ["time.sleep(1000)", "while True: print('x' * 1000)"])
def test_program_without_a_reply_is_waited_for_until_the_timeout(body):
    process = start(body)
    with pytest.raises(NoReplyError, match=r"no reply within 0\.2 s"):
        ask(process, timeout_s=SHORT_S)
    assert process._lines.qsize() <= process._lines.maxsize, "chatter fills no memory"
    process.close()
    assert process._process.returncode == -9
    assert not process._reader.is_alive()


def test_closing_ends_child_processes(tmp_path):
    file = tmp_path / "pid"
    body = f"""
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
        open({str(file)!r}, "w").write(str(child.pid))
        {REPLY}
    """
    with closing(start(body)) as process:
        ask(process)
    wait_until(lambda: is_dead(int(file.read_text())))


def test_closing_does_not_wait_for_a_process_that_keeps_the_pipe(monkeypatch, tmp_path):
    monkeypatch.setattr("geoloc.io.jsonl_process._EXIT_S", 0.1)
    file = tmp_path / "pid"
    body = f"""
        sleep = [sys.executable, "-c", "import time; time.sleep(1000)"]
        child = subprocess.Popen(sleep, start_new_session=True)
        open({str(file)!r}, "w").write(str(child.pid))
        {REPLY}
    """
    process = start(body)
    ask(process)
    try:
        process.close()
    finally:
        os.kill(int(file.read_text()), 9)
    wait_until(lambda: not process._reader.is_alive())


def test_commands_are_split_like_in_a_shell():
    assert parse_command("python 'my bot.py' --x=1") == ["python", "my bot.py", "--x=1"]
    for command, reason in {"": "empty", "  ": "empty", "'": "quotation marks"}.items():
        with pytest.raises(CommandError, match=reason):
            parse_command(command)
    with pytest.raises(CommandError, match="no-such-program: cannot be started"):
        JsonlProcess(["no-such-program"])


def wait_until(reached):
    """Wait for a state; the timeout of pytest ends a test that never reaches it."""
    while not reached():
        time.sleep(0.01)
