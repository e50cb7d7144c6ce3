"""Splits share no author, group, place or duplicate; the audit finds every planted leak."""

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoloc.errors import TableError
from training.data import table as photo_table
from training.data.audit import audit
from training.data.duplicates import have_near_duplicates, near_duplicates, representatives
from training.data.split import FOLDS, assign_splits, collection_folds
from training.data.table import complete


def table_of(author, group, latlon, location=None) -> pa.Table:
    latlon = np.asarray(latlon, float)
    columns = {
        "photo_id": [f"p{i}" for i in range(len(author))], "author": list(author),
        "group": list(group), "lat": latlon[:, 0], "lon": latlon[:, 1],
        "file": [f"{i}.jpg" for i in range(len(author))],
    }  # fmt: skip
    if location is not None:
        columns["location_id"] = list(location)
    return complete(pa.table(columns))


def of(table: pa.Table, name: str) -> pa.Table:
    return table.filter(pa.array(np.array(table["split"].to_pylist()) == name))


def leaks(table: pa.Table, split: np.ndarray, one: str, other: str):
    with_split = photo_table.with_column(table, "split", pa.array(list(split), pa.string()))
    return audit(of(with_split, one), of(with_split, other))


keys = st.integers(0, 12)
photos = st.lists(
    st.tuples(keys, keys, st.integers(0, 30), st.integers(0, 30)), min_size=3, max_size=120
)


@given(photos, st.integers(0, 3), st.data())
@settings(deadline=None, max_examples=80)
def test_splits_share_nothing(rows, seed, data):
    author = [f"a{a}" if a else "" for a, _, _, _ in rows]
    group = [f"g{g}" if g else "" for _, g, _, _ in rows]
    latlon = [(lat / 10, lon / 10) for _, _, lat, lon in rows]
    table = table_of(author, group, latlon, [f"l{b}{c}" for _, _, b, c in rows])
    pairs = data.draw(st.lists(st.tuples(*[st.integers(0, len(rows) - 1)] * 2), max_size=6))
    twins = np.array(pairs, int).reshape(-1, 2).T
    found = assign_splits(
        table, val=0.2, test=0.2, seed=seed, duplicates=(twins[0], twins[1])
    ).split
    for one, other in (("train", "test"), ("train", "val"), ("val", "test")):
        shared = leaks(table, found, one, other)
        assert shared.author == shared.group == shared.location == shared.block == 0
    for a, b in pairs:
        assert found[a] == found[b] or "" in (found[a], found[b])
    order = np.array(data.draw(st.permutations(range(len(rows)))))
    place = np.argsort(order)
    moved = place[twins[0]], place[twins[1]]
    again = assign_splits(table.take(order), val=0.2, test=0.2, seed=seed, duplicates=moved).split
    assert (again == found[order]).all()


def test_small_components_go_to_one_split():
    rng = np.random.default_rng(0)
    author = np.repeat(np.arange(400), 5)
    centre = rng.uniform(-60, 60, (400, 2))
    table = table_of(author.astype(str), author.astype(str), centre[author])
    found = assign_splits(table, val=0.1, test=0.1)
    assert "" not in found.counts, "no photo has to be left out"
    assert 100 < found.counts["test"] < 320
    assert 100 < found.counts["val"] < 320
    other = assign_splits(table, val=0.1, test=0.1, seed=1)
    assert (other.split != found.split).any()


def test_few_photos_are_left_out_where_authors_link_all_places():
    rng = np.random.default_rng(0)
    author = rng.integers(0, 200, 20_000).astype(str)
    table = table_of(author, [""] * 20_000, rng.integers(0, 60, (20_000, 2)))
    found = assign_splits(table, val=0.05, test=0.05)
    assert found.counts["train"] > 0.75 * 20_000
    assert found.counts[""] < 0.25 * 20_000
    assert found.counts["test"] > 0
    assert leaks(table, found.split, "train", "test").clean


def test_shares_above_one_are_refused():
    with pytest.raises(TableError, match="sum below 1"):
        assign_splits(table_of(["a"], ["g"], [(0, 0)]), val=0.6, test=0.5)


def test_audit_counts_planted_leaks():
    rng = np.random.default_rng(1)
    train = table_of([f"a{i}" for i in range(50)], [f"g{i}" for i in range(50)],
                     rng.uniform(10, 60, (50, 2)))  # fmt: skip
    latlon = rng.uniform(-60, -10, (10, 2))
    latlon[0] = [train["lat"][4].as_py(), train["lon"][4].as_py() + 1e-5]
    test = table_of(["a3", "a3", "b"] + [""] * 7, ["h", "h", "g9"] + [""] * 7, latlon,
                    [f"t{i}" for i in range(10)])  # fmt: skip
    test = photo_table.with_column(
        test, "file", pa.array([f"t{i}.jpg" for i in range(9)] + ["7.jpg"])
    )
    embeddings = rng.normal(size=(50, 16)), rng.normal(size=(10, 16))
    embeddings[1][5] = embeddings[0][11] + 0.01
    found = audit(train, test, embeddings)
    assert (found.author, found.group, found.location, found.block) == (2, 1, 0, 1)
    assert (found.file, found.duplicate, found.near["0.025"]) == (1, 1, 1)
    assert not found.clean
    assert "2 (20.00%) share an author" in "\n".join(found.lines())
    assert audit(train, table_of(["x"], ["y"], [(-50, -50)], ["z"])).file == 1


