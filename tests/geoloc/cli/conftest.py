"""Fixtures of command tests."""

import pytest

from tests.commands import in_process
from tests.geoloc.batch.conftest import quick, quick_once

__all__ = ["quick", "quick_once"]


@pytest.fixture
def geoloc(capsys):
    """Run a command in this process; see `in_process`."""
    return in_process(capsys)
