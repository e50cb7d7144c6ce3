"""The ranker, on synthetic embeddings that encode their places."""

import json
from dataclasses import replace

import numpy as np
import pytest

from geocells.partition.alternatives import rectangles
from geocells.partition.config import CellConfig
from geocells.sphere import haversine_km, unit_vectors
from geoloc.answer.calibration import Calibration, Consensus
from geoloc.answer.judge import CLAIMS, LEVELS, NEVER, UNCALIBRATED, Claim, Radius
from geoloc.answer.places import MAX_CANDIDATES
from geoloc.answer.ranker import Ranker
from geoloc.answer.signals import EVIDENCE, SIGNALS, SOURCES
from geoloc.belief.fusion import ConstraintMask
from geoloc.encoders.base import normalise
from geoloc.retrieval import gallery as retrieval
from geoloc.retrieval.pigeon import PRESETS as REFINEMENTS
from geoloc.retrieval.pigeon import refine
from training.calibrate.fit import UNFITTED
from training.config import HeadConfig
from training.data.manifest import Manifest
from training.gallery.cluster import build_gallery
from training.heads.examples import Examples
from training.heads.fit import fit_heads
from training.heads.linear import density_prior

DIM = 24

QUESTIONS = ("photo", "photo within", "place", "place within")


def photos(count: int, seed: int, noise: float = 0.3):
    """Return places between Lisbon and Kyiv, and noisy unit embeddings that are waves over them."""
    rng = np.random.default_rng(seed)
    latlon = rng.uniform((36.0, -9.0), (56.0, 31.0), (count, 2))
    waves = np.random.default_rng(7).normal(0, 9, (3, DIM))
    return latlon, normalise(
        np.sin(unit_vectors(latlon) @ waves) + rng.normal(0, noise, (count, DIM))
    )


def random_calibration():
    """Return a calibration whose source weights, radii and claims depend on all inputs."""
    rng = np.random.default_rng(3)
    weights = [tuple(rng.normal(0, 0.1, EVIDENCE).tolist()) for _ in range(6)]
    judge = replace(
        UNCALIBRATED,
        radius={name: Radius(w, (0.01, 1e4), (0.1, 1e5))
                for name, w in zip(LEVELS, weights, strict=False)},
        claims={"city": Claim(weights[3], NEVER), "region": Claim(weights[4], 0.5),
                "country": Claim(weights[5], NEVER)},
    )  # fmt: skip
    gate = tuple(map(tuple, rng.normal(0, 0.3, (SIGNALS, SOURCES)).tolist()))
    return replace(UNFITTED, gate=gate, judges=dict.fromkeys(QUESTIONS, judge))


@pytest.fixture(scope="module")
def ranker() -> Ranker:
    latlon, embeddings = photos(400, 0)
    cells = rectangles(np.vstack([latlon, photos(300, 5)[0]]), CellConfig.of_size(90))
    config = HeadConfig(epochs=5, tau_km=200.0, weight_decay=0.01)
    examples = Examples(embeddings, latlon, np.ones(400, np.float32))
    heads, _ = fit_heads(examples, cells, density_prior(cells.count), config)
    words = np.full(400, "x", object)
    manifest = Manifest(words, latlon, words, np.zeros(400), *[words] * 5)
    gallery = build_gallery(manifest, heads.features(embeddings), cells)
    calibration = random_calibration()
    chance = Ranker(cells, heads, gallery, calibration).rank(photos(40, 1)[1]).localisability
    judge = calibration.judges["photo"]
    half = replace(judge.claims["region"], threshold=float(np.median(chance)))
    judge = replace(judge, claims={**judge.claims, "region": half})
    judges = dict.fromkeys(QUESTIONS, judge)
    return Ranker(cells, heads, gallery, replace(calibration, judges=judges))


