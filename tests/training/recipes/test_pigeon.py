"""PIGEON and PIGEOTTO end to end on the synthetic planet, as whole processes."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from geoloc import Geolocator
from geoloc.bundle.directory import load
from training.data.loading import load_photo
from training.embed.table import EmbeddedTable
from training.recipes import assemble as assembling

BIN = Path(sys.executable).parent


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [BIN / arguments[0], *map(str, arguments[1:])]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module", params=["pigeon", "pigeotto"])
def made(request, tmp_path_factory):
    out = tmp_path_factory.mktemp("recipe") / request.param
    done = run("geoloc-train", request.param, "--dry-run", "-o", out)
    assert done.returncode == 0, done.stderr
    return request.param, out, done


@pytest.mark.slow
def test_a_dry_run_makes_a_bundle_that_answers(made, tmp_path):
    name, bundle, done = made
    assert f"Made by `geoloc-train {name}`" in done.stdout
    table = pq.read_table(bundle.with_name(f"{name}.work") / "planet" / "photos.parquet")
    row = table["split"].to_pylist().index("test")
    photo = load_photo(table, bundle.with_name(f"{name}.work") / "planet", row)
    photo.image.save(tmp_path / "photo.jpg")
    answer = run("geoloc", "locate", tmp_path / "photo.jpg", "--bundle", bundle, "--json")
    assert answer.returncode == 0, answer.stderr
    guess = json.loads(answer.stdout)
    assert -90 <= guess["lat"] <= 90
    assert guess["radius_km"] > 100, "it is not sure of anything after a minute"


@pytest.mark.slow
def test_a_dry_run_has_learned_something(made):
    _, bundle, _ = made
    for part in load(bundle).metrics.values():
        rows = part["accuracy"]
        assert rows["full"]["within"]["2500"] > 1.1 * rows["prior"]["within"]["2500"]
        assert rows["full"]["country"] > 0.02 + rows["prior"]["country"]
        assert abs(part["coverage"]["80"] - 0.8) < 0.15
    work = bundle.with_name(f"{bundle.name}.work")
    lines = (work / "pretrain" / "measurements.jsonl").read_text().splitlines()
    last = json.loads(lines[-1])
    assert last["country_accuracy"] > 1.5 / last["countries"]


@pytest.mark.slow
def test_finished_stages_are_not_repeated(made):
    name, bundle, _ = made
    work = bundle.with_name(f"{name}.work")
    kept = ["photos.parquet", "cells.parquet", "pretrain/model/run.json", "embeddings/done.json"]
    before = [(work / file).stat().st_mtime_ns for file in kept]
    assert run("geoloc-train", name, "--dry-run", "-o", bundle).returncode == 0
    assert [(work / file).stat().st_mtime_ns for file in kept] == before


@pytest.mark.slow
def test_attributes_travel_in_the_bundle(made):
    _, bundle, _ = made
    loaded = load(bundle)
    assert loaded.attributes is not None
    features = np.zeros((2, loaded.ranker.heads.projection.shape[1]), np.float32)
    assert loaded.attributes.numbers(features)["temperature_c"].shape == (2,)
    assert Geolocator.from_bundle("starter").bundle.attributes is None


@pytest.mark.slow
def test_heads_and_calibration_see_no_test_photo(made, tmp_path):
    from training.config import PigeonRecipe, for_dry_run
    from training.embed.encoders import load_encoder

    name, bundle, _ = made
    work = bundle.with_name(f"{name}.work")
    shutil.copytree(work / "embeddings", tmp_path / "embeddings")
    embedded = EmbeddedTable(tmp_path / "embeddings")
    other = embedded.embeddings.copy()
    test = np.array(embedded.photos["split"].to_pylist()) == "test"
    other[test] = other[test][::-1] * -1
    np.save(tmp_path / "embeddings" / "embeddings.npy", other)
    recipe = for_dry_run(PigeonRecipe())
    encoder = load_encoder(str(bundle), tmp_path)
    for number, folder in enumerate((work / "embeddings", tmp_path / "embeddings")):
        cells = load(bundle).cells
        out = tmp_path / f"bundle{number}"
        assembling.assemble(EmbeddedTable(folder), cells, encoder, out, recipe.heads)
    for file in (
        "heads.safetensors",
        "calibration.json",
        "prototypes.faiss",
        "members.faiss",
        "attributes.safetensors",
    ):
        one, two = ((tmp_path / f"bundle{n}" / file).read_bytes() for n in (0, 1))
        assert one == two, file
    assert load(tmp_path / "bundle0").metrics != load(tmp_path / "bundle1").metrics


def test_without_splits_nothing_begins(tmp_path):
    table = tmp_path / "photos.parquet"
    done = run("geoloc-train", "planet", "-o", tmp_path, "--locations", 12, "--size", 32)
    assert done.returncode == 0, done.stderr
    photos = pq.read_table(table)
    pq.write_table(photos.drop_columns("split"), table)
    done = run("geoloc-train", "pigeon", table, "-o", tmp_path / "bundle")
    assert done.returncode == 2
    assert "no photo of the split train, val, test; make splits with geoloc-train" in done.stderr
    assert not (tmp_path / "bundle").exists()
    done = run("geoloc-train", "pigeon", "-o", tmp_path / "bundle")
    assert "no photos: give a photo table, or --dry-run" in done.stderr


def test_the_settings_are_the_published_ones(tmp_path):
    help_text = {
        name: run("geoloc-train", name, "--help").stdout for name in ("pigeon", "pigeotto")
    }
    flat = {name: " ".join(text.replace("│", " ").split()) for name, text in help_text.items()}
    assert "[default: 1e-06]" in flat["pigeon"]
    assert "[default: 5e-07]" in flat["pigeotto"]
    assert "[default: 75.0]" in flat["pigeon"]
    assert "[default: 65.0]" in flat["pigeotto"]
