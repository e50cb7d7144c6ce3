"""Packs of a region: built of embeddings, added to a bundle, removed again."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from geoloc.bundle import directory
from geoloc.errors import BundleError, TableError
from tests.training.bundles import made
from training.bundles.galleries import add_pack, build_gallery_pack
from training.bundles.removal import remove_from

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
