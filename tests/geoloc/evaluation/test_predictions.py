"""Predictions of other systems, from tables and programs, and their errors."""

import sys

import numpy as np
import pytest

from geoloc.errors import TableError
from geoloc.evaluation import command, predictions
from geoloc.evaluation.benchmark import read as read_benchmark
from geoloc.evaluation.predictions import read
from geoloc.io.jsonl_process import CommandError
from tests.geoloc.evaluation.samples import drawn_answers, drawn_benchmark, towns


@pytest.fixture
def benchmark():
    return drawn_benchmark(towns(6, np.random.default_rng(0)))


def write(path, head, *rows):
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return path


def test_each_kind_of_problem_is_one_line(tmp_path, benchmark):
    table = write(
        tmp_path / "theirs.csv", "photo,lat,lon,chance_200km,radius_80_km",
        "p0.jpg,1,2,0.5,10", "p1.jpg,nan,2,,", "p2.jpg,91,2,,", "p0.jpg,5,5,,", "zzz.jpg,1,1,,",
        "p3.jpg,1,2,1.5,-3", "p4.jpg,word,2,,",
    )  # fmt: skip
    found = read(table, benchmark)
    assert found.system == "theirs"
    assert found.refused.tolist() == [False, True, True, False, True, True]
    assert found.latlon[0].tolist() == [1.0, 2.0]  # the first of the doubled rows
    assert np.isnan([found.chance[3], found.radii_km[3, 1]]).all()
    words = ["no photo of the benchmark", "answer a photo again", "outside -90..90",
             "chance outside 0..1", "negative radius"]  # fmt: skip
    lines = [line.split("theirs.csv: ")[1] for line in (*found.notices, *found.problems)]
    assert len(found.notices) == 2  # no photo of the benchmark loses its answer
    for word, line in zip(words[:2], lines[:2], strict=True):
        assert word in line
    assert lines[2] == (
        "2 of 7 rows have no number for lat or lon and count as refused (p1.jpg, p4.jpg)"
    )
    for word, line in zip(words[2:], lines[3:6], strict=True):
        assert word in line
    assert lines[6:] == ["1 of 6 photos have no row and count as refused (p5.jpg)"]


def test_synonyms_of_columns_and_other_folders_are_accepted(tmp_path, benchmark):
    table = write(tmp_path / "x.csv", "IMG_ID,pred_lat,pred_lng,confidence,latency",
                  "some/where/p2.png,1,2,city,0.5")  # fmt: skip
    found = read(table, benchmark)
    assert found.latlon[2].tolist() == [1.0, 2.0]
    assert np.isnan(found.chance).all()  # text is no probability
    assert found.latency_s[2] == 0.5
    assert found.notices == ()
    assert len(found.problems) == 1  # the photos without a row


def test_predicted_coordinates_are_read_rather_than_the_truth_beside_them(tmp_path, benchmark):
    table = write(tmp_path / "x.csv", "id,lat,predicted_lat,long,predicted_long", "p0,1,5,2,6")
    assert read(table, benchmark).latlon[0].tolist() == [5.0, 6.0]


def test_one_of_several_predictions_is_read_and_named(tmp_path, benchmark):
    table = write(tmp_path / "g3.csv", "IMG_ID,LAT,LON,zs_0_latitude,zs_0_longitude,"
                  "5_rag_0_latitude,5_rag_0_longitude", "p0.jpg,1,2,3,4,5,6")  # fmt: skip
    found = read(table, benchmark)
    assert found.latlon[0].tolist() == [3.0, 4.0]
    (notice,) = found.notices
    assert "read from zs_0_latitude, zs_0_longitude; the table also has 1 other" in notice


def test_hierarchy_of_geoestimation_is_read(tmp_path, benchmark):
    rows = [f"p{i},{key},7,{lat},0" for lat, key in enumerate(("coarse", "fine", "hierarchy"))
            for i in range(6)]  # fmt: skip
    found = read(write(tmp_path / "x.csv", "img_id,p_key,pred_class,pred_lat,pred_lng", *rows),
                 benchmark)  # fmt: skip
    assert found.latlon.tolist() == [[2.0, 0.0]] * 6
    assert found.problems == found.notices == ()


