"""The commands `geoloc evaluate` and `geoloc results`, and the report in Chromium."""

import csv
import io
import json
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pytest

from geocells.sphere import haversine_km
from tests.geoloc.evaluation.samples import towns


def geoloc_process(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the program in a process of its own."""
    command = [sys.executable, "-m", "geoloc", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def geoloc(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the program in this process, which is faster."""
    from geoloc.cli.main import app

    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = app(list(map(str, arguments)), result_action="return_value")
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def library(photo_folder, tmp_path_factory):
    """A folder with a table of the drawn photos and their authors, one of them missing."""
    folder = tmp_path_factory.mktemp("evaluation")
    from geoloc.photos.decode import read_exif

    with (folder / "mine.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "lat", "lon", "author"])
        for photo in sorted(photo_folder.glob("[0-9]*.jpg")):
            exif = read_exif(photo)
            table.writerow([photo.name, exif.lat, exif.lon, f"author {int(photo.stem) % 5}"])
        table.writerow(["damaged.jpg", 48.86, 2.35, "author 0"])
        table.writerow(["gone.jpg", 48.86, 2.35, "author 0"])
    return folder


@pytest.fixture(scope="module")
def report(library, photo_folder):
    """The report of the starter bundle on these photos."""
    out = library / "starter.html"
    done = geoloc_process("evaluate", library / "mine.csv", "--images", photo_folder, "-o", out,
                          "--resamples", 100, "--bundle", "starter")  # fmt: skip
    return done, out


def test_bundle_is_scored(report, library):
    done, out = report
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert "1 of 62 photos have no photo here (gone.jpg)" in lines[1]
    assert "damaged.jpg" in lines[2]
    assert len(lines) == 3
    assert lines[0].startswith("report: ")
    assert "standard" in done.stdout
    assert "disjoint" in done.stdout
    assert "with the training photos:" in done.stdout
    numbers = json.loads(out.with_suffix(".json").read_text())
    score = numbers["scores"]["standard"][0]
    assert (score["photos"], score["answered"]) == (61, 60)  # the damaged one counts as wrong
    assert numbers["benchmark"]["resampled_by"] == "author"
    assert numbers["audit"]["duplicate"] == 0
    assert numbers["audit"]["author"] == 0
    assert numbers["honesty"]["regions"]["95"]["photos"] == 60
    for measure, value in score["value"].items():
        if value is not None:
            assert score["low"][measure] <= value + 1e-6 or value > 0
    assert (
        str(library)
        not in out.with_suffix(".json").read_text().replace(str(out), "").split('"problems"')[0]
    )  # paths are private
    assert (out.with_suffix(".predictions.csv")).is_file()


def test_saved_predictions_score_the_same(report, library):
    _, out = report
    again = library / "again.html"
    done = geoloc("evaluate", library / "mine.csv", "--predictions",
                  out.with_suffix(".predictions.csv"), "-o", again, "--resamples", 10,
                  "--against", out.with_suffix(".predictions.csv"))  # fmt: skip
    assert done.returncode == 1, done.stderr  # two photos have no answer
    first, second = (json.loads(path.with_suffix(".json").read_text()) for path in (out, again))
    assert second["scores"]["standard"][0]["photos"] == 62
    assert second["systems"][0]["refused"] == 2
    assert first["honesty"]["radii"] == second["honesty"]["radii"]
    assert second["honesty"]["chances"]["ece"] == pytest.approx(first["honesty"]["chances"]["ece"])
    assert second["audit"] is None
    assert "not audited" in done.stdout
    (pair,) = second["paired"]
    assert all(row["low"] == row["high"] == 0.0 for row in pair["rows"])
    assert all(row["p"] == 1.0 for row in pair["rows"] if "p" in row)


def test_training_photos_of_another_system_are_audited(library, tmp_path):
    rows = list(csv.DictReader((library / "mine.csv").open()))
    with (tmp_path / "train.csv").open("w") as file:
        file.write("file,lat,lon,author\nx.jpg,10,10,author 3\n")
        file.write(f"y.jpg,{rows[0]['lat']},{rows[0]['lon']},somebody\n")
    with (tmp_path / "theirs.csv").open("w") as file:
        file.write("photo,lat,lon\n" + "".join(f"{row['file']},48.9,2.3\n" for row in rows))
    done = geoloc("evaluate", library / "mine.csv", "--predictions", tmp_path / "theirs.csv",
                  "--train", tmp_path / "train.csv", "--resamples", 10)  # fmt: skip
    assert done.returncode == 0, done.stderr
    shown = " ".join(done.stdout.split())
    assert "12 share an author" in shown
    places = np.array([(row["lat"], row["lon"]) for row in rows], float)
    near = (haversine_km(places, places[0]) < 1.0).sum()
    assert f"{near} are within 1 km" in shown
    assert "not known: duplicate" in shown


def test_program_is_scored(library, photo_folder, tmp_path):
    (tmp_path / "player.py").write_text(
        "import json, sys\n"
        "for number, line in enumerate(sys.stdin):\n"
        "    if number == 4: sys.exit('out of memory')\n"
        "    assert json.loads(line)['photo'].endswith('.jpg')\n"
        "    print(json.dumps({'lat': 48.8, 'lon': 2.3, 'cost_usd': 0.002}), flush=True)\n"
    )
    done = geoloc("evaluate", library / "mine.csv", "--images", photo_folder, "--command",
                  f"{sys.executable} {tmp_path / 'player.py'}", "--resamples", 10,
                  "-o", tmp_path / "program.html")  # fmt: skip
    assert done.returncode == 1
    assert "starter" not in done.stdout + done.stderr
    assert "ended with exit code" in done.stderr
    numbers = json.loads((tmp_path / "program.json").read_text())
    (system,) = numbers["systems"]
    assert system["name"] == "player.py"
    assert system["refused"] == 12
    assert system["cost_usd_per_1000"] == pytest.approx(2.0)
    assert system["latency_s"] > 0


TRUTH = "file,lat,lon\na.jpg,48.9,2.3\nb.jpg,40.7,-74.0\n"
"""Two photos, in Paris and New York."""


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("truth", "answers", "code"),
    [
        (TRUTH, TRUTH, 0),
        (TRUTH, TRUTH + "a.jpg,1,1\nzzz.jpg,1,1\n", 0),  # a repeated row, and another photo
        (TRUTH + "a.jpg,1,1\n", TRUTH, 0),
        (TRUTH, "file,lat,lon\na.jpg,48.9,2.3\n", 1),
        (TRUTH, TRUTH.replace("-74.0", ""), 1),
        (TRUTH, TRUTH.replace("-74.0", "-740"), 1),
        (TRUTH + "c.jpg,95,0\n", TRUTH, 1),
        (TRUTH, "file,lat,lon\na.jpg,,\nb.jpg,,\n", 2),
        (TRUTH, "file,lat,lon\nzzz.jpg,1,1\n", 2),
    ],
)
def test_exit_code_says_whether_photos_are_unanswered(tmp_path, truth, answers, code):
    truth, answers = write(tmp_path / "t.csv", truth), write(tmp_path / "a.csv", answers)
    done = geoloc("evaluate", truth, "--predictions", answers, "--resamples", 5)
    assert done.returncode == code, done.stderr


def test_command_needs_no_bundle(library, photo_folder, monkeypatch):
    def choose_default(**options):
        raise AssertionError("no bundle is used")

    monkeypatch.setattr("geoloc.bundle.installed.choose_default", choose_default)
    done = geoloc("evaluate", library / "mine.csv", "--images", photo_folder, "--command", "true",
                  "--resamples", 5)  # fmt: skip
    assert done.returncode == 2  # it answers nothing
    assert "given up after 20 in a row" in done.stderr


def test_systems_are_named_by_option_or_by_their_files(tmp_path):
    truth = write(tmp_path / "t.csv", TRUTH)
    (tmp_path / "other").mkdir()
    files = [write(tmp_path / name, TRUTH) for name in ("a.csv", "other/a.csv", "b.csv")]
    options = ["--predictions", files[0], "--against", files[1], "--against", files[2]]

    def names(*more):
        out = tmp_path / "r.html"
        done = geoloc("evaluate", truth, *options, *more, "-o", out, "--resamples", 5)
        assert done.returncode == 0, done.stderr
        return [
            each["name"] for each in json.loads(out.with_suffix(".json").read_text())["systems"]
        ]

    assert names() == ["a", "a (2)", "b"]
    assert names("--name", "ours", "--name", "theirs") == ["ours", "theirs", "b"]
    done = geoloc("evaluate", truth, *options, *["--name", "x"] * 4)
    assert done.returncode == 2
    assert "4 names for 3 systems" in done.stderr


def test_comparison_ends_with_a_verdict(tmp_path):
    places = towns(40, np.random.default_rng(0))

    def table(name, off):
        rows = [f"{i}.jpg,{lat + off},{lon}" for i, (lat, lon) in enumerate(places)]
        return write(tmp_path / name, "\n".join(["file,lat,lon", *rows, ""]))

    truth, near, far = table("t.csv", 0), table("near.csv", 0.1), table("far.csv", 5)
    alike = write(tmp_path / "alike.csv", near.read_text())

    def verdict(first, second):
        out = tmp_path / "r.html"
        done = geoloc("evaluate", truth, "--predictions", first, "--against", second, "-o", out,
                      "--resamples", 50)  # fmt: skip
        line = done.stdout.splitlines()[-1]
        sentence = line.removesuffix(" (GeoScore)")
        assert sentence[1:] in out.read_text()
        return sentence

    # 11.1 km and 556 km: 4,963 and 3,445 points
    better = "near is better than far by 1,518 points, 95 % 1,518-1,518"
    assert verdict(near, far) == verdict(far, near) == better
    none = "no difference between near and alike is shown: 0 points, 95 % 0 to 0"
    assert verdict(near, alike) == none


def test_table_of_countries_scores_the_country_only(tmp_path):
    truth = write(tmp_path / "t.csv", "id,country\na,FR\nb,usa\nc,Japan\nd,Atlantis\n")
    head = "id,lat,lon,chance_200km,radius_80_km\n"
    ours = write(tmp_path / "ours.csv", f"{head}a,48.9,2.3,0.9,10\nb,40.7,-74.0,0.9,10\nc,,,,\n")
    theirs = write(tmp_path / "theirs.csv", f"{head}a,0,0,,\nb,52.5,13.4,,\nc,35.7,139.7,,\n")
    out = tmp_path / "r.html"
    done = geoloc("evaluate", truth, "--predictions", ours, "--against", theirs, "-o", out,
                  "--resamples", 20, "--train", ours)  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "1 of 4 rows have no known country (d)" in done.stderr
    report = json.loads(out.with_suffix(".json").read_text())
    first, second = report["scores"]["standard"]
    assert first["value"]["country"] == pytest.approx(2 / 3)
    assert second["value"]["country"] == pytest.approx(1 / 3)
    assert {name for name, value in first["value"].items() if value is not None} == {"country"}
    assert [row["name"] for row in report["breakdown"]["country"]] != []
    assert "percentage points" in done.stdout
    assert "25 km" not in done.stdout
    page = out.read_text()
    assert "<h2>Errors</h2>" not in page
    assert "GeoScore" not in page.split("<h2>Method</h2>")[0]
    results = tmp_path / "results.html"
    assert geoloc("results", out.with_suffix(".json"), "-o", results).returncode == 0
    assert "<h2>t</h2>" in results.read_text()


def test_bundle_is_scored_by_country(photo_folder, tmp_path):
    photos = sorted(path.name for path in photo_folder.glob("[0-9]*.jpg"))[:4]
    rows = "".join(f"{name},AU\n" for name in photos)
    truth = write(tmp_path / "t.csv", f"file,country_code\n{rows}")
    done = geoloc("evaluate", truth, "--images", photo_folder, "--bundle", "starter",
                  "--resamples", 5, "-o", tmp_path / "r.html")  # fmt: skip
    assert done.returncode == 0, done.stderr
    score = json.loads((tmp_path / "r.json").read_text())["scores"]["standard"][0]
    assert score["answered"] == 4
    assert 0.0 <= score["value"]["country"] <= 1.0


def test_report_on_a_custom_table_has_its_own_section_of_the_results(report, library):
    _, out = report
    page = library / "custom.html"
    assert geoloc("results", out.with_suffix(".json"), "-o", page).returncode == 0
    text = page.read_text()
    section = text[text.index("<h2>mine</h2>") :].split("<h2>")[1]
    assert "measured here, 61 photos" in section
    assert "GeoScore" in section


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["im2gps3k"], "Published:"),
        (["nothing.csv"], "no such table"),
        (["mine.csv"], "--images"),
        (["mine.csv", "--predictions", "no.csv"], "no such table"),
        (
            ["mine.csv", "--predictions", "a.csv", "--command", "x"],
            "exclude each other",
        ),
        (["mine.csv", "--predictions", "mine.csv", "-o", "x.pdf"], "ends with .html"),
        (["mine.csv", "--images", "nowhere"], "no such folder"),
        (["mine.csv", "--predictions", "mine.csv", "-o", "mine.csv/x.html"], "choose another"),
    ],
)
def test_wrong_input_is_an_error_of_one_line(library, monkeypatch, capsys, arguments, reason):
    from geoloc.cli.main import app

    monkeypatch.chdir(library)
    code = app(["evaluate", *arguments, "--resamples", "5"], result_action="return_value")
    assert code == 2
    error = capsys.readouterr().err
    assert reason in error
    assert len(error.splitlines()) == 1


