"""Thumbnails of a bundle: which photos are taken, their size, and where they are shown."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from geoloc.bundle import directory as bundles
from geoloc.errors import BundleError
from geoloc.guess import Neighbour
from geoloc.io.thumbnails import FILE, MAX_BYTES, THUMBNAIL_PX, Thumbnails
from geoloc.output.map_page import write_map
from geoloc.output.similar import with_thumbnails
from tests.geoloc.output.records import CELLS, make_guess
from training.data.manifest import read
from training.gallery.thumbnails import Pictures, add_thumbnails, is_open, make_thumbnails, picture

LINK = "https://photos.example/a"


@pytest.mark.parametrize(
    ("licence", "author", "source", "shown"),
    [
        ("CC BY-SA 4.0 (Commons)", "A. Bee", LINK, True),
        ("CC-BY-2.0", "A. Bee", LINK, True),
        ("CC0 (Commons)", "", LINK, True),
        ("Public domain (Commons)", "", LINK, True),
        ("CC BY 4.0", "", LINK, False),  # no credit can be given
        ("CC BY-NC 4.0", "A. Bee", LINK, False),
        ("CC BY-NC-SA 2.0", "A. Bee", LINK, False),
        ("CC-BY-ND-3.0", "A. Bee", LINK, False),
        ("MIT", "A. Bee", LINK, False),
        ("all rights reserved", "A. Bee", LINK, False),
        ("", "A. Bee", LINK, False),
        ("CC BY 4.0", "A. Bee", "folder/a.jpg", False),
        ("CC BY 4.0", "A. Bee", "javascript:alert(1)", False),
    ],
)
def test_only_photos_that_may_be_shown_with_credit_are_taken(licence, author, source, shown):
    assert is_open(licence, author, source) == shown


@pytest.fixture
def table(tmp_path):
    """Twelve photos of three places; the last one cannot be read."""
    rng = np.random.default_rng(0)
    lines = ["file,lat,lon,source,licence,author"]
    for i in range(12):
        pixels = rng.integers(0, 255, (48, 64, 3), np.uint8)
        Image.fromarray(pixels).resize((640, 480)).save(tmp_path / f"{i}.jpg")
        lines.append(f"{i}.jpg,{10 * (i // 4)},20,{LINK}{i},CC BY 4.0,A. Bee")
    (tmp_path / "11.jpg").write_bytes(b"no photo")
    (tmp_path / "photos.csv").write_text("\n".join(lines))
    return tmp_path / "photos.csv"


def test_every_place_has_a_picture_before_any_has_two_and_the_size_is_kept(table):
    manifest, _ = read(table)
    one = len(picture(str(manifest.file[0])))
    some = make_thumbnails(manifest, 4 * one / 1e6)
    places = sorted({int(source.removeprefix(LINK)) // 4 for source in some.by_source})
    assert places == [0, 1, 2]
    assert sum(map(len, some.by_source.values())) <= 4 * one
    assert len(make_thumbnails(manifest, 6.0).by_source) == 11
    assert make_thumbnails(manifest, 0.0) is None
    assert make_thumbnails(manifest, 6.0, members=["another"]) is None


def test_pictures_are_small_and_without_metadata(table):
    manifest, _ = read(table)
    image = Image.open(io.BytesIO(picture(str(manifest.file[0]))))
    assert max(image.size) == THUMBNAIL_PX
    assert image.format == "WEBP"
    assert not image.getexif()


def test_pictures_are_found_by_source_and_nothing_else_is_shown(tmp_path):
    webp = io.BytesIO()
    Image.new("RGB", (8, 8)).save(webp, "WEBP")
    image = webp.getvalue()
    Pictures(
        {"b": image, "a": image, "svg": b"<svg/>", "huge": image + bytes(MAX_BYTES)}
    ).write(tmp_path / FILE)  # fmt: skip
    stored = Thumbnails(tmp_path / FILE)
    assert len(stored) == 4
    assert stored.of("a") == stored.of("b") == image
    assert [stored.of(source) for source in ("", "aa", "svg", "huge", "z")] == [None] * 5
    near = tuple(Neighbour(0.0, 0.0, 0.5, source, "CC0", "") for source in ("a", "c"))
    shown = with_thumbnails(stored, make_guess(neighbours=near)).neighbours
    assert shown[0].thumbnail.startswith("data:image/webp;base64,")
    assert shown[1].thumbnail is None


@pytest.mark.parametrize("content", [b"", b"ARROW1", b"no table"])
def test_a_damaged_file_is_an_error_that_names_it(tmp_path, content):
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(BundleError, match=FILE):
        Thumbnails(tmp_path / FILE)


def test_a_table_of_other_columns_is_refused(tmp_path):
    other = pa.table({"source": ["a"], "image": ["text"]})
    with pa.OSFile(str(tmp_path / FILE), "wb") as file, pa.ipc.new_file(file, other.schema) as out:
        out.write_table(other)
    with pytest.raises(BundleError, match="other columns"):
        Thumbnails(tmp_path / FILE)


def test_the_starter_gets_pictures_of_its_members_only(tmp_path, table):
    with pytest.raises(BundleError, match="none of these photos"):
        add_thumbnails("starter", [table], 1.0, tmp_path / "none")
    members = bundles.load("starter").ranker.gallery.members
    mine = next(str(each) for each in members.source if str(each).startswith("https://"))
    table.write_text(table.read_text().replace(f"{LINK}0,", f'"{mine}",'))
    count, size = add_thumbnails("starter", [table], 1.0, tmp_path / "made")
    made = bundles.load(tmp_path / "made").thumbnails
    assert count == len(made) == 1
    assert size == (tmp_path / "made" / FILE).stat().st_size
    assert made.of(mine) is not None


def test_the_map_page_shows_them_with_credit(visit, tmp_path):
    near = Neighbour(48.8, 2.3, 0.5, f"{LINK}/Old_town.jpg", "CC BY 4.0", "A. Bee")
    webp = io.BytesIO()
    Image.new("RGB", (128, 96), (90, 120, 60)).save(webp, "WEBP")
    Pictures({near.source: webp.getvalue()}).write(tmp_path / FILE)
    guess = with_thumbnails(Thumbnails(tmp_path / FILE), make_guess(neighbours=(near,)))
    page: Path = write_map([guess], CELLS, tmp_path / "map.html")
    tab = visit(page.as_uri())
    assert tab.evaluate("document.querySelector('#known img').naturalWidth") == 128
    assert tab.locator("#known").inner_text().split("\n")[-1] == "A. Bee, CC BY 4.0"
    assert tab.locator("#known a").get_attribute("href") == near.source
    assert tab.locator(".map-pin.known").count() == 1