def test_truth_beside_predictions_of_unknown_names_is_no_answer(tmp_path, benchmark):
    rows = [f"p{i}.jpg,{lat},{lon},1,2" for i, (lat, lon) in enumerate(benchmark.latlon)]
    table = write(tmp_path / "x.csv", "id,lat,lon,model_lat,model_lon", *rows)
    with pytest.raises(
        TableError, match=r"lat, lon are the true .*\(are they model_lat, model_lon"
    ):
        read(table, benchmark)


def test_answers_that_are_the_truth_are_noticed(tmp_path, benchmark):
    rows = [f"{name},{lat},{lon}" for name, (lat, lon) in
            zip(benchmark.photo_id, benchmark.latlon.tolist(), strict=True)]  # fmt: skip
    found = read(write(tmp_path / "a.csv", "photo,lat,lon", *rows), benchmark)
    assert found.problems == ()
    (line,) = found.notices
    assert "all answers, read from lat, lon, are exactly the true coordinates" in line


def test_identifiers_that_look_like_numbers_stay_text(tmp_path):
    benchmark = drawn_benchmark(towns(3, np.random.default_rng(0)))
    benchmark.photo_id[:] = ["007", "12e4567", "34e1000"]
    table = write(tmp_path / "x.csv", "id,lat,lon", "34e1000,3,0", "007,1,0", "12e4567,2,0")
    found = read(table, benchmark)
    assert found.latlon[:, 0].tolist() == [1.0, 2.0, 3.0]
    assert found.problems == found.notices == ()


@pytest.mark.parametrize("truth", ["id,file", "id", "file"])
@pytest.mark.parametrize("answers", ["id,file", "id", "file"])
def test_photos_are_found_by_whichever_name_both_tables_have(tmp_path, truth, answers):
    if {truth, answers} == {"id", "file"}:
        pytest.skip("nothing in common")

    def table(path, columns, latitude):
        values = {"id": ["007", "42"], "file": ["b/x.jpg", "a/y.jpg"]}
        rows = [
            ",".join(
                [*(values[name][row] for name in columns.split(",")), str(latitude + row), "2"]
            )
            for row in range(2)
        ]
        return write(path, f"{columns},lat,lon", *rows)

    photos = read_benchmark(str(table(tmp_path / "truth.csv", truth, 10)))
    found = read(table(tmp_path / "answers.csv", answers, 20), photos)
    assert found.latlon[:, 0].tolist() == [20.0, 21.0]
    assert found.problems == found.notices == ()


def test_equal_base_names_are_matched_by_folder_or_reported(tmp_path):
    benchmark = drawn_benchmark(towns(3, np.random.default_rng(0)))
    benchmark.photo_id[:] = ["paris/0.jpg", "nyc/0.jpg", "1.jpg"]
    found = read(write(tmp_path / "x.csv", "id,lat,lon", "a/nyc/0.png,2,0", "0.jpg,9,9"), benchmark)
    assert found.refused.tolist() == [True, False, True]
    line, _ = found.problems
    assert "1 of 2 rows match several photos or share one; name the folders too (0.jpg)" in line


def test_table_about_other_photos_is_refused(tmp_path, benchmark):
    with pytest.raises(TableError, match=r"none of its photos is in drawn, whose first is p0\.jpg"):
        read(write(tmp_path / "x.csv", "photo,lat,lon", "a,1,2"), benchmark)
    with pytest.raises(TableError, match="column lon is missing"):
        read(write(tmp_path / "y.csv", "photo,lat", "a,1"), benchmark)
    with pytest.raises(TableError, match="no such table"):
        read(tmp_path / "z.csv", benchmark)


def test_written_predictions_are_read_again(tmp_path, benchmark):
    rng = np.random.default_rng(0)
    answers = drawn_answers(benchmark.latlon, 50.0, rng, refused=2)
    answers.radii_km[2:] = rng.uniform(1, 100, (4, 3))
    answers.chance[2:] = rng.random(4)
    predictions.write(answers, benchmark, tmp_path / "a.csv")
    assert "nan" not in (tmp_path / "a.csv").read_text()
    found = read(tmp_path / "a.csv", benchmark)
    for name in ("latlon", "chance", "radii_km", "cost_usd"):
        assert getattr(found, name) == pytest.approx(getattr(answers, name), nan_ok=True)
    assert list(tmp_path.iterdir()) == [tmp_path / "a.csv"]