def assert_same(one, other, rows=slice(None)) -> None:
    """Compare a ranking with some rows of another."""
    assert one.cell.tolist() == other.cell[rows].tolist()
    assert one.latlon.tolist() == other.latlon[rows].tolist()
    assert one.answer.tolist() == other.answer[rows].tolist()
    assert one.probability == pytest.approx(other.probability[rows], abs=1e-4)
    assert one.belief == pytest.approx(other.belief[rows], abs=1e-5)
    assert one.radii_km == pytest.approx(other.radii_km[rows], rel=1e-4)
    assert one.localisability == pytest.approx(other.localisability[rows], abs=1e-4)
    assert one.evidence == pytest.approx(other.evidence[rows], abs=1e-3)
    assert one.agreement == pytest.approx(other.agreement[rows], abs=1e-5)
    assert one.neighbour.tolist() == other.neighbour[rows].tolist()


def cells_with_clusters(ranker: Ranker):
    """Return the cells that have clusters, those with most clusters first."""
    number = np.bincount(ranker.gallery.clusters.cell, minlength=len(ranker.cells))
    return np.argsort(-number, kind="stable")[: (number > 0).sum()]


def restrict(ranker: Ranker, cells, west: float = -180.0) -> ConstraintMask:
    """Return a mask of some cells and of their clusters east of a meridian."""
    inside = np.isin(np.arange(len(ranker.cells)), cells)
    clusters = inside[ranker.gallery.clusters.cell] & (ranker.gallery.clusters.latlon[:, 1] > west)
    share = np.where(inside, 0.5, 0.0).astype(np.float32)
    return ConstraintMask("there", share, ranker.cells.centroids, clusters)


def test_answers_are_near_the_true_places(ranker):
    latlon, embeddings = photos(200, 1)
    ranking = ranker.rank(embeddings)
    off = haversine_km(ranking.answer, latlon)
    assert len(ranker.cells) >= 10
    assert np.median(off) < 500.0
    shuffled = haversine_km(ranking.answer, np.roll(latlon, 1, axis=0))
    assert np.median(shuffled) > 1000.0


@pytest.mark.parametrize(("exhaustive", "probed"), [(50_000, 64), (0, 8), (0, 64)])
def test_answers_do_not_depend_on_the_batch(ranker, exhaustive, probed, monkeypatch):
    monkeypatch.setattr(retrieval, "EXHAUSTIVE_CLUSTERS", exhaustive)
    monkeypatch.setattr(retrieval, "PROBED_CELLS", probed)
    _, embeddings = photos(40, 1)
    together = ranker.rank(embeddings)
    assert np.ptp(together.radii_km[:, 0]) > 1.0
    assert set(together.confidence) == {"region", "not sure"}
    for i in range(20):
        assert_same(ranker.rank(embeddings[i : i + 1]), together, [i])
    assert ranker.rank(embeddings[:20]).confidence == together.confidence[:20]


@pytest.mark.parametrize("constrained", [False, True])
def test_candidate_cells_are_distinct_and_ranked_by_probability(ranker, constrained):
    mask = restrict(ranker, cells_with_clusters(ranker)[:4]) if constrained else None
    ranking = ranker.rank(photos(60, 1)[1], mask)
    assert ranking.cell.shape[1] == MAX_CANDIDATES
    for i in range(60):
        listed = ranking.cell[i] >= 0
        cells = ranking.cell[i, listed]
        assert len(np.unique(cells)) == len(cells)
        assert listed.tolist() == sorted(listed, reverse=True), "-1 only beyond the last"
        assert (
            set(cells) == set(cells_with_clusters(ranker)[:4]) if constrained else len(cells) >= 10
        )
        assert (np.diff(ranking.probability[i, listed]) <= 0.0).all()
    points = ranking.latlon[:, 0]
    assert ranker.cells.locate(points).tolist() == ranking.cell[:, 0].tolist()


def test_radii_increase_and_beliefs_sum_to_one(ranker):
    ranking = ranker.rank(photos(60, 1)[1])
    assert (np.diff(ranking.radii_km, axis=1) >= 0.0).all()
    for shares in (ranking.belief, ranking.source_weights):
        assert shares.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
        assert (shares >= 0.0).all()
    assert (ranking.agreement == 1.0).all()
    assert ((ranking.localisability > 0.0) & (ranking.localisability < 1.0)).all()


