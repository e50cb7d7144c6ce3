"""Manifests: the collection of each photo, and tables that are learned together."""

from collections import Counter

from training.data import manifest as photo_table


def test_collection_is_the_first_known_of_column_author_source_and_folder(tmp_path):
    (tmp_path / "photos.csv").write_text(
        "file,lat,lon,collection,author,source\n"
        "a/1.jpg,48,2,tour,Ann,repo@1:x.jpg\n"
        "a/2.jpg,48,2,,Ann,repo@1:y.jpg\n"
        "a/3.jpg,48,2,,,repo@1:z.jpg\n"
        "b/4.jpg,48,2,,,\n"
        "5.jpg,48,2,,,\n"
    )
    table, _ = photo_table.read(tmp_path / "photos.csv")
    assert table.collection.tolist() == ["tour", "Ann", "repo", "b", ""]
    assert table.folder.tolist() == ["a", "a", "a", "b", ""]


def test_collections_of_the_development_photos(shared):
    table, _ = photo_table.read(shared / "data" / "photos" / "photos.csv")
    photos = Counter(table.collection[table.folder == "sydney"])
    assert list(photos.values()) == [5340], "one photographer"
    elsewhere = set(table.collection[table.folder == "world"])
    assert len(elsewhere) == 984, "authors, and repositories without a named author"
    assert not elsewhere & set(photos)
