"""The recipe `pigeon` from end to end: one rehearsal on the synthetic planet, and what it wrote."""

import json
import math
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

pytest.importorskip("torch")
pytest.importorskip("open_clip")

from geoloc import Geolocator
from geoloc.bundle.directory import load
from geoloc.errors import TableError
from training.config import PigeonRecipe
from training.data.packed import load_photo
from training.embed.encoders import load_encoder
from training.embed.table import EmbeddedTable
from training.recipes import assemble as assembling
from training.recipes.pigeon import for_rehearsal, make_bundle
from training.synthetic.planet import write_planet

pytestmark = pytest.mark.timeout(1800)  # the rehearsal, on a loaded machine

ROOT = Path(__file__).parents[3]


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *map(str, arguments)]
    alone = os.environ | {
        "OMP_NUM_THREADS": "1"
    }  # threads that wait for each other spin under load
    return subprocess.run(command, cwd=ROOT, env=alone, capture_output=True, text=True, check=False)


@dataclass(frozen=True)
class Rehearsal:
    """What `geoloc-train pigeon --rehearse` wrote and printed."""

    bundle: Path
    work: Path
    printed: str


@pytest.fixture(scope="session")
def rehearsal(tmp_path_factory):
    bundle = tmp_path_factory.mktemp("rehearsal") / "pigeon"
    done = run("training", "pigeon", "--rehearse", "-o", bundle, "--keep-work")
    assert done.returncode == 0, done.stderr
    return Rehearsal(bundle, bundle.with_name("pigeon.work"), done.stdout)


@pytest.mark.slow
def test_rehearsal_writes_a_bundle_that_answers(rehearsal, tmp_path):
    assert "Made by `geoloc-train pigeon`" in rehearsal.printed
    planet = rehearsal.work / "planet"
    table = pq.read_table(planet / "photos.parquet")
    row = table["split"].to_pylist().index("test")
    load_photo(table, planet, row).image.save(tmp_path / "photo.jpg")
    guess = Geolocator.from_bundle(rehearsal.bundle).locate(tmp_path / "photo.jpg")
    assert -90 <= guess.lat <= 90
    assert guess.radius_80_km > 100, "a rehearsal cannot be sure of a place"


@pytest.mark.slow
def test_pretraining_learns_to_match_photos_and_captions(rehearsal):
    """By chance the loss is log(batch), and the country accuracy 1 / countries."""
    folder = rehearsal.work / "pretrain"
    losses = [json.loads(line)["loss"] for line in (folder / "losses.jsonl").open()]
    batch = for_rehearsal(PigeonRecipe()).pretrain.batch
    assert losses[0] > math.log(batch) - 0.1
    assert losses[-1] < math.log(batch) - 0.8
    last = json.loads((folder / "measurements.jsonl").read_text().splitlines()[-1])
    assert last["country_accuracy"] > 2.0 / last["countries"]


@pytest.mark.slow
def test_bundle_is_better_than_the_prior(rehearsal):
    """The margins are half or less of what three seeds reached with AVX2 and with AVX-512."""
    parts = load(rehearsal.bundle).metrics
    assert set(parts) == {"single views", "panoramas"}
    for part in parts.values():
        rows = part["accuracy"]
        assert rows["classifier"]["geoscore"] > rows["prior"]["geoscore"] + 60
        assert rows["full"]["geoscore"] > rows["prior"]["geoscore"] + 60
        assert rows["classifier"]["country"] > rows["prior"]["country"] + 0.04
        assert abs(part["coverage"]["80"] - 0.8) < 0.2


@pytest.mark.slow
def test_finished_stages_are_skipped(rehearsal):
    kept = ["photos.parquet", "cells.parquet", "pretrain/model/run.json", "embeddings/done.json"]
    before = [(rehearsal.work / file).stat().st_mtime_ns for file in kept]
    done = run("training", "pigeon", "--rehearse", "-o", rehearsal.bundle, "--keep-work")
    assert done.returncode == 0, done.stderr
    assert [(rehearsal.work / file).stat().st_mtime_ns for file in kept] == before


@pytest.mark.slow
def test_attribute_heads_are_in_the_bundle(rehearsal):
    bundle = load(rehearsal.bundle)
    assert bundle.attributes is not None
    features = np.zeros((2, bundle.ranker.heads.projection.shape[1]), np.float32)
    assert bundle.attributes.numbers(features)["temperature_c"].shape == (2,)
    assert Geolocator.from_bundle("starter").bundle.attributes is None


@pytest.mark.slow
def test_test_photos_influence_only_the_metrics(rehearsal, tmp_path):
    """Assemble twice, the second time with other embeddings of the test photos."""
    originals, altered = rehearsal.work / "embeddings", tmp_path / "embeddings"
    shutil.copytree(originals, altered)
    embedded = EmbeddedTable(altered)
    embeddings = embedded.embeddings.copy()
    test = np.array(embedded.photos["split"].to_pylist()) == "test"
    embeddings[test] = embeddings[test][::-1] * -1
    np.save(altered / "embeddings.npy", embeddings)
    encoder = load_encoder(str(rehearsal.bundle), tmp_path)
    cells = load(rehearsal.bundle).cells
    config = for_rehearsal(PigeonRecipe()).heads
    outs = tmp_path / "original", tmp_path / "altered"
    for folder, out in zip((originals, altered), outs, strict=True):
        assembling.assemble(EmbeddedTable(folder), cells, encoder, out, config, published="pigeon")
    for file in (
        "heads.safetensors",
        "calibration.json",
        "prototypes.faiss",
        "members.faiss",
        "attributes.safetensors",
    ):
        one, other = ((out / file).read_bytes() for out in outs)
        assert one == other, file
    assert load(outs[0]).metrics != load(outs[1]).metrics


def test_table_without_splits_is_refused(tmp_path):
    photos = write_planet(tmp_path / "planet", 12, size=32)
    pq.write_table(pq.read_table(photos).drop_columns("split"), photos)
    expected = "no photo of the split train, val, test; make splits with geoloc-train split"
    with pytest.raises(TableError, match=expected):
        make_bundle(PigeonRecipe(), photos, tmp_path / "bundle", tmp_path / "work")
    assert not (tmp_path / "bundle").exists()


def test_command_without_photos_says_what_to_give(tmp_path, geoloc_train):
    done = geoloc_train("pigeon", "-o", tmp_path / "bundle")
    assert done.returncode == 2
    assert "no photos: give a photo table or --rehearse" in done.stderr
