"""Inputs of a batch: every photo is found once, under its name and with its columns."""

import csv
import io
import json
import os
import sys
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoloc.batch import groups, inputs, items, plan
from geoloc.errors import GeolocError
from geoloc.photos import shards
from tests.geoloc.batch.library import draw

ODD = ("new\nline.jpg", "🌏.jpg", os.fsdecode(b"\xff\xfe.jpg"), " .JPG", "-o.jpeg", "a,b\"c'.png")


def found(*given, work=None):
    problems = []
    return list(inputs.find_photos([str(each) for each in given], work, problems.append)), problems


def names(*given, work=None):
    return [item.name for item in found(*given, work=work)[0]]


def test_folder_is_searched_with_its_subfolders_and_files_come_first(tmp_path):
    for name in ("z.jpg", "b/1.png", "a/2.HEIC", "a/notes.txt", ".hidden/x.jpg", "._z.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert names(tmp_path) == [str(tmp_path / name) for name in ("z.jpg", "a/2.HEIC", "b/1.png")]


@pytest.mark.parametrize("name", ODD)
def test_unusual_file_names_are_kept(tmp_path, name):
    draw(tmp_path / "in" / name, 0)
    (item,), _ = found(tmp_path / "in")
    assert item.source == str(tmp_path / "in" / name)
    assert items.load(item).image.size == (48, 32)
    again = items.Item.from_json(json.loads(json.dumps(item.to_json())))
    assert again == item


def test_symlink_loops_end_and_no_photo_comes_twice(tmp_path):
    draw(tmp_path / "in" / "z" / "1.jpg", 0)
    (tmp_path / "in" / "a").symlink_to("z")  # comes first by name, but is the link
    (tmp_path / "in" / "z" / "up").symlink_to("..")
    (tmp_path / "in" / "z" / "self").symlink_to(".")
    (tmp_path / "out").mkdir()
    draw(tmp_path / "out" / "2.jpg", 1)
    (tmp_path / "in" / "elsewhere").symlink_to(tmp_path / "out")
    (tmp_path / "in" / "3.jpg").symlink_to(tmp_path / "out" / "2.jpg")
    (tmp_path / "in" / "gone.jpg").symlink_to("nowhere")
    expected = ("3.jpg", "gone.jpg", "z/1.jpg", "elsewhere/2.jpg")
    assert names(tmp_path / "in") == [str(tmp_path / "in" / name) for name in expected]


def test_named_pipes_are_skipped(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    assert names(tmp_path) == []


def test_patterns_match_photos_and_folders(tmp_path):
    for name in ("a/1.jpg", "a/2.jpg", "b/1.jpg", "b/c/3.jpg"):
        draw(tmp_path / name, 0)
    (tmp_path / "b" / "notes.txt").write_text("1.jpg")
    assert names(tmp_path / "?" / "1.jpg") == [str(tmp_path / n) for n in ("a/1.jpg", "b/1.jpg")]
    assert names(f"{tmp_path}/b/*") == [str(tmp_path / n) for n in ("b/1.jpg", "b/c/3.jpg")]
    assert len(names(f"{tmp_path}/**/*")) == 4, "folders that ** enters anyway come once"
    with pytest.raises(GeolocError, match="matches no photo"):
        names(f"{tmp_path}/*.gif")


ROWS = [
    {"File": "a.jpg", "street": "Rue, 1", "n": 7, "open": True, "x": None},
    {"File": "sub/b.jpg", "street": "emoji 🌏", "n": 8, "open": False, "x": 1.5},
]


def write_list(path, rows):
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        delimiter = "\t" if path.suffix == ".tsv" else ","
        file = io.StringIO()
        table = csv.DictWriter(file, rows[0], delimiter=delimiter)
        table.writeheader()
        table.writerows(rows)
        path.write_text(file.getvalue(), encoding="utf-8-sig")


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet", ".jsonl"])
def test_lists_keep_their_columns(tmp_path, ending):
    write_list(tmp_path / f"list{ending}", ROWS)
    rows, _ = found(tmp_path / f"list{ending}")
    assert [row.source for row in rows] == [str(tmp_path / row["File"]) for row in ROWS]
    texts = ending in (".csv", ".tsv")
    for row, wrote in zip(rows, ROWS, strict=True):
        expected = {name: value for name, value in wrote.items() if name != "File"}
        if texts:
            expected = {k: "" if v is None else str(v) for k, v in expected.items()}
        assert row.columns == expected


def test_text_lists_have_one_name_per_line(tmp_path):
    (tmp_path / "list.txt").write_bytes(b"a.jpg\r\n\nb \xff.jpg\n")
    (tmp_path / os.fsdecode(b"b \xff.jpg")).touch()
    assert [row.source for row in found(tmp_path / "list.txt")[0]] == [
        str(tmp_path / "a.jpg"), str(tmp_path / os.fsdecode(b"b \xff.jpg"))
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("l.csv", "lat,lon\n1,2\n", "name it file"),
        ("l.csv", "file,a\nx.jpg,1,2\n", "line 2 has more cells"),
        ("l.csv", "file,n\n\n,1\n", "row 1 has no file name"),
        ("l.jsonl", '{"file"', r"line 1 is no JSON \("),
        ("l.jsonl", "[1]\n", "element 1 is no JSON object"),
        ("l.jsonl", '{"file": 3}\n', "row 1 has no file name"),
        ("l.parquet", "nothing", "not a readable Parquet"),
        ("l.tar", "nothing", "not a readable tar"),
        ("none.csv", None, "no such file"),
    ],
)
def test_unusable_list_is_refused_with_the_reason(tmp_path, name, content, reason):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(GeolocError, match=reason) as refused:
        names(tmp_path / name)
    assert name in str(refused.value)


def test_bad_rows_of_a_list_are_counted_and_the_others_go_on(tmp_path):
    (tmp_path / "l.csv").write_text("file,n\na.jpg,1\n,2\nb.jpg,3,4\nc.jpg,5\n")
    rows, problems = found(tmp_path / "l.csv")
    assert [(os.path.basename(row.name), row.columns["n"]) for row in rows] == [
        ("a.jpg", "1"), ("c.jpg", "5")
    ]  # fmt: skip
    too_long, unnamed = problems
    assert "l.csv: 1 row is left out (line 4): more cells than the header" in too_long
    assert "l.csv: row 2 has no file name in column file; 1 of 3 rows are left out" in unnamed


def make_shard(path, cut=None):
    with tarfile.open(path, "w") as shard:
        for name, content in (
            ("./x/one.jpg", draw(path.parent / "p.jpg", 1).read_bytes()),
            ("./x/one.json", b'{"caption": "sea", "tags": ["a"], "lat": 1.5}'),
            ("two.0.png", draw(path.parent / "p.png", 2).read_bytes()),
            ("two.1.png", draw(path.parent / "p.png", 3).read_bytes()),
            ("readme.txt", b"x"),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            shard.addfile(member, io.BytesIO(content))
    if cut:
        path.write_bytes(path.read_bytes()[:cut])


def test_shards_are_read_in_place(tmp_path):
    make_shard(tmp_path / "s.tar")
    rows, problems = found(tmp_path / "s.tar")
    assert [row.name for row in rows] == [
        f"{tmp_path}/s.tar/{key}" for key in ("./x/one", "two.0", "two.1")
    ]
    assert rows[0].columns == {"caption": "sea", "tags": '["a"]', "lat": 1.5}
    assert {row.source for row in rows} == {None}
    assert items.load(rows[1]).image.size == (48, 32)
    assert problems == []
    assert names(f"{tmp_path}/*.tar") == [row.name for row in rows]


def test_truncated_shard_gives_its_complete_photos(tmp_path):
    make_shard(tmp_path / "s.tar", cut=5000)
    samples, problems = shards.read(str(tmp_path / "s.tar"))
    assert samples
    assert "cut short" in problems[0]


def test_tables_can_refer_to_photos_in_shards(tmp_path):
    make_shard(tmp_path / "s.tar")
    sample = shards.read(str(tmp_path / "s.tar"))[0][0]
    row = {"photo_id": "one", "file": "s.tar", "offset": sample.offset, "size": sample.size}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "photos.parquet")
    (item,), _ = found(tmp_path / "photos.parquet")
    assert item.name == f"{tmp_path}/s.tar/one"
    assert items.load(item).image.size == (48, 32)


class Stdin:
    def __init__(self, content):
        self.buffer = io.BytesIO(content)


@pytest.mark.parametrize(
    "content",
    [
        b"a.jpg\nb.jpg\n",
        b"\xef\xbb\xbfa.jpg\nb.jpg\n",
        "a.jpg\r\nb.jpg\r\n".encode("utf-16"),
        b"a.jpg\0b.jpg",
        b'{"file": "a.jpg", "n": 1}\n\n{"file": "b.jpg", "n": 2}',
        b'\xef\xbb\xbf{"file": "a.jpg"}\n{"file": "b.jpg"}',
        b'[{"file": "a.jpg"}, {"file": "b.jpg"}]',
        b"file,lat,lon\na.jpg,1,2\nb.jpg,3,4\n,,\n",
        b"file;lat;lon\na.jpg;1,5;2\nb.jpg;3;4\n",
    ],
)
def test_names_are_read_from_standard_input(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", Stdin(content))
    rows, _ = found("-")
    assert [row.name for row in rows] == ["a.jpg", "b.jpg"]
    assert rows[1].location == str(tmp_path / "b.jpg")


def test_name_with_a_line_break_is_read_from_standard_input(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", Stdin(b"a\nb\r.jpg\0" + b"c" * 70_000 + b".jpg\0"))
    assert names("-") == ["a\nb\r.jpg", "c" * 70_000 + ".jpg"]


def test_photo_is_read_from_standard_input(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", Stdin(draw(tmp_path / "p.jpg", 1).read_bytes()))
    (item,), _ = found("-", work=tmp_path)
    assert (item.name, item.source) == ("standard input", None)
    assert items.load(item).image.size == (48, 32)


def test_addresses_are_read_through_fsspec(tmp_path):
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    make_shard(tmp_path / "s.tar")
    for name in ("p.jpg", "p.png", "s.tar"):
        memory.pipe_file(f"/bucket/{name}", (tmp_path / name).read_bytes())
    memory.pipe_file("/bucket/list.csv", b"file,n\np.jpg,1\n")
    one, _ = found("memory://bucket/list.csv")
    assert [(item.location, item.columns) for item in one] == [
        ("memory://bucket/p.jpg", {"n": "1"})
    ]
    assert items.load(one[0]).image.size == (48, 32)
    rows, _ = found("memory://bucket/*.tar")
    assert [items.load(row).image.size for row in rows] == [(48, 32)] * 3
    every = names("memory://bucket/")
    assert len(every) == 2 + 3, "photos and members of the shard; lists only when asked for"


SOME = st.lists(st.tuples(st.sampled_from(["a", "b", "", None, "\udcff"]), st.text()), max_size=40)


@settings(max_examples=40, deadline=None)
@given(SOME, st.integers(1, 5))
def test_grouping_and_planning_keep_every_photo_once(tmp_path_factory, rows, part):
    photos = [
        items.Item(f"{number}\n.jpg", "/x", (1, 2), {"by": by, "text": text})
        for number, (by, text) in enumerate(rows)
    ]
    together = list(groups.group(iter(photos), "by"))
    file = tmp_path_factory.mktemp("plan") / "plan"
    planned = plan.write(file, together, {}, grouped=True, part_size=part)
    parts = [plan.parse(line) for _, line in planned.lines()]
    assert sorted(i.name for p in parts for i in p.items) == sorted(i.name for i in photos)
    assert planned.photos == len(photos)
    assert len({part.key for part in parts}) == len(parts)
    for name, members in together:
        assert [int(m.name.split("\n")[0]) for m in members] == sorted(
            int(m.name.split("\n")[0]) for m in members
        )
        assert name is not None or len(members) == 1
    names_of_groups = [name for name, _ in together if name is not None]
    assert len(names_of_groups) == len(set(names_of_groups))
    with file.open("rb") as opened:
        for (key, count, offset, length), parsed in zip(planned.entries(), parts, strict=True):
            opened.seek(offset)
            assert plan.parse(opened.read(length).decode()) == parsed
            assert (key, count) == (parsed.key, len(parsed.items))


def test_wrong_column_for_groups_is_reported():
    photos = [items.Item(f"{n}.jpg", "/x", (1, 2), {"by": "same"}) for n in range(5000)]
    with pytest.raises(GeolocError, match="5,000 photos"):
        list(groups.group(iter(photos), "by"))
    with pytest.raises(GeolocError, match=r"no such column \(has: by\)"):
        list(groups.group(iter(photos), "street"))
