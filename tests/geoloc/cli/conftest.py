"""Fixtures of command tests."""

import pytest

from tests.commands import in_process


@pytest.fixture
def geoloc(capsys):
    """Run a command in this process; see `in_process`."""
    return in_process(capsys)
