"""`geoloc bundle calibrate`: radii and claims of a bundle of others, fitted on own photos."""

import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from geoloc.answer.judge import NEVER
from geoloc.bundle import directory
from geoloc.encoders.signatures import SIDE
from geoloc.errors import BundleError, TableError
from geoloc.io.progress import NullReporter
from geoloc.retrieval.copies import Copies
from tests.commands import in_process
from tests.training.bundles import made
from training.bundles import calibrate as calibration_of

STARTER = directory.EMBEDDED / "starter"


@pytest.fixture
def geoloc(capsys):
    return in_process(capsys)


@pytest.fixture(scope="module")
def fitted(world_ranker):
    """A calibration on 240 photos, as if they were enough for claims, and its results."""
    latlon, vectors = made.elsewhere(21, 240)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration_of, "FOR_CLAIMS", 240)
        return calibration_of.fit_calibration(
            world_ranker, made.manifest_of(latlon, np.arange(240)), vectors
        )


def thresholds(calibration) -> set[float]:
    """Return the thresholds of all claims, but those with witnesses."""
    judges = [judge for name, judge in calibration.judges.items() if name != "witness"]
    return {claim.threshold for judge in judges for claim in judge.claims.values()}


@pytest.mark.slow
def test_radii_hold_and_claims_are_made_with_enough_photos(fitted):
    calibration, metrics = fitted
    assert metrics["accuracy"]["full"]["photos"] == 240
    assert metrics["coverage"]["80"] == pytest.approx(0.8, abs=0.08)
    assert min(thresholds(calibration)) < 1.0
    assert sum(claim["photos"] for claim in metrics["claims"].values()) > 0


@pytest.mark.slow
def test_claims_can_be_taken_away(fitted):
    silent = calibration_of.without_claims(fitted[0])
    assert thresholds(silent) == {NEVER}
    assert silent.judges["photo"].radius == fitted[0].judges["photo"].radius


def test_command_calibrates_and_says_on_which_collections(
    geoloc, photo_folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(calibration_of, "FOR_RADII", 50)
    shutil.copytree(STARTER, tmp_path / "mine")
    (tmp_path / "photos.csv").write_text(
        "file,lat,lon,collection\n"
        + "".join(
            f"{photo_folder}/{n:02}.jpg,{10 + n % 3 * 20 + n / 100},{n % 3},walk {n % 3}\n"
            for n in range(60)
        )
    )
    command = ["bundle", "calibrate", tmp_path / "mine", "--photos", tmp_path / "photos.csv"]
    done = geoloc(*command, "--cache", tmp_path / "cache")
    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0), done.stderr
    assert "calibrated on 60 photos of 3 collections" in done.stdout
    assert "no claims: they take 1,000 photos" in done.stdout
    manifest = directory.verify(tmp_path / "mine")
    assert manifest["calibrated on"] == {"walk 0": 20, "walk 1": 20, "walk 2": 20}
    loaded = directory.load(tmp_path / "mine")
    assert thresholds(loaded.ranker.calibration) <= {NEVER}
    card = (tmp_path / "mine" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert card.count(calibration_of.HEADING) == 1
    assert "- walk 1: 20 photos" in card


def test_photos_of_the_bundle_are_left_out(world):
    """It would place them too well."""
    rng = np.random.default_rng(0)
    bundle = directory.load(world)
    members = bundle.ranker.gallery.members
    signatures = rng.integers(0, 255, (len(members), SIDE, SIDE), dtype=np.uint8)
    precision, threshold = np.zeros(len(members), np.float32), np.array([0.8], np.float32)
    bundle = replace(bundle, copies=Copies(signatures, precision, threshold))
    mine = made.library(5, 4, 10)
    rows = np.arange(0, 400, 100)
    vectors, looks = mine.embeddings.copy(), mine.signatures.copy()
    vectors[:4] = made.embed(members.latlon[rows], rng, noise=0.0)
    looks[:4] = signatures[rows]
    notes = []
    report = NullReporter()
    report.note = notes.append
    mine = replace(mine, embeddings=vectors, signatures=looks)
    kept = calibration_of.without_known(bundle, mine, "photos.csv", report)
    assert kept.manifest.file.tolist() == mine.manifest.file[4:].tolist()
    assert notes[0].startswith("photos.csv: 4 of 40 photos are in the bundle already (000000.jpg")


def test_table_without_coordinates_is_refused_in_one_line(geoloc, tmp_path):
    (tmp_path / "photos.csv").write_text("file,title\na.jpg,b\n")
    done = geoloc(
        "bundle", "calibrate", "starter", "--photos", tmp_path / "photos.csv", "-o", tmp_path / "x"
    )
    assert done.returncode == 2
    assert "photos.csv" in done.stderr.splitlines()[-1]
    assert "lat" in done.stderr.splitlines()[-1]


def test_embedded_bundle_is_not_changed(photo_folder):
    with pytest.raises(BundleError, match=r"comes with the program .* --out"):
        calibration_of.calibrate_bundle("starter", photo_folder)


def test_too_few_photos_are_refused(photo_folder, tmp_path):
    with pytest.raises(TableError, match="60 photos can be used; 200 calibrate the radii"):
        calibration_of.calibrate_bundle(
            "starter", photo_folder, out=tmp_path / "out", cache=tmp_path / "cache"
        )


@pytest.mark.parametrize("name", ["calibrate", "own", "removal", "galleries", "images"])
def test_changing_a_bundle_needs_no_torch(name):
    """Only the first own photos of a bundle do, from which heads are learned."""
    code = (
        "import sys; sys.modules['torch'] = None;"
        f" import training.bundles.{name}, training.cli.bundles.photos; print('imported')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "imported\n", done.stderr
