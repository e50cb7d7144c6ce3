"""Fixtures of bundles of a simulated world."""

import pytest

pytest.importorskip("torch")

from tests.training.bundles import made


@pytest.fixture(scope="session")
def world_ranker():
    """A ranker that knows the world."""
    return made.world_ranker()


@pytest.fixture
def world(world_ranker, tmp_path):
    """A bundle of it, which a test may change."""
    return made.write_world(tmp_path / "world", world_ranker)