def test_neighbours_are_the_most_similar_gallery_photos(ranker):
    _, embeddings = photos(20, 1)
    ranking = ranker.rank(embeddings)
    features = ranker.gallery.photos.reconstruct_n(0, len(ranker.gallery.members))
    product = ranking.features @ features.T
    found = ranking.neighbour >= 0
    named = np.take_along_axis(product, np.maximum(ranking.neighbour, 0), axis=1)
    assert ranking.similarity[found] == pytest.approx(named[found], abs=1e-4)
    assert (np.diff(ranking.similarity, axis=1) <= 0.0).all()
    assert (product.max(axis=1) - ranking.similarity[:, 0] < 0.05).mean() > 0.9


def test_repeated_photos_of_a_group_count_once(ranker):
    _, embeddings = photos(5, 1)
    once = ranker.rank_together(embeddings, np.arange(5))
    thrice = ranker.rank_together(np.repeat(embeddings, 3, axis=0), np.repeat(np.arange(5), 3))
    assert_same(thrice, once)
    assert thrice.confidence == once.confidence
    pair = embeddings[[0, 1]]
    unequal = ranker.rank_together(pair[[0, 0, 0, 1]], np.zeros(4, int))
    assert_same(unequal, ranker.rank_together(pair, np.zeros(2, int)))


def test_a_group_of_one_is_ranked_like_its_photo(ranker):
    _, embeddings = photos(20, 1)
    assert_same(ranker.rank_together(embeddings, np.arange(20)), ranker.rank(embeddings))


def test_the_order_of_photos_in_a_group_does_not_matter(ranker):
    _, embeddings = photos(12, 1)
    group = np.arange(12) % 3
    order = np.random.default_rng(0).permutation(12)
    one = ranker.rank_together(embeddings, group)
    other = ranker.rank_together(embeddings[order], group[order])
    assert_same(one, other)
    assert one.confidence == other.confidence
    for number in range(3):
        mine = embeddings[group == number]
        assert_same(ranker.rank_together(mine, np.zeros(len(mine), int)), one, [number])


def test_several_views_give_a_better_answer_than_one(ranker):
    latlon, _ = photos(100, 1)
    waves = np.random.default_rng(7).normal(0, 9, (3, DIM))
    rng = np.random.default_rng(8)
    views = normalise(np.sin(unit_vectors(np.repeat(latlon, 5, axis=0)) @ waves)
                      + rng.normal(0, 1.0, (500, DIM)))  # fmt: skip
    independent = replace(ranker.calibration, consensus=Consensus(correlation=0.0))
    fusing = Ranker(ranker.cells, ranker.heads, ranker.gallery, independent)
    together = fusing.rank_together(views, np.repeat(np.arange(100), 5))
    alone = haversine_km(ranker.rank(views).answer, np.repeat(latlon, 5, axis=0))
    assert np.median(haversine_km(together.answer, latlon)) < 0.7 * np.median(alone)


def test_contradicting_photos_claim_nothing_and_keep_both_places(ranker):
    claim = Claim((0.0,) * EVIDENCE, 0.5)
    certain = replace(UNCALIBRATED, claims=dict.fromkeys(CLAIMS, claim))
    classifier_only = ((0.0, 9.0, *(0.0,) * (SOURCES - 2)),) + ((0.0,) * SOURCES,) * (SIGNALS - 1)
    consensus = Consensus(0.0, same_place=(0.0, 1.0, 0.0, 0.0), threshold=(-1.0,))
    sharp = Ranker(ranker.cells, ranker.heads, ranker.gallery, replace(
        ranker.calibration, temperature=0.05, gate=classifier_only, consensus=consensus,
        judges=dict.fromkeys(QUESTIONS, certain),
    ))  # fmt: skip
    latlon, embeddings = photos(200, 1)
    west, east = latlon[:, 1].argmin(), latlon[:, 1].argmax()
    pair = embeddings[[west, east, west, west]] + np.float32([[0], [0], [0], [1e-4]])
    ranking = sharp.rank_together(pair, np.array([0, 0, 1, 1]))
    assert ranking.contradictory.tolist() == [True, False]
    assert ranking.agreement[0] < ranking.agreement[1]
    assert ranking.confidence == ["not sure", "city"]
    of_each = sharp.rank(pair[:2]).belief.max(axis=1)
    both = np.sort(ranking.belief[0])[-2:]
    assert both.sum() == pytest.approx(of_each.mean(), abs=0.1)


