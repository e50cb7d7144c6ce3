"""Several photos of one place: properties of their common answer."""

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoloc.answer.calibration import Consensus
from geoloc.answer.together import combine
from geoloc.errors import PhotoError
from tests.geoloc.answer.drawn import around, draw
from tests.scenes import draw_photo

CELLS, FEATURES = 12, 6
CONSENSUS = Consensus(0.3, (-1.0, 1.0, 0.5, 0.0), (1.0, 4.0), (-2.0, -1.0))


def beliefs(rng, count):
    belief = rng.dirichlet(np.full(CELLS, 0.4), count).astype(np.float32)
    vectors = rng.normal(size=(count, FEATURES)).astype(np.float32)
    return belief, vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def fused(belief, prior, vectors):
    return combine(belief, prior, vectors, np.zeros(len(belief), int), CONSENSUS)


def assert_same(one, other):
    assert one.belief == pytest.approx(other.belief, abs=1e-5)
    assert one.photos == pytest.approx(other.photos, abs=1e-4)
    assert one.contradictory.tolist() == other.contradictory.tolist()
    assert one.agreement == pytest.approx(other.agreement, abs=1e-4)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 8), st.integers(1, 5))
def test_photos_that_say_nothing_change_nothing(seed, count, silent):
    rng = np.random.default_rng(seed)
    prior = rng.dirichlet(np.ones(CELLS)).astype(np.float32)
    belief, vectors = beliefs(rng, count)
    _, others = beliefs(rng, silent)
    more = np.vstack([belief, np.tile(prior, (silent, 1))])
    assert_same(fused(more, prior, np.vstack([vectors, others])), fused(belief, prior, vectors))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 9))
def test_the_order_of_photos_does_not_matter(seed, count):
    rng = np.random.default_rng(seed)
    prior = rng.dirichlet(np.ones(CELLS)).astype(np.float32)
    belief, vectors = beliefs(rng, count)
    order = rng.permutation(count)
    assert_same(fused(belief[order], prior, vectors[order]), fused(belief, prior, vectors))


@settings(max_examples=40, deadline=None)
@given(st.floats(0.05, 1.0), st.floats(1.0, 500.0))
def test_the_evidence_of_many_photos_of_one_place_saturates(correlation, photos):
    counts = np.array([photos, photos + 1.0], np.float32)
    total = Consensus(correlation).exponents(counts) * counts
    assert total[0] <= total[1] + 1e-6
    assert total.max() <= 1.0 / correlation + 1e-4
    assert Consensus(correlation).exponents(np.ones(1, np.float32)) == pytest.approx(1.0)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 9))
def test_photos_contradict_each_other_if_they_agree_with_less_than_one_half(seed, count):
    rng = np.random.default_rng(seed)
    prior = rng.dirichlet(np.ones(CELLS)).astype(np.float32)
    belief, vectors = beliefs(rng, count)
    threshold = float(rng.uniform(-4.0, 4.0))
    consensus = Consensus(0.3, (-1.0, 1.0, 0.5, 0.0), (1.0,), (threshold,))
    found = combine(belief, prior, vectors, np.zeros(count, int), consensus)
    assert found.contradictory[0] == (found.agreement[0] < 0.5)


@pytest.mark.parametrize("within", [None, "Australia"])
def test_a_group_of_one_is_answered_as_its_photo(starter, within):
    ranker, mask = starter.bundle.ranker, starter.restrict(within)
    embeddings = draw(ranker, 20, 0)
    alone, grouped = (
        ranker.rank(embeddings, mask),
        ranker.rank_together(embeddings, np.arange(20), mask),
    )
    assert alone.confidence == grouped.confidence
    assert alone.answer == pytest.approx(grouped.answer)
    for name in ("probability", "answer_probability", "localisability", "agreement"):
        assert getattr(alone, name) == pytest.approx(getattr(grouped, name), abs=1e-4)
    assert alone.radii_km == pytest.approx(grouped.radii_km, rel=1e-3)


def test_500_photos_of_one_place_are_answered(starter):
    ranker = starter.bundle.ranker
    embeddings = around(ranker, np.full(500, 3), np.random.default_rng(0))
    ranking = ranker.rank_together(embeddings, np.zeros(500, int))
    assert ranking.belief.sum() == pytest.approx(1.0, abs=1e-4)
    assert np.isfinite(ranking.radii_km).all()
    some = ranker.rank_together(embeddings[:15], np.zeros(15, int))
    assert ranking.probability[0, 0] <= max(1.5 * some.probability[0, 0], 0.9)


def test_unreadable_photos_of_a_place_are_skipped_or_named(starter, tmp_path):
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{number}.jpg" for number in range(4)]
    for path in paths:
        draw_photo(0, rng).save(path)
    paths[1].write_bytes(b"no photo")
    some = starter.locate_together(paths, on_error="skip")
    readable = [paths[0], *paths[2:]]
    assert some.to_dict() == starter.locate_together(readable).to_dict()
    with pytest.raises(PhotoError, match=r"1\.jpg"):
        starter.locate_together(paths)
    with pytest.raises(PhotoError, match=r"1\.jpg"):
        starter.locate_together([paths[1]], on_error="skip")


def photos_of(shared, per_country):
    """Return files of development photos by country, at most some of each."""
    folder = shared / "data/photos"
    files: dict[str, list] = {}
    with (folder / "photos.csv").open(encoding="utf-8") as table:
        for row in csv.DictReader(table):
            of_country = files.setdefault(row["country"], [])
            if row["file"].startswith("world/") and len(of_country) < per_country:
                of_country.append(folder / row["file"])
    return files


@pytest.mark.slow
def test_photos_of_twelve_countries_are_called_contradictory(starter, shared):
    files = [paths for paths in photos_of(shared, 4).values() if len(paths) == 4][:36]
    embeddings = starter.embed([path for paths in files for path in paths])
    embeddings = embeddings.reshape(len(files), 4, -1)
    rng = np.random.default_rng(0)
    country = np.concatenate([rng.choice(len(files), 12, replace=False) for _ in range(200)])
    drawn = embeddings[country, rng.integers(4, size=2400)]
    ranking = starter.rank(drawn, group=np.repeat(np.arange(200), 12))
    assert ranking.contradictory.mean() >= 0.9
    claims = np.array(ranking.confidence)[ranking.contradictory]
    assert set(claims) == {"not sure"}


@pytest.mark.slow
def test_ten_photos_of_new_york_are_not_sydney(starter, shared):
    folder = shared / "data/photos"
    with (folder / "photos.csv").open(encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    near = [
        folder / row["file"] for row in rows
        if abs(float(row["lat"]) - 40.74) < 0.15 and abs(float(row["lon"]) + 73.97) < 0.2
    ][:10]  # fmt: skip
    guess = starter.locate_together(near)
    assert guess.place.country != "Australia"
    assert guess.candidates[0].place.country != "Australia"