def test_near_duplicates_are_found_in_pairs():
    rng = np.random.default_rng(2)
    embeddings = rng.normal(size=(300, 32))
    embeddings[7], embeddings[200] = embeddings[3] + 0.02, embeddings[100] + 0.02
    latlon = rng.uniform(-50, 50, (300, 2))
    latlon[7] = latlon[3]
    pairs = {tuple(sorted(p)) for p in zip(*near_duplicates(embeddings), strict=True)}
    assert pairs == {(3, 7), (100, 200)}
    near = {tuple(sorted(p)) for p in zip(*near_duplicates(embeddings, latlon, 1.0), strict=True)}
    assert near == {(3, 7)}
    table = table_of([""] * 300, [""] * 300, latlon)
    exact = np.zeros(300, np.float32)
    exact[3] = 5.0
    table = photo_table.with_column(table, "precision_km", pa.array(exact))
    kept = representatives(table, near_duplicates(embeddings))
    assert set(range(300)) - set(kept.tolist()) == {3, 200}
    assert have_near_duplicates(embeddings[:50], embeddings[50:101]).sum() == 0


def test_near_duplicates_are_found_by_the_inverted_file_index(monkeypatch):
    import training.data.duplicates as module

    rng = np.random.default_rng(3)
    embeddings = rng.normal(size=(3000, 16)).astype(np.float32)
    embeddings[1500:1600] = embeddings[:100] + 0.01
    monkeypatch.setattr(module, "_EXACT", 1000)
    row, other = near_duplicates(embeddings)
    found = {tuple(sorted(p)) for p in zip(row.tolist(), other.tolist(), strict=True)}
    planted = {(i, 1500 + i) for i in range(100)}
    assert len(planted & found) >= 95
    assert len(found) < 130


def test_split_and_audit_commands(tmp_path, geoloc_train):
    rng = np.random.default_rng(0)
    author = np.repeat(np.arange(100), 4)
    table = table_of(author.astype(str), author.astype(str), rng.uniform(-60, 60, (100, 2))[author])
    photo_table.write(table, tmp_path / "photos.parquet")
    done = geoloc_train("audit", tmp_path / "photos.parquet")
    assert done.returncode == 2
    assert "no photo of the split train" in done.stderr
    done = geoloc_train("split", tmp_path / "photos.parquet", "-o", tmp_path / "split.parquet",
               "--test", 0.2, "--val", 0.1)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "test: " in done.stdout
    done = geoloc_train("audit", tmp_path / "split.parquet", "--json")
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)["clean"] is True
    done = geoloc_train("audit", tmp_path / "photos.parquet", tmp_path / "photos.parquet")
    assert done.returncode == 1
    assert "400 (100.00%) share an author" in done.stdout


def test_split_says_that_photos_without_authors_are_split_by_place(tmp_path, geoloc_train):
    rng = np.random.default_rng(0)
    latlon = rng.uniform(-60, 60, (60, 2))
    for authors, said in {
        "": "photos have no author: they are split by place only (squares of 50 km",
        "one": "59 of 60 photos have no author",
    }.items():
        table = table_of([authors, *[""] * 59], [""] * 60, latlon)
        photo_table.write(table, tmp_path / "photos.parquet")
        done = geoloc_train(
            *("split", tmp_path / "photos.parquet", "-o", tmp_path / "split.parquet"),
            *("--val", 0.1, "--test", 0.1, "--block-km", 50),
        )
        assert done.returncode == 0, done.stderr
        assert said in done.stderr


def test_collections_are_held_out_as_a_whole():
    rng = np.random.default_rng(0)
    names = np.array([f"author {n}" for n in rng.zipf(1.5, 400).clip(max=60)], object)
    fold = collection_folds(names)
    assert fold is not None
    assert set(fold.tolist()) == set(range(FOLDS))
    for name in set(names):
        assert len(set(fold[names == name].tolist())) == 1
    largest = np.unique(names.astype(str), return_counts=True)[1].max()
    assert np.bincount(fold).max() <= max(largest, -(-len(names) // FOLDS) + 1)


def test_few_collections_cannot_be_held_out():
    assert collection_folds(np.array(["a", "b", "c", "d"] * 20, object)) is None
