"""The options of `geoloc locate` and `geoloc batch` that ask for evidence beside the picture."""

import json
import subprocess
import sys

import pytest

from tests.scenes import write_dated_photo


@pytest.fixture
def dated(tmp_path):
    return write_dated_photo(tmp_path / "dated.jpg")


def geoloc(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "geoloc", *map(str, arguments)], capture_output=True, text=True
    )


def test_locate_and_batch_give_the_same_account(dated, tmp_path):
    options = ["--use-metadata", "--shadow", "1.8:2.4±5%", "--time", "2024-06-01T01:30Z"]
    located = geoloc("locate", dated, "--json", *options)
    assert located.returncode == 0, located.stderr
    file, sun = json.loads(located.stdout)["witnesses"]
    assert (file["witness"], file["counted"]) == ("file", True)
    assert "Japan" in file["findings"][0]["meaning"]
    assert (sun["witness"], sun["counted"]) == ("sun", True)
    out = tmp_path / "answers.jsonl"
    batched = geoloc("batch", dated, "-o", out, "--quiet", *options)
    assert batched.returncode == 0, batched.stderr
    (answer,) = map(json.loads, out.read_text().splitlines())
    for mine, other in zip(answer["witnesses"], (file, sun), strict=True):
        assert mine["findings"] == other["findings"]
        assert mine["bits"] == pytest.approx(other["bits"], abs=1e-3)
        assert mine["place_without"]["town"] == other["place_without"]["town"]


def test_a_batch_with_other_options_is_answered_again(dated, tmp_path):
    out = tmp_path / "answers.csv"
    assert geoloc("batch", dated, "-o", out, "--quiet").returncode == 0
    shown = out.read_text()
    assert "+09:00" in shown
    assert geoloc("batch", dated, "-o", out, "--quiet", "--use-metadata").returncode == 0
    assert out.read_text() != shown


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--shadow", "0:1", "--time", "2024-06-01T10:30Z"], "shadow 0:1: a length is 0"),
        (["--shadow", "1:1"], "a shadow needs the time"),
        (["--time", "2024-06-01T10:30Z"], "give a shadow as well"),
        (["--shadow", "1:1", "--time", "2024-06-01T10:30"], "lacks its zone"),
        (["--within", "above 20,000 m"], "give a height"),
    ],
)
def test_impossible_statements_are_one_line(dated, options, problem):
    result = geoloc("locate", dated, *options)
    assert result.returncode == 2
    assert problem in result.stderr
    assert len(result.stderr.splitlines()) == 1
