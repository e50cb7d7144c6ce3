"""Calibrations are fitted on parts of the held-out photos that share no author and no place."""

import numpy as np
import pyarrow as pa
import pytest

from geoloc.errors import TableError
from training.calibrate import crossval
from training.calibrate.parts import HELD_OUT_PARTS, held_out_parts
from training.data.manifest import Manifest
from training.data.split import blocks
from training.data.table import latlon_of


def photos(count: int, authors: int, places: int, *, travelling: bool = False) -> pa.Table:
    """Return photos of authors who stay at one place, or photograph everywhere."""
    rng = np.random.default_rng(0)
    author = rng.integers(0, authors, count)
    place = rng.integers(0, places, count) if travelling else author % places
    spots = rng.uniform((-50, -170), (60, 170), (places, 2))
    latlon = spots[place] + rng.normal(0, 0.001, (count, 2))
    return pa.table({
        "photo_id": [str(n) for n in range(count)], "lat": latlon[:, 0], "lon": latlon[:, 1],
        "author": [f"author {a}" if authors > 1 else "" for a in author],
    })  # fmt: skip


@pytest.mark.parametrize("travelling", [False, True])
def test_parts_share_no_author_and_no_place(travelling):
    table = photos(900, 60, 200, travelling=travelling)
    part = held_out_parts(table)
    assert set(part[part >= 0]) == set(range(HELD_OUT_PARTS))
    for names in (np.array(table["author"].to_pylist()), blocks(latlon_of(table), 10.0)):
        for name in set(names):
            assert len(set(part[names == name]) - {-1}) <= 1
    kept = np.bincount(part[part >= 0]) / len(table)
    assert kept.min() > (0.08 if travelling else 0.3)


def test_without_authors_the_parts_are_disjoint_by_place():
    table = photos(300, 1, 50, travelling=True)
    part = held_out_parts(table)
    assert part.min() == 0
    square = blocks(latlon_of(table), 10.0)
    assert all(len(set(part[square == name])) == 1 for name in set(square))


def test_photos_of_one_place_cannot_be_parted():
    with pytest.raises(TableError, match="all 40 photos of the split val are of one author"):
        held_out_parts(photos(40, 1, 1))


class _Ranker:
    """A ranker that only holds a calibration."""

    def __init__(self) -> None:
        self.calibration = "unfitted"


@pytest.fixture
def calibrated_on(monkeypatch):
    """Record the photos of a calibration instead of fitting it."""
    calls = []

    def record(*held_out):
        calls.append(held_out)
        return "fitted", None

    monkeypatch.setattr(crossval, "calibrate", record)
    return calls


def part_manifest(count: int) -> Manifest:
    empty = np.full(count, "", object)
    group = np.arange(count).astype(str).astype(object)
    return Manifest(
        empty, np.zeros((count, 2)), group, np.zeros(count), empty, empty, empty, empty, empty
    )


def test_many_photos_fit_answers_and_radii_on_different_parts(calibrated_on, monkeypatch):
    monkeypatch.setattr(crossval, "FITTED_ON", 20)
    part = np.arange(90) % HELD_OUT_PARTS
    part[:5] = -1
    embeddings = np.arange(90, dtype=np.float32)[:, None]
    ranker = _Ranker()
    crossval.calibrate_ranker(ranker, part_manifest(90), embeddings, part)
    ((fitting, judging),) = calibrated_on
    assert set(fitting.embeddings.ravel()) == set(np.flatnonzero(part == 0))
    assert set(judging.embeddings.ravel()) == set(np.flatnonzero(part > 0))
    assert ranker.calibration == "fitted"


def test_few_photos_are_answered_with_what_the_other_parts_fitted(calibrated_on):
    part = np.arange(90) % HELD_OUT_PARTS
    part[:5] = -1
    embeddings = np.arange(90, dtype=np.float32)[:, None]
    crossval.calibrate_ranker(_Ranker(), part_manifest(90), embeddings, part)
    (((held_out,)),) = calibrated_on
    assert len(held_out) == 85
    assert len({id(ranker) for ranker in held_out.rankers}) == HELD_OUT_PARTS
    for number in range(len(held_out.rankers)):
        own = held_out.ranker == number
        assert not held_out.apart[number][own].any()
        assert held_out.apart[number][~own].all()
