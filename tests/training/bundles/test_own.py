"""Own photos in a world bundle: as good there as a bundle of their own, unchanged elsewhere."""

from dataclasses import replace

import numpy as np
import pytest

from geocells.sphere import haversine_km
from geoloc.answer.packs.joined import JoinedRanker
from geoloc.bundle import directory, packs
from geoloc.bundle.change import changing
from geoloc.errors import BundleError
from tests.training.bundles import made
from training.bundles import own
from training.bundles.stored import joined, known

pytestmark = pytest.mark.slow

HOME = (47.4, 8.5)
"""Where the owner of the library lives."""


@pytest.fixture(scope="module")
def mine():
    """Photos of 14 walks; the last photos of each walk are held out."""
    library = made.library(5, 14, 22, HOME)
    last = np.arange(len(library.manifest)) % 22 >= 16
    return library.take(np.flatnonzero(~last)), library.take(np.flatnonzero(last))


@pytest.fixture(scope="module")
def fitted(world_ranker, mine, tmp_path_factory):
    """The folder of a world bundle with these photos, and the pack."""
    folder = made.write_world(tmp_path_factory.mktemp("own") / "world", world_ranker)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.data.split.FOLDS", 2)
        pack, _ = own.fit_pack(directory.load(folder), mine[0])
    with changing(folder, folder) as change:
        pack.write(change)
    return folder, pack


def test_places_of_the_owner_are_known_and_others_unchanged(fitted, mine, world_ranker):
    bundle = directory.load(fitted[0])
    held_out = mine[1]
    truth = held_out.manifest.latlon
    together = haversine_km(bundle.joined.rank(held_out.embeddings).answer, truth)
    alone = haversine_km(bundle.packs[0].ranker.rank(held_out.embeddings).answer, truth)
    world = haversine_km(world_ranker.rank(held_out.embeddings).answer, truth)
    assert np.median(together) < 0.5 * np.median(world)
    assert (together <= 5.0).mean() >= (alone <= 5.0).mean() - 0.05
    latlon, vectors = made.elsewhere(33, 300)
    far = haversine_km(latlon, HOME) > 300.0
    before, after = world_ranker.rank(vectors[far]), bundle.joined.rank(vectors[far])
    changed = (before.answer != after.answer).any(axis=1)
    assert changed.mean() <= 0.03
    assert (after.radii_km[~changed] == before.radii_km[~changed]).all()


def test_neighbours_of_the_pack_are_its_own_photos(fitted, mine):
    bundle = directory.load(fitted[0])
    ranking = bundle.joined.rank(mine[1].embeddings)
    members = bundle.joined.members
    first = len(bundle.ranker.gallery.members)
    taken = ranking.neighbour[:, 0] >= first
    assert taken.mean() > 0.5
    near = haversine_km(members.latlon[ranking.neighbour[taken, 0]], mine[1].manifest.latlon[taken])
    assert np.median(near) < 5.0
    assert set(members.author[first:]) == {"mine"}


def test_bundle_without_packs_answers_as_before(world_ranker):
    _, vectors = made.elsewhere(34, 20)
    before, after = world_ranker.rank(vectors), JoinedRanker(world_ranker).rank(vectors)
    assert (before.answer == after.answer).all()
    assert (before.probability == after.probability).all()


def test_photos_come_and_go_one_by_one(fitted, mine, tmp_path):
    folder, _ = fitted
    target = tmp_path / "changed"
    bundle, stored = directory.load(folder), own.stored_photos(folder)
    fresh = mine[1].take(np.arange(5))
    own.rewrite(bundle, folder, target, joined([stored, fresh, fresh]))
    changed = directory.load(target)
    (pack,) = changed.packs
    assert len(pack.ranker.gallery.members) == len(stored.manifest) + 5
    nearest = pack.ranker.rank(fresh.embeddings)
    assert nearest.similarity[:, 0] == pytest.approx(1.0, abs=0.01)
    gone = known(own.stored_photos(target), fresh.sha256[:1])
    left = own.stored_photos(target).take(np.flatnonzero(~gone))
    own.rewrite(changed, target, target, left)
    assert len(directory.load(target).packs[0].ranker.gallery.members) == len(stored.manifest) + 4
    own.rewrite(directory.load(target), target, target, left.take(np.arange(0)))
    emptied = directory.load(target)
    assert emptied.packs == ()
    assert not [path for path in target.iterdir() if path.name.startswith("pack.")]
    with pytest.raises(BundleError, match="no photos were added to this bundle"):
        own.stored_photos(target)


def test_failure_while_writing_keeps_the_old_bundle(fitted, tmp_path, monkeypatch):
    folder, _ = fitted
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    bundle, stored = directory.load(folder), own.stored_photos(folder)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(own, "write_photos", full)
    with pytest.raises(BundleError, match=r"cannot be written .No space left on device."):
        own.rewrite(bundle, folder, folder, stored.take(np.arange(50)))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    directory.load(folder)


def test_pack_of_another_bundle_is_refused(fitted, tmp_path):
    folder, pack = fitted
    with changing(folder, tmp_path / "other") as change:
        heads = replace(pack.ranker.heads, prior=pack.ranker.heads.prior[:-1])
        heads.write(change.file("pack.own.heads.safetensors"))
    with pytest.raises(BundleError, match=r"damaged bundle .it belongs to another cell table."):
        directory.load(tmp_path / "other")


def test_names_of_packs_are_plain():
    assert packs.names(["pack.own.json", "pack.own.heads.safetensors", "heads.safetensors"]) == [
        "own"
    ]
    with pytest.raises(BundleError, match="not a name for a pack"):
        packs.prefix("../own")
