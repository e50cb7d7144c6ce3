"""FAISS indexes with given lists: exact searches, quantisation, files and GPUs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoloc.encoders.base import normalise
from geoloc.errors import BundleError
from geoloc.retrieval import index as indexes

few = settings(max_examples=40, deadline=None)


def compact(vectors, lists, centres):
    return indexes.build_compact(vectors, lists, len(centres))


builders = pytest.mark.parametrize("build", [indexes.build_scalar, compact])


def unit(count: int, dim: int, seed: int = 0):
    return normalise(np.random.default_rng(seed).normal(size=(count, dim)))


def around(centres, count: int, seed: int):
    """Return unit vectors near centres, and the centre of each."""
    rng = np.random.default_rng(seed)
    lists = rng.integers(0, len(centres), count)
    return normalise(centres[lists] + rng.normal(0, 0.15, (count, centres.shape[1]))), lists


def exact(queries, vectors, lists, wanted, k):
    """Return the (N, k) largest inner products in the given lists; -1 beyond the last."""
    looked_at = (lists == wanted[:, :, None]).any(axis=1)
    product = np.where(looked_at, queries @ vectors.T, -np.inf)
    padded = np.pad(product, ((0, 0), (0, k)), constant_values=-np.inf)
    best = -np.sort(-padded, axis=1)[:, :k]
    return np.where(np.isneginf(best), -1.0, best)


def check_exact(build, data, most_columns):
    """Check that a search in given lists, some of them -1, finds the most similar vectors."""
    n_lists = data.draw(st.integers(1, 7))
    lists = np.array(data.draw(st.lists(st.integers(0, n_lists - 1), min_size=1, max_size=40)))
    vectors, queries = unit(len(lists), 8, 1), unit(3, 8, 2)
    looked = st.permutations([*range(n_lists), *[-1] * 3])
    columns = data.draw(st.integers(1, most_columns(n_lists)))
    wanted = np.array([data.draw(looked) for _ in queries])[:, :columns]
    k = data.draw(st.integers(1, 12))
    index = build(vectors, lists, unit(n_lists, 8))
    similarity, row = indexes.search(index, queries, wanted, k)
    assert similarity == pytest.approx(exact(queries, vectors, lists, wanted, k), abs=2e-3)
    assert ((row < 0) == (similarity == -1.0)).all()
    for i, found in enumerate(row):
        known = found[found >= 0]
        assert len(np.unique(known)) == len(known)
        assert np.isin(lists[known], wanted[i]).all()
        assert similarity[i, : len(known)] == pytest.approx(vectors[known] @ queries[i], abs=2e-3)


@builders
@given(data=st.data())
@few
def test_a_search_is_exact_inside_the_given_lists(build, data):
    check_exact(build, data, lambda n_lists: n_lists)


@builders
@given(data=st.data())
@few
def test_a_search_is_exact_for_rows_longer_than_the_number_of_lists(build, data):
    check_exact(build, data, lambda n_lists: n_lists + 3)


@builders
def test_lists_may_be_empty_or_hold_one_vector(build):
    vectors = unit(2, 16)
    index = build(vectors, np.array([1, 3]), unit(5, 16))
    similarity, row = indexes.search(index, vectors, np.array([[0, 1, 2], [4, 2, -1]]), 2)
    assert row.tolist() == [[0, -1], [-1, -1]]
    assert similarity[0] == pytest.approx([1.0, -1.0], abs=2e-3)
    assert similarity[1].tolist() == [-1.0, -1.0]


def coded(monkeypatch, build, count: int):
    """Return a quantised index, its vectors and lists, and 500 queries with their lists."""
    monkeypatch.setattr(indexes, "QUANTISED_FROM", 2000)
    centres = unit(40, 64)
    vectors, lists = around(centres, count, 1)
    queries, wanted = around(centres, 500, 2)
    return build(vectors, lists, centres), vectors, lists, queries, wanted[:, None]


@builders
def test_few_vectors_are_kept_in_half_precision(build, monkeypatch):
    index = coded(monkeypatch, build, 1999)[0]
    assert index.sq.qtype == indexes.faiss().ScalarQuantizer.QT_fp16


def test_a_large_scalar_index_takes_six_bits_per_dimension(monkeypatch):
    index, vectors, lists, queries, wanted = coded(monkeypatch, indexes.build_scalar, 4000)
    assert index.sq.qtype == indexes.faiss().ScalarQuantizer.QT_6bit
    assert index.code_size == 48
    everywhere = np.tile(np.arange(40), (500, 1))
    for looked in (wanted, everywhere):
        best = np.where((lists == looked[:, :, None]).any(axis=1), queries @ vectors.T, -2.0)
        row = indexes.search(index, queries, looked, 1)[1][:, 0]
        assert (row == best.argmax(axis=1)).mean() >= 0.9  # many of a list are about as similar


def test_a_large_compact_index_is_product_quantised(monkeypatch):
    index, vectors, lists, queries, wanted = coded(monkeypatch, compact, 4000)
    assert isinstance(index, indexes.faiss().IndexIVFPQ)
    assert index.code_size == indexes.PQ_BYTES
    similarity, row = indexes.search(index, queries, wanted, 10)
    assert (lists[row] == wanted).all()
    product = np.where(lists == wanted, queries @ vectors.T, -2.0)
    assert (row == product.argmax(axis=1)[:, None]).any(axis=1).mean() >= 0.95
    assert similarity == pytest.approx(np.take_along_axis(product, row, axis=1), abs=0.1)


def test_an_indivisible_dimension_is_not_product_quantised(monkeypatch):
    monkeypatch.setattr(indexes, "QUANTISED_FROM", 100)
    index = compact(unit(200, 40), np.zeros(200, int), unit(1, 40))
    assert index.sq.qtype == indexes.faiss().ScalarQuantizer.QT_6bit


@builders
@pytest.mark.parametrize("count", [300, 4000])
def test_equal_vectors_make_equal_files(build, count, monkeypatch, tmp_path):
    for name in "ab":
        indexes.write(coded(monkeypatch, build, count)[0], tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@builders
@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("count", [300, 4000])
def test_an_index_read_from_a_file_finds_the_same(build, mapped, count, monkeypatch, tmp_path):
    index, _, _, queries, wanted = coded(monkeypatch, build, count)
    indexes.write(index, tmp_path / "index")
    if mapped:
        monkeypatch.setattr(indexes, "MAPPED_FROM_BYTES", 0)
    again = indexes.read(tmp_path / "index", count, 40)
    lists = indexes.faiss().downcast_InvertedLists(again.invlists)
    assert isinstance(lists, indexes.faiss().OnDiskInvertedLists) == mapped
    for before, after in zip(
        indexes.search(index, queries, wanted, 20),
        indexes.search(again, queries, wanted, 20),
        strict=True,
    ):
        assert (before == after).all()
    if build is indexes.build_scalar:
        assert (indexes.centres(again) == unit(40, 64)).all()


@pytest.mark.parametrize("mapped", [False, True])
def test_a_damaged_or_mismatched_file_is_named_in_the_error(mapped, monkeypatch, tmp_path):
    if mapped:
        monkeypatch.setattr(indexes, "MAPPED_FROM_BYTES", 0)
    path = tmp_path / "index"
    indexes.write(indexes.build_scalar(unit(30, 8), np.arange(30) % 4, unit(4, 8)), path)
    indexes.read(path, 30, 4)
    for vectors, lists in ((29, 4), (30, 5)):
        with pytest.raises(BundleError, match="index: does not fit"):
            indexes.read(path, vectors, lists)
    whole = path.read_bytes()
    for damaged in (b"", b"nonsense", whole[: len(whole) // 2], whole[:-1]):
        path.write_bytes(damaged)
        with pytest.raises(BundleError, match="index: unreadable"):
            indexes.read(path, 30, 4)


class FaissWithGpus:
    """Make the library appear as a build with GPUs."""

    def __init__(self, library):
        self.library, self.moved = library, []

    def __getattr__(self, name):
        return getattr(self.library, name)

    def get_num_gpus(self):
        return 1

    def index_cpu_to_all_gpus(self, index):
        self.moved.append(index)
        return index


@pytest.mark.parametrize("gpus", [False, True])
def test_an_exhaustive_index_is_put_on_all_gpus(gpus, monkeypatch):
    vectors = unit(50, 16)
    index = indexes.build_scalar(vectors, np.arange(50)[::-1] % 7, unit(7, 16))
    fake = FaissWithGpus(indexes.faiss())
    if gpus:
        monkeypatch.setattr(indexes, "faiss", lambda: fake)
    else:
        monkeypatch.setattr(indexes.faiss(), "get_num_gpus", lambda: 0)
    whole = indexes.flat(index)
    assert [moved.ntotal for moved in fake.moved] == [50] * gpus
    similarity, row = whole.search(vectors, 1)
    assert row[:, 0].tolist() == list(range(50))
    assert similarity[:, 0] == pytest.approx(1.0, abs=2e-3)


@pytest.mark.parametrize(("count", "k"), [(5, 5), (70, 3), (3000, 20), (3001, 1)])
def test_exhaustive_search_sorts_all_vectors(count, k):
    vectors = unit(count, 8)
    vectors[-2:] = vectors[0]  # equal ones: the first rows win
    queries = np.concatenate([unit(300, 8), vectors[:1]])
    similarity, row = indexes.Exhaustive(vectors).search(queries, k)
    products = queries @ vectors.T
    expected = np.argsort(-products, axis=1, kind="stable")[:, :k]
    np.testing.assert_allclose(similarity, np.take_along_axis(products, expected, 1), atol=1e-6)
    assert row[-1, : min(k, 3)].tolist() == [0, count - 2, count - 1][: min(k, 3)]
