"""A bundle that may only be read answers, and is not changed."""

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from geoloc.bundle import directory
from geoloc.bundle.change import target_of
from geoloc.errors import BundleError

ROOT = Path(__file__).parents[3]


@pytest.fixture
def read_only(tmp_path):
    """A bundle in a folder of bundles; neither may be written to."""
    bundle = tmp_path / "bundles" / "mine"
    shutil.copytree(directory.EMBEDDED / "starter", bundle)
    for path in (bundle.parent, bundle):
        path.chmod(0o555)
    yield bundle
    for path in (bundle.parent, bundle):
        path.chmod(0o755)


def obey_permissions() -> None:
    """Take root's right to write everywhere from this process; others do not have it."""
    drop, override = 24, 1  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE
    ctypes.CDLL(None).prctl(drop, override, 0, 0, 0)


def geoloc(*arguments) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "geoloc", *map(str, arguments)],
        capture_output=True, text=True, check=False, cwd=ROOT, preexec_fn=obey_permissions,
    )  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux to take a right from root")
def test_locate_answers_and_changes_are_refused_in_one_line(read_only, photo_folder):
    photo = photo_folder / "00.jpg"
    located = geoloc("locate", photo, "--bundle", read_only)
    assert located.returncode == 0, located.stderr
    before = sorted(path.stat().st_mtime_ns for path in read_only.iterdir())
    for arguments in (("add", read_only, photo_folder), ("remove", read_only, "own")):
        refused = geoloc("bundle", *arguments)
        assert refused.returncode == 2, refused.stderr
        (line,) = refused.stderr.splitlines()
        assert f"{read_only}: is read-only" in line
        assert "--out" in line
    assert sorted(path.stat().st_mtime_ns for path in read_only.iterdir()) == before
    assert [path.name for path in read_only.parent.iterdir()] == ["mine"]


def test_read_only_bundle_is_named_with_the_remedy(tmp_path, monkeypatch):
    bundle = tmp_path / "mine"
    shutil.copytree(directory.EMBEDDED / "starter", bundle)
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    with pytest.raises(BundleError, match=r"mine: is read-only; allow writing .* or use --out"):
        target_of(bundle, None)
