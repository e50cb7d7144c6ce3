"""Members of a gallery are mapped from their file, and older files are still read."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoloc.errors import BundleError
from geoloc.io.texts import Texts
from geoloc.retrieval.tables import MEMBERS, OLD_MEMBERS, Members, count_members, members_file

COUNT = 300_000


def make_members(count: int = 7) -> Members:
    rng = np.random.default_rng(0)
    latlon = rng.uniform(-90, 90, (count, 2))
    source = np.array([f"photo {number} ä" for number in range(count)], dtype=object)
    licence = np.array(["CC0-1.0", "MIT"], dtype=object)[np.arange(count) % 2]
    author = np.full(count, "", dtype=object)
    return Members(np.arange(count, dtype=np.int32) // 3, latlon, source, licence, author)


@pytest.fixture
def written(tmp_path):
    make_members().write(tmp_path / MEMBERS)
    return tmp_path / MEMBERS


def test_members_are_read_as_they_were_written(written):
    members, again = make_members(), Members.read(written)
    assert count_members(written) == len(again) == 7
    for name in ("cluster", "latlon", "source", "licence", "author"):
        assert (np.asarray(getattr(again, name)) == np.asarray(getattr(members, name))).all()
    some = again.take(np.array([5, 0, 5]))
    assert list(some.source) == ["photo 5 ä", "photo 0 ä", "photo 5 ä"]
    assert some.latlon.tolist() == members.latlon[[5, 0, 5]].tolist()


def test_no_column_of_a_written_file_is_copied_into_memory(tmp_path):
    make_members(COUNT).write(tmp_path / MEMBERS)
    before = pa.total_allocated_bytes()
    members = Members.read(tmp_path / MEMBERS)
    assert pa.total_allocated_bytes() - before < 10_000
    assert not members.latlon.flags.owndata
    assert not members.cluster.flags.owndata
    assert members.source[COUNT - 1] == f"photo {COUNT - 1} ä"
    assert (tmp_path / MEMBERS).stat().st_size < 60 * COUNT  # a licence is stored once


def test_members_of_an_older_bundle_are_read(tmp_path):
    members = make_members()
    columns = {
        "cluster": members.cluster, "lat": members.latlon[:, 0], "lon": members.latlon[:, 1],
        "source": members.source, "licence": members.licence, "author": members.author,
    }  # fmt: skip
    pq.write_table(pa.table(columns), tmp_path / OLD_MEMBERS)
    path = members_file(tmp_path)
    assert count_members(path) == 7
    assert (Members.read(path).latlon == members.latlon).all()
    members.write(tmp_path / MEMBERS)
    with pytest.raises(BundleError, match=r"damaged bundle .there is members\.parquet too"):
        members_file(tmp_path)


def test_file_of_another_kind_is_refused_by_name(tmp_path):
    batch = pa.record_batch({"cluster": pa.array(["a", "b"])})
    with pa.OSFile(str(tmp_path / MEMBERS), "wb") as file:
        with pa.ipc.new_file(file, batch.schema) as out:
            out.write_batch(batch)
    with pytest.raises(BundleError, match=r"members\.arrow: unreadable"):
        Members.read(tmp_path / MEMBERS)
    (tmp_path / MEMBERS).write_bytes(b"")
    with pytest.raises(BundleError, match=r"members\.arrow: unreadable"):
        Members.read(tmp_path / MEMBERS)


@given(st.lists(st.one_of(st.none(), st.sampled_from(["", "MIT", "ß"]), st.text()), max_size=30))
def test_texts_are_like_an_array_of_strings(values):
    values = [value and value.encode("utf-8", "replace").decode() for value in values]
    plain = np.array([value or "" for value in values], dtype=object)
    texts = Texts.of(pa.array(values, pa.string()))
    assert list(texts) == list(plain)
    assert len(texts) == len(plain)
    assert list(texts[::-1]) == list(plain[::-1])
    assert list(texts[plain == ""]) == list(plain[plain == ""])
    assert sum(texts.counts().values()) == len(plain)
    if len(plain):
        assert texts[len(plain) - 1] == texts[-1] == plain[-1]