@pytest.mark.parametrize("count", [1, 3, 8])
@pytest.mark.parametrize("west", [-180.0, 10.0])
def test_a_constraint_excludes_all_belief_and_answers_outside(ranker, count, west):
    allowed = np.sort(cells_with_clusters(ranker)[:count])
    mask = restrict(ranker, allowed, west)
    _, embeddings = photos(60, 1)
    group = np.repeat(np.arange(20), 3)
    for ranking in (ranker.rank(embeddings, mask), ranker.rank_together(embeddings, group, mask)):
        outside = ~np.isin(np.arange(len(ranker.cells)), allowed)
        assert (ranking.belief[:, outside] == 0.0).all()
        assert ranking.belief.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
        assert np.isin(ranking.cell[ranking.cell >= 0], allowed).all()
        assert (ranking.cell[:, 0] >= 0).all()
        assert np.isin(ranker.cells.locate(ranking.answer), allowed).all()
        cluster = ranker.gallery.members.cluster[ranking.neighbour[ranking.neighbour >= 0]]
        assert mask.clusters[cluster].all()
        assert np.isfinite(ranking.radii_km).all()


def test_a_constraint_to_the_whole_earth_changes_nothing(ranker):
    everywhere = np.ones(len(ranker.cells), np.float32)
    clusters = np.ones(len(ranker.gallery.clusters), bool)
    mask = ConstraintMask("Earth", everywhere, ranker.cells.centroids, clusters)
    _, embeddings = photos(20, 1)
    assert_same(ranker.rank(embeddings, mask), ranker.rank(embeddings))


def test_the_answer_in_cells_without_clusters_is_the_centroid(ranker):
    empty = np.setdiff1d(np.arange(len(ranker.cells)), cells_with_clusters(ranker))[:2]
    ranking = ranker.rank(photos(10, 1)[1], restrict(ranker, empty))
    assert np.isin(ranking.cell[:, 0], empty).all()
    assert (ranking.latlon[:, 0] == ranker.cells.centroids[ranking.cell[:, 0]]).all()
    assert np.isin(ranking.answer_cell, empty).all()
    assert (ranking.neighbour == -1).all()


def test_published_refinement_answers_instead_of_the_reranker(ranker):
    """The other candidates, the belief and the evidence's belief stay."""
    _, embeddings = photos(60, 1)
    refined = replace(ranker.calibration, refinement=REFINEMENTS["pigeon"])
    published = Ranker(ranker.cells, ranker.heads, ranker.gallery, refined)
    ranking, ours = published.rank(embeddings), ranker.rank(embeddings)
    features = ranker.heads.features(embeddings)
    expected = refine(
        REFINEMENTS["pigeon"], ranker.heads.classify(features), features, ranker.gallery,
        ranker.cells,
    )  # fmt: skip
    assert ranking.answer.tolist() == expected.latlon.tolist()
    assert ranking.answer_cell.tolist() == expected.cell.tolist()
    assert (ranking.answer != ours.answer).any()
    assert ranking.belief.tolist() == ours.belief.tolist()
    assert ranking.cell.tolist() == ours.cell.tolist()


def test_published_refinement_stays_inside_a_constraint(ranker):
    mask = restrict(ranker, cells_with_clusters(ranker)[:2])
    refined = replace(ranker.calibration, refinement=REFINEMENTS["pigeotto"])
    published = Ranker(ranker.cells, ranker.heads, ranker.gallery, refined)
    ranking = published.rank(photos(60, 1)[1], mask)
    assert np.isin(ranking.answer_cell, np.flatnonzero(mask.share)).all()


def test_calibrations_with_and_without_refinement_are_read_back(ranker, tmp_path):
    refined = replace(ranker.calibration, refinement=REFINEMENTS["pigeotto"])
    for calibration in (ranker.calibration, refined):
        calibration.write(tmp_path / "calibration.json")
        assert Calibration.read(tmp_path / "calibration.json") == calibration
    older = json.loads((tmp_path / "calibration.json").read_text())
    del older["refinement"]
    assert Calibration.from_dict(older).refinement is None
