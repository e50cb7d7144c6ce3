"""Tables with photos in them: embedded as they are read, here, on a cluster, and from the Hub."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from geoloc.bundle import directory
from geoloc.encoders.pipeline import encode_all
from geoloc.encoders.registry import build_encoder
from geoloc.errors import BundleError, TableError
from geoloc.io.progress import NullReporter
from tests.geoloc.bundle.publisher import DatasetHub
from training.bundles import images
from training.bundles.embeddings import read_embeddings
from training.bundles.finding import find_sources
from training.bundles.images import embed_images

STARTER = directory.EMBEDDED / "starter"
COUNT = 21


class Lines(NullReporter):
    """Keeps the problems."""

    def __init__(self):
        self.problems = []

    def problem(self, line):
        self.problems.append(line)


@pytest.fixture(scope="module")
def spec():
    return directory.load(STARTER, form="fp32").encoder_spec


def picture(seed: int) -> bytes:
    small = np.random.default_rng(seed).integers(0, 255, (4, 4, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(small).resize((64, 64)).save(buffer, "JPEG")
    return buffer.getvalue()


PHOTOS = [picture(seed) for seed in range(COUNT)]


def write_table(path, photos=PHOTOS, rows_per_group=4):
    """Write a table as `datasets` does; row 3 is damaged, row 5 is empty, row 7 has no place."""
    given = dict(enumerate(photos)) | {3: b"\xff\xd8\xff damaged", 5: None}
    cells = [{"bytes": given[row], "path": f"{row}.jpg"} for row in range(len(photos))]
    lat = [float(row) if row != 7 else None for row in range(len(photos))]
    columns = {
        "image": pa.array(cells, pa.struct({"bytes": pa.binary(), "path": pa.string()})),
        "latitude": pa.array(lat), "longitude": pa.array([10.0] * len(photos)),
        "license": ["CC0-1.0"] * len(photos), "ignored": [[1.0, 2.0]] * len(photos),
    }  # fmt: skip
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), path, row_group_size=rows_per_group)
    return path


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "PART", 8)
    return write_table(tmp_path / "data" / "photos.parquet")


def embedded(tables, spec, work, report, **options):
    """Return coordinates, licences and vectors of what was embedded, and the files' contents."""
    files = embed_images(list(map(str, tables)), spec, STARTER, work, report, **options)
    given = read_embeddings(files, spec.dim, report)
    vectors = np.concatenate(list(given.blocks(np.ones(len(given.photos), bool), [])))
    return given.photos, vectors, [file.read_bytes() for file in files]


def test_photos_of_a_table_are_embedded_in_its_order(table, spec, tmp_path):
    report = Lines()
    photos, vectors, files = embedded([table], spec, tmp_path / "work", report)
    usable = [row for row in range(COUNT) if row not in (3, 5, 7)]
    assert photos.latlon.tolist() == [[row, 10.0] for row in usable]
    assert set(photos.licence) == {"CC0-1.0"}
    assert len(files) == 3
    alone = encode_all(build_encoder(spec, STARTER), [PHOTOS[row] for row in usable])
    assert np.abs(vectors - alone.embeddings).max() < 1e-3  # half precision
    assert any("row 8 " in line or "row 8)" in line for line in report.problems), report.problems
    assert any("row 4" in line for line in report.problems)
    assert any("row 6" in line and "holds no photo" in line for line in report.problems)


def test_what_is_embedded_is_not_embedded_again(table, spec, tmp_path, monkeypatch):
    first = embedded([table], spec, tmp_path / "work", Lines())
    (sorted((tmp_path / "work").iterdir())[0]).unlink()
    built = []
    monkeypatch.setattr(
        images, "build_encoder", lambda *given: built.append(1) or build_encoder(*given)
    )
    again = embedded([table], spec, tmp_path / "work", Lines())
    assert again[2] == first[2]
    assert built == [1]
    monkeypatch.setattr(images, "build_encoder", lambda *given: pytest.fail("embedded again"))
    assert embedded([table], spec, tmp_path / "work", Lines())[2] == first[2]


def test_several_tables_and_folders_are_found_in_order(table, tmp_path):
    other = write_table(tmp_path / "data" / "another.parquet")
    found = find_sources([str(tmp_path / "data"), str(table)])
    assert found == [(str(other), True), (str(table), True), (str(table), True)]


def test_table_of_something_else_is_refused_by_name(tmp_path):
    path = tmp_path / "towns.parquet"
    pq.write_table(pa.table({"lat": [1.0], "lon": [2.0]}), path)
    with pytest.raises(TableError, match=r"towns\.parquet: holds neither photos nor embeddings"):
        find_sources([str(path)])
    path.write_bytes(b"PAR1")
    with pytest.raises(TableError, match=r"towns\.parquet: not a readable Parquet table"):
        find_sources([str(path)])
    (tmp_path / "empty").mkdir()
    with pytest.raises(TableError, match="empty: holds no Parquet files"):
        find_sources([str(tmp_path / "empty")])


@pytest.fixture
def hub(table, monkeypatch):
    """A data set on a local Hub."""
    from huggingface_hub import constants, hf_file_system

    with DatasetHub(table.parent, "somebody/photos") as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE
        template = template.replace("https://huggingface.co", server.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        hf_file_system.HfFileSystem.clear_instance_cache()
        yield server
    hf_file_system.HfFileSystem.clear_instance_cache()


def test_a_data_set_of_the_hub_is_read_in_place(hub, table, spec, tmp_path):
    ((address, holds_photos),) = find_sources(["hf:somebody/photos"])
    assert address == f"hf://datasets/somebody/photos@{hub.sha}/photos.parquet"
    assert holds_photos
    here = embedded([table], spec, tmp_path / "here", Lines())
    there = embedded([address], spec, tmp_path / "there", Lines())
    assert there[0].latlon.tolist() == here[0].latlon.tolist()
    assert (there[1] == here[1]).all()
    assert not list((tmp_path / "there").rglob("*.jpg"))


def test_a_part_that_the_hub_no_longer_has_is_named(hub, table, spec, tmp_path):
    ((address, _),) = find_sources(["hf:somebody/photos"])
    hub.repository = "somebody/else"
    with pytest.raises(TableError, match=r"photos\.parquet: not a readable Parquet table"):
        embedded([address], spec, tmp_path / "there", Lines())


def test_a_data_set_that_does_not_exist_is_named(hub):
    with pytest.raises(BundleError, match="hf:somebody/nothing: the Hub has no such"):
        find_sources(["hf:somebody/nothing"])


@pytest.mark.slow
def test_a_ray_cluster_gives_the_same_files(table, spec, tmp_path):
    ray = pytest.importorskip("ray")
    here = embedded([table], spec, tmp_path / "here", Lines())
    there = embedded([table], spec, tmp_path / "there", Lines(), ray="local")
    ray.shutdown()
    assert there[2] == here[2]
