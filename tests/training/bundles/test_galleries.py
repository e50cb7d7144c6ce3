"""Packs of a region: built of embeddings, added to a bundle, removed again."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from geoloc.bundle import directory
from geoloc.errors import BundleError, TableError
from tests.commands import in_process
from tests.training.bundles import made
from tests.training.bundles.test_images import picture
from training.bundles import galleries
from training.bundles.galleries import add_pack, build_gallery_pack
from training.bundles.removal import remove_from
from training.cli.main import app as training_app

PORTUGAL = (39.5, -8.2)


def write_table(path: Path, width: int = made.DIM, **more) -> Path:
    """Write 1,200 embedded photos of one region."""
    library = made.library(9, 120, 10, PORTUGAL)
    latlon, vectors = library.manifest.latlon, library.embeddings[:, :width]
    column = pa.array(list(vectors.astype(np.float32)), pa.list_(pa.float32()))
    columns = {"lat": latlon[:, 0], "lon": latlon[:, 1], "embedding": column, **more}
    pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.slow
def test_pack_of_a_region_is_built_added_and_removed(world, tmp_path):
    table, folder = write_table(tmp_path / "photos.parquet"), tmp_path / "packs" / "portugal"
    made_pack = build_gallery_pack(world, [table], folder)
    assert made_pack.measured["answered by the pack, near"] > 0.8
    assert made_pack.measured["answered by the pack, elsewhere"] < 0.05
    both = tmp_path / "both"
    assert add_pack(world, folder, both) == "portugal"
    loaded = directory.load(both)
    assert [pack.name for pack in loaded.packs] == ["portugal"]
    assert len(loaded.joined.members) == len(loaded.ranker.gallery.members) + made_pack.photos
    assert remove_from(both, ["portugal"]) == (made_pack.photos, 0)
    assert directory.load(both).packs == ()
    (folder / "pack.portugal.json").write_text("{}")
    with pytest.raises(BundleError, match="damaged pack"):
        add_pack(world, folder, both)


@pytest.mark.slow
def test_embeddings_of_another_encoder_are_refused(world, tmp_path):
    table = write_table(tmp_path / "photos.parquet", width=16)
    with pytest.raises(TableError, match="embeddings of 16 numbers, and those of the bundle have"):
        build_gallery_pack(world, [table], tmp_path / "portugal")


@pytest.mark.slow
def test_photos_of_a_table_become_a_pack_that_answers(tmp_path, monkeypatch, capsys):
    """With the whole command, from photos in a Parquet table to a bundle with the pack."""
    monkeypatch.setattr(galleries, "FEWEST", 200)
    rng = np.random.default_rng(0)
    count = 300
    latlon = np.array(PORTUGAL) + rng.normal(0.0, 0.5, (count, 2))
    cells = [{"bytes": picture(seed), "path": f"{seed}.jpg"} for seed in range(count)]
    columns = {"image": cells, "latitude": latlon[:, 0], "longitude": latlon[:, 1]}
    pq.write_table(pa.table({**columns, "license": ["CC0-1.0"] * count}), tmp_path / "p.parquet")
    starter, folder = directory.EMBEDDED / "starter", tmp_path / "portugal"
    command = in_process(capsys, training_app)
    done = command("gallery", tmp_path / "p.parquet", "--base", starter, "-o", folder)
    assert done.returncode == 0, done.stderr
    assert "photos in" in done.stdout
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    add_pack(starter, folder, tmp_path / "both")
    bundle = directory.load(tmp_path / "both")
    (pack,) = bundle.packs
    members = pack.ranker.gallery.members
    assert set(members.licence) == {"CC0-1.0"}
    some = bundle.joined.members_at(np.array([0, len(bundle.ranker.gallery.members) + 3]))
    assert some.latlon[1].tolist() == members.latlon[3].tolist()
    assert some.licence[1] == "CC0-1.0"
