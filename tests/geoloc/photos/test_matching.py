"""Photos are matched by their path, and by their base name only where that is unique."""

import pytest

from geocells.columns import to_strings
from geoloc.photos.matching import match_names


def match(names, among):
    found = match_names(to_strings(names), to_strings(among))
    return found.row.tolist(), found.ambiguous.tolist()


@pytest.mark.parametrize(
    ("names", "among", "rows", "ambiguous"),
    [
        # the same base name in two folders
        (["paris/0.jpg", "nyc/0.jpg"], ["x/nyc/0.png", "x/paris/0.png"], [1, 0], []),
        (["paris/0.jpg", "nyc/0.jpg"], ["nyc/0.jpg", "paris/0.jpg"], [1, 0], []),
        # one photo would serve two names
        (["paris/0.jpg", "nyc/0.jpg"], ["0.png"], [-1, -1], [0, 1]),
        # a photo that another name means
        (["paris/0.jpg", "nyc/0.jpg"], ["paris/0.jpg"], [0, -1], []),
        # bytes that are not UTF-8: escaped in outputs, Windows-1252 in tables
        (["in/K\\udcf6ln.jpg", "in\\nyc.jpg"], ["nyc.jpg", "Köln.jpg"], [1, 0], []),
        # one name would fit two photos
        (["0"], ["paris/0.jpg", "nyc/0.jpg"], [-1], [0]),
        # other folders, endings and separators
        (["222", "111"], ["train/01/222.jpg", "train/00/111.jpg"], [0, 1], []),
        (["some/where/p2.png", "./a.JPEG"], ["p2.jpg", "a.jpg"], [0, 1], []),
        (["a\\b.jpg"], ["z/b.jpg", "a/b.jpg"], [1], []),
        # doubled rows mean the same photo
        (["a.jpg", "a.jpg"], ["b.jpg", "a.png"], [1, 1], []),
        # a dot in an ID does not begin an ending
        (["12.345", "12.346"], ["12.346", "12.345"], [1, 0], []),
        (["12.345"], ["12.346"], [-1], []),
        (["none"], ["a.jpg"], [-1], []),
        ([], ["a.jpg"], [], []),
        (["a.jpg"], [], [-1], []),
    ],
)
def test_names_match_photos(names, among, rows, ambiguous):
    found, several = match(names, among)
    assert found == rows
    assert [row for row, each in enumerate(several) if each] == ambiguous