ANSWERS = """
import json, sys, time
def say(text):
    print(text, flush=True)
say("loading the model ...")
for line in sys.stdin:
    name = json.loads(line)["photo"]
    if {when}:
        {then}
    say('{{"lat": 1.0, "lon": 2.0, "chance_200km": 0.5, "cost_usd": 0.01}}')
"""


def ask(tmp_path, benchmark, then="pass", when="'p2' in name"):
    program = tmp_path / "program.py"
    program.write_text(ANSWERS.format(then=then, when=when), encoding="utf-8")
    photos = benchmark.take(np.arange(len(benchmark)))
    photos.file[:] = [str(tmp_path / name) for name in photos.photo_id]
    return command.answer(f"{sys.executable} {program}", photos, 300.0)


@pytest.fixture
def short_wait(monkeypatch):
    """Wait 0.2 s for the reply about p2.jpg, and as long as it takes for the other replies."""
    ask_program = command._ask

    def ask(program, file, timeout_s):
        return ask_program(program, file, 0.2 if "p2" in file else timeout_s)

    monkeypatch.setattr(command, "_ask", ask)


def test_program_answers_and_other_output_is_ignored(tmp_path, benchmark):
    found = ask(tmp_path, benchmark)
    assert not found.refused.any()
    assert (found.latlon == [1.0, 2.0]).all()
    assert (found.chance == 0.5).all()
    assert found.cost_usd.sum() == pytest.approx(0.06)
    assert (found.latency_s > 0).all()
    assert found.problems == ()


@pytest.mark.parametrize(
    ("then", "said"),
    [
        ("sys.exit(3)", "ended with exit code 3"),
        ("""say('{"lat": NaN, "lon": 1e999}'); continue""", "refused"),
        ("""say('{"lat": 95, "lon": 0}'); continue""", "refused"),
        ("""say('{"lat": true, "lon": "x"}'); continue""", "refused"),
        ("""say('{"lat": 1' + "0" * 400 + ', "lon": 0}'); continue""", "refused"),
        ("""say('{"refused": true}'); continue""", "refused"),
    ],
)
def test_failed_reply_counts_as_refusal(tmp_path, benchmark, then, said):
    check_refusal(ask(tmp_path, benchmark, then), said)


@pytest.mark.parametrize(
    "then",
    [
        "time.sleep(1000)", "say('{'); continue", "say('[' * 100000); continue",
        "say('x' * 3_000_000); continue", "say('[1, 2]'); continue",
        "while True: say('x' * 1000)",
    ],
)  # fmt: skip
def test_missing_reply_counts_as_refusal(tmp_path, benchmark, short_wait, then):
    check_refusal(ask(tmp_path, benchmark, then), "no reply within 0.2 s")


def check_refusal(found, reason):
    assert found.refused.tolist() == [False, False, True, False, False, False]
    (line,) = found.problems
    assert reason in line
    assert "p2.jpg" in line


def test_program_without_any_reply_is_abandoned(tmp_path, monkeypatch, benchmark):
    monkeypatch.setattr(command, "GIVE_UP_AFTER", 2)
    found = ask(tmp_path, benchmark, "sys.exit(1)", when="True")
    assert found.refused.all()
    assert "ended with exit code 1: 2 photos count as refused" in found.problems[0]
    assert "given up after 2 in a row without an answer: 4 photos" in found.problems[1]


def test_reply_about_another_photo_is_ignored(tmp_path, benchmark):
    other = """say('{"photo": "another", "lat": 9.0, "lon": 9.0}')"""
    assert (ask(tmp_path, benchmark, other, when="True").latlon == [1.0, 2.0]).all()


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("/opt/models/geoclip --quiet", "geoclip"),
        ("/usr/bin/python3.11 -u path/player.py --top 5", "player.py"),
        ("python -m their.model", "their.model"),
        ("python", "python"),
    ],
)
def test_program_is_named_by_what_it_runs(words, name):
    assert command.program_name(words.split()) == name


def test_missing_program_is_reported_at_once(benchmark):
    with pytest.raises(CommandError, match="no-such-program: cannot be started"):
        command.answer("no-such-program", benchmark, 1.0)
    with pytest.raises(CommandError, match="empty"):
        command.answer("", benchmark, 1.0)
    with pytest.raises(CommandError, match="quotation marks"):
        command.answer("'", benchmark, 1.0)
