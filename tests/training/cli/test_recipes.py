"""Options of `geoloc-train pigeon` and `pigeotto`, with the recipe itself replaced."""

import pytest

pytest.importorskip("torch")

from geoloc.errors import TableError

RECIPES = ["pigeon", "pigeotto"]


@pytest.fixture
def recipe(monkeypatch):
    """Replace the recipe by one that leaves a stage in the work folder and writes a bundle."""

    def make(recipe, photos, out, work, *, report, **options):
        work.mkdir(exist_ok=True)
        (work / "stage").write_text(str(photos))
        report.stage("training")
        if photos is not None and photos.name == "bad":
            raise TableError(f"{photos}: no such table")
        out.mkdir(exist_ok=True)
        for name in ("bundle.json", "MODEL_CARD.md"):
            (out / name).write_text("written")

    monkeypatch.setattr("training.recipes.pigeon.make_bundle", make)
    monkeypatch.setattr("training.synthetic.planet.write_planet", lambda folder, *size: folder)


@pytest.mark.parametrize("name", RECIPES)
def test_stages_are_deleted_once_the_bundle_is_complete(name, recipe, geoloc_train, tmp_path):
    done = geoloc_train(name, "photos.parquet", "-o", tmp_path / "bundle")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


@pytest.mark.parametrize("name", RECIPES)
def test_stages_are_kept_if_asked_for_or_if_training_failed(name, recipe, geoloc_train, tmp_path):
    out, elsewhere = tmp_path / "bundle", tmp_path / "elsewhere"
    assert geoloc_train(name, tmp_path / "bad", "-o", out).returncode == 2
    assert (tmp_path / "bundle.work" / "stage").is_file()
    geoloc_train(name, "photos.parquet", "-o", out, "--keep-work")
    assert (tmp_path / "bundle.work" / "stage").is_file()
    geoloc_train(name, "photos.parquet", "-o", tmp_path / "other", "--work", elsewhere)
    assert (elsewhere / "stage").is_file()


def test_a_finished_bundle_is_not_trained_anew_by_accident(recipe, geoloc_train, tmp_path):
    command = ("pigeon", "photos.parquet", "-o", tmp_path / "bundle")
    geoloc_train(*command)
    again = geoloc_train(*command)
    assert again.returncode == 2
    assert "bundle: is finished, and its stages are not kept" in again.stderr
    assert not (tmp_path / "bundle.work").exists()


@pytest.mark.parametrize("name", RECIPES)
def test_the_former_name_of_rehearse_still_works_with_a_note(name, recipe, geoloc_train, tmp_path):
    done = geoloc_train(name, "--rehearse", "-o", tmp_path / "new")
    assert done.returncode == 0, done.stderr
    assert "--dry-run" not in done.stderr
    done = geoloc_train(name, "--dry-run", "-o", tmp_path / "old")
    assert done.returncode == 0
    assert done.stderr.count("it is now --rehearse") == 1
    assert "--dry-run" not in geoloc_train(name, "--help").stdout


def test_quiet_leaves_results_and_errors_only(recipe, geoloc_train, tmp_path):
    loud = geoloc_train("pigeon", "photos.parquet", "-o", tmp_path / "one")
    assert "training" in loud.stderr
    assert "bundle: " in loud.stdout
    quiet = geoloc_train("pigeon", "photos.parquet", "-o", tmp_path / "two", "--quiet")
    assert (quiet.returncode, quiet.stderr) == (0, "")
    assert "bundle: " in quiet.stdout
    failed = geoloc_train("pigeon", tmp_path / "bad", "-o", tmp_path / "three", "--quiet")
    assert failed.returncode == 2
    assert failed.stderr == f"geoloc-train: {tmp_path}/bad: no such table\n"
    again = geoloc_train("pigeon", "photos.parquet", "-o", tmp_path / "four")
    assert "training" in again.stderr, "quiet ends with its command"
