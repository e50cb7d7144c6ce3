"""Fixtures of the training tests: commands in this process, a small planet, a tiny CLIP model."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.commands import Done, in_process
from tests.training.planet import make_planet, write_towers


@pytest.fixture
def geoloc_train(capsys) -> Callable[..., Done]:
    """Run `geoloc-train` in this process, which saves loading the libraries again."""
    from training.cli.main import app

    return in_process(capsys, app)


@pytest.fixture(scope="session", autouse=True)
def single_torch_thread():
    """Tiny models are slower with several threads, most of all on a loaded machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def small_planet(tmp_path_factory) -> tuple[Path, pa.Table]:
    """Folder and photo table of 160 photos, with tiny_towers.json and its random weights in model/.

    Tests must not change the folder.
    """
    from training.pretrain import clip

    folder = tmp_path_factory.mktemp("planet")
    table = make_planet(folder, 160)
    pq.write_table(table, folder / "photos.parquet")
    towers = clip.build(str(write_towers(folder)))
    clip.write(folder / "model", towers, towers.model.state_dict(), {})
    return folder, table
