"""The recipe `retrieve` from end to end: one rehearsal on the synthetic planet."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

pytest.importorskip("torch")
pytest.importorskip("open_clip")

from geoloc import Geolocator
from geoloc.bundle.directory import load
from geoloc.errors import BundleError, TableError
from geoloc.io.progress import NullReporter
from geoloc.retrieval.bands import BandHeads
from geoloc.retrieval.cross import RerankedGallery
from training.data.packed import load_photo
from training.recipes.retrieve import BY_PLACE, for_rehearsal, read_photos, retrieve
from training.retrieve.lora import adapt
from training.retrieve.settings import RetrieveRecipe
from training.synthetic.planet import write_planet

ROOT = Path(__file__).parents[3]
WITHOUT_TORCH = """
import sys
from geoloc import Geolocator
guess = Geolocator.from_bundle(sys.argv[1]).locate(sys.argv[2])
assert "torch" not in sys.modules
print(guess.lat, guess.lon, guess.radius_80_km)
"""


class Notes(NullReporter):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory) -> Path:
    """The bundle of `geoloc-train retrieve --rehearse`, with its work beside it."""
    bundle = tmp_path_factory.mktemp("rehearsal") / "retrieved"
    command = [sys.executable, "-m", "training", "retrieve", "--rehearse", "-o", str(bundle)]
    done = subprocess.run(
        [*command, "--keep-work"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Made by `geoloc-train retrieve`" in done.stdout
    assert "hours on cpu" in done.stdout
    return bundle


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_rehearsal_writes_a_bundle_that_answers_without_torch(rehearsal, tmp_path):
    planet = rehearsal.with_name("retrieved.work") / "planet"
    table = pq.read_table(planet / "photos.parquet")
    row = table["split"].to_pylist().index("test")
    load_photo(table, planet, row).image.save(tmp_path / "photo.jpg")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, str(rehearsal), str(tmp_path / "photo.jpg")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lat, lon, radius = map(float, done.stdout.split())
    guess = Geolocator.from_bundle(rehearsal).locate(tmp_path / "photo.jpg")
    assert (lat, lon) == pytest.approx((guess.lat, guess.lon))
    assert radius > 100, "a rehearsal cannot be sure of a place"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_bundle_has_bands_and_reranker_and_its_cost(rehearsal):
    bundle = load(rehearsal)
    heads, gallery = bundle.ranker.heads, bundle.ranker.gallery
    assert isinstance(heads, BandHeads)
    assert len(heads.blocks) == 5
    assert isinstance(gallery, RerankedGallery)
    assert gallery.reranker.hubness.shape == (len(gallery.clusters), 5)
    part = bundle.metrics["photos"]
    assert part["audit"]["author"] == 0
    assert part["cost"]["hours"].keys() >= {"embedding", "retrieval heads", "calibration"}
    assert part["accuracy"]["full"]["geoscore"] > part["accuracy"]["prior"]["geoscore"] - 200


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_interrupted_run_continues(rehearsal, tmp_path):
    """The embeddings and the fitted heads of the first run are used again."""
    work = rehearsal.with_name("retrieved.work")
    kept = [*work.glob("embeddings-*/done.json"), work / "spaces" / "spaces.json"]
    before = [file.stat().st_mtime_ns for file in kept]
    recipe = for_rehearsal(RetrieveRecipe(), work)
    metrics = retrieve(recipe, [work / "planet" / "photos.parquet"], tmp_path / "again", work)
    assert [file.stat().st_mtime_ns for file in kept] == before
    again, first = load(tmp_path / "again"), load(rehearsal)
    assert np.array_equal(again.ranker.heads.projection, first.ranker.heads.projection)
    entries = json.loads((work / "ledger.json").read_text("utf-8"))
    assert len(entries) == 6, "both runs are in the ledger"
    assert metrics["cost"]["interruptions"] == 0


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_adapters_change_the_last_block_only(tmp_path):
    from safetensors.numpy import load_file

    photos = write_planet(tmp_path / "planet", 40, 1, 48)
    recipe = for_rehearsal(RetrieveRecipe(lora_blocks=1), tmp_path)
    run = tmp_path / "adapters"
    folder = tmp_path / "planet"
    model = adapt(pq.read_table(photos), folder, recipe.encoders[0], run, recipe)
    after, before = (
        load_file(each / "open_clip_model.safetensors") for each in (model, tmp_path / "tower-1")
    )
    assert after.keys() == before.keys()
    changed = {name for name in after if not np.array_equal(after[name], before[name])}
    assert changed
    last = max(int(n.split("resblocks.")[1].split(".")[0]) for n in after if "visual" in n and "resblocks" in n)  # fmt: skip # noqa: E501
    assert all(f"visual.transformer.resblocks.{last}." in name for name in changed)
    assert adapt(pq.read_table(photos), folder, recipe.encoders[0], run, recipe) == model


def test_adapters_need_an_encoder_of_open_clip(tmp_path):
    photos = pq.read_table(write_planet(tmp_path / "planet", 6, 1, 32))
    with pytest.raises(BundleError, match="adapters need an encoder of open_clip"):
        adapt(photos, tmp_path, "dinov3", tmp_path / "run", RetrieveRecipe(lora_blocks=1))


def test_table_without_authors_is_split_by_place_and_says_so(tmp_path):
    path = write_planet(tmp_path / "planet", 300, 1, 16)
    table = pq.read_table(path).drop_columns(["author", "split"])
    pq.write_table(table, path)
    notes = Notes()
    found, split_by = read_photos([path], tmp_path, notes)
    assert split_by == BY_PLACE
    assert any("the photos have no authors" in line for line in notes.lines)
    assert set(found["split"].to_pylist()) >= {"train", "val", "test"}


def test_table_with_authors_is_split_by_author(tmp_path):
    path = write_planet(tmp_path / "planet", 300, 1, 16)
    pq.write_table(pq.read_table(path).drop_columns("split"), path)
    notes = Notes()
    found, _ = read_photos([path], tmp_path, notes)
    assert notes.lines == []
    by_author = found.group_by("author").aggregate([("split", "count_distinct")])
    assert max(by_author["split_count_distinct"].to_pylist()) == 1


def test_the_same_table_twice_is_refused(tmp_path):
    path = write_planet(tmp_path / "planet", 6, 1, 16)
    with pytest.raises(TableError, match="6 photos have the photo_id of another one"):
        read_photos([path, path], tmp_path, Notes())


@pytest.mark.parametrize(
    ("encoder", "said"),
    [("open_clip:ViT-B-32", "names no weights"),
     ("open_clip:ViT-B-32/nosuch", "knows no weights of that name")],
)  # fmt: skip
def test_encoders_without_published_weights_are_refused(encoder, said, tmp_path, geoloc_train):
    path = write_planet(tmp_path / "planet", 60, 1, 16)
    done = geoloc_train("retrieve", path, "-o", tmp_path / "bundle", "--encoders", encoder)
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "bundle").exists()


def test_command_without_photos_says_what_to_give(tmp_path, geoloc_train):
    done = geoloc_train("retrieve", "-o", tmp_path / "bundle")
    assert done.returncode == 2
    assert "no photos: give a photo table or --rehearse" in done.stderr


def test_plan_prices_the_recipe(geoloc_train):
    done = geoloc_train("plan", "retrieve")
    assert done.returncode == 0
    usd = next(line for line in done.stdout.splitlines() if "together at 3 USD" in line)
    assert 5 < int(usd.split("|")[2].split()[0]) < 200
    refused = geoloc_train("plan", "retrieve", "--encoders", "nosuch")
    assert refused.returncode == 2
    assert "its size is not known" in refused.stderr
