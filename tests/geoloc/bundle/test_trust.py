"""A bundle made by others is checked before it is trusted."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from geoloc.bundle import directory, trust
from geoloc.bundle.change import alone, changing, target_of
from geoloc.errors import BundleError

STARTER = directory.EMBEDDED / "starter"


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """A bundle that tests change one file of, and put back."""
    return shutil.copytree(STARTER, tmp_path_factory.mktemp("trust") / "theirs")


def listing(folder, **files):
    """Write a bundle.json that lists more files."""
    manifest = json.loads((STARTER / "bundle.json").read_text(encoding="utf-8"))
    manifest["sha256"] |= files
    (folder / "bundle.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/b.json", ".hidden.json", "", ".."])
def test_name_that_leads_out_of_the_folder_is_refused(copied, name):
    listing(copied, **{name: "0" * 64})
    with pytest.raises(BundleError, match="not a valid name; do not trust this bundle"):
        directory.load(copied)


def test_listed_file_of_another_kind_is_refused(copied):
    listing(copied, **{"weights.pt": "0" * 64})
    with pytest.raises(BundleError, match=r"weights\.pt: bundles hold no files of this kind"):
        directory.load(copied)


def test_pickle_beside_the_files_is_refused_by_name(copied):
    listing(copied)
    (copied / "Model.PKL").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    try:
        with pytest.raises(BundleError, match=r"Model\.PKL: may run code when it is loaded"):
            directory.load(copied)
    finally:
        (copied / "Model.PKL").unlink()


def test_link_that_leads_out_of_the_folder_is_refused(copied, tmp_path):
    (tmp_path / "secret.json").write_text("{}")
    (copied / "more.json").symlink_to(tmp_path / "secret.json")
    listing(copied, **{"more.json": "0" * 64})
    try:
        with pytest.raises(BundleError, match=r"more\.json: a link that leads out of the bundle"):
            directory.load(copied)
    finally:
        (copied / "more.json").unlink()


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("bias", np.zeros(3, np.float32)),
        ("mean", np.zeros(7, np.float32)),
        ("shift", np.zeros(2, np.float32)),
        ("active", None),
    ],
)
def test_tensors_of_another_shape_are_refused(copied, tmp_path, part, value):
    listing(copied)
    heads = directory.load(copied).ranker.heads
    changed = heads.active + 10**6 if value is None else value
    with changing(copied, tmp_path / "out") as change:
        replace(heads, **{part: changed}).write(change.file("heads.safetensors"))
    with pytest.raises(BundleError, match=r"heads\.safetensors: damaged bundle"):
        directory.load(tmp_path / "out")


def test_encoder_outside_the_bundle_is_refused_in_a_download():
    for model in ("local-dir:/models/x", "../encoder", "/home/me/weights.pt", "~/weights.pt"):
        manifest = {"encoder": {"model": model, "weights": "1"}}
        with pytest.raises(BundleError, match="which is not in the bundle"):
            trust.check_foreign(STARTER, manifest)
    trust.check_foreign(STARTER, json.loads((STARTER / "bundle.json").read_text(encoding="utf-8")))


def test_bundle_that_another_command_changes_is_left_alone(tmp_path):
    with alone(tmp_path / "mine"), pytest.raises(BundleError, match="another command"):
        with alone(tmp_path / "mine"):
            pass


def test_bundle_of_the_program_is_changed_elsewhere_only(tmp_path):
    with pytest.raises(BundleError, match="comes with the program"):
        target_of(STARTER, None)
    assert target_of(STARTER, tmp_path / "mine") == tmp_path / "mine"


def test_changed_file_leaves_the_old_bundle_as_it_is(copied):
    listing(copied)
    before = (copied / "MODEL_CARD.md").read_bytes()
    with pytest.raises(BundleError, match="cannot be written"):
        _change_and_fail(copied)
    assert (copied / "MODEL_CARD.md").read_bytes() == before
    with changing(copied, copied) as change:
        change.file("MODEL_CARD.md").write_text("changed")
    assert directory.verify(copied)["sha256"].keys() == directory.verify(STARTER)["sha256"].keys()
    assert (copied / "MODEL_CARD.md").read_text() == "changed"


def _change_and_fail(bundle):
    with changing(bundle, bundle) as change:
        change.file("MODEL_CARD.md").write_text("changed")
        raise OSError(28, "No space left on device")