def test_page_of_published_results(report, library):
    _, out = report
    page = library / "results.html"
    assert geoloc("results", out.with_suffix(".json"), "-o", page).returncode == 0
    assert "PIGEOTTO" in page.read_text()
    wrong = geoloc("results", library / "mine.csv", "-o", page)
    assert wrong.returncode == 2
    assert "not a report" in wrong.stderr
    assert len(wrong.stderr.splitlines()) == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_report_is_readable_at_any_width(report, visit, width, scheme):
    """No external request, no sideways scrolling, and a text alternative for every chart."""
    _, out = report
    page = visit(out.as_uri(), width, 800, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("svg[role][aria-label]").count() == page.locator("svg").count() > 3
    assert page.locator(".photos img").count() > 8
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")


def test_file_names_are_escaped(library, tmp_path):
    rng = np.random.default_rng(0)
    hostile = "<img src=x onerror=alert(1)>"
    places = towns(5, rng)
    with (tmp_path / "hostile.csv").open("w") as file:
        file.write("file,lat,lon\n")
        file.writelines(f"{hostile}{i}.jpg,{a},{b}\n" for i, (a, b) in enumerate(places))
    done = geoloc("evaluate", tmp_path / "hostile.csv", "--predictions", tmp_path / "hostile.csv",
                  "-o", tmp_path / "hostile.html", "--resamples", 5)  # fmt: skip
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "hostile.html").read_text()
    assert hostile not in text
    assert "&lt;img src=x" in text
