"""Cameras without a name are told apart by how their files are named and made."""

import numpy as np
import pytest
from PIL import Image

from geoloc.trips.clues.cameras import pattern, told_apart
from geoloc.trips.clues.photos import LibraryPhoto, _facts
from geoloc.trips.clues.times import name_time


def library(making, camera=""):
    """Photos a minute apart, named by their times."""
    names = [f"IMG_20240305_10{i // 60:02}{i % 60:02}.jpg" for i in range(len(making))]
    return [
        LibraryPhoto(name, "", camera, name_time(name), None, None, made=made)
        for name, made in zip(names, making, strict=True)
    ]


def test_files_of_two_programs_are_of_two_cameras_and_crops_of_the_one_before():
    making = ["a", "b", "a", "a", "b", "crop"] * 5
    found = told_apart(library(making))
    assert len(set(found)) == 2
    assert [each[-1] for each in found[:6]] == ["a", "b", "a", "a", "b", "b"]


@pytest.mark.parametrize("making", [["a"] * 30, ["a"] * 28 + ["b"] * 2, list("abcdefghij") * 3])
def test_one_camera_stays_one(making):
    assert set(told_apart(library(making))) == {"IMG_#_#"}


def test_cameras_with_a_name_keep_it():
    assert set(told_apart(library(["a", "b"] * 10, "Pixel 7"))) == {"Pixel 7"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a/IMG_20240305_102030.jpg", "IMG_#_#"),
        ("IMG_20240305_102030(2)-edited.jpg", "IMG_#_#"),
        ("PXL_20240305_102030123.jpg", "PXL_#_#"),
        ("2024-03-05 10.20.30.jpg", "#-#-# #.#.#"),
        ("20240305_102030.jpg", "#_#"),
        ("DSC01234-2.jpg", "DSC"),
        ("holiday.jpg", "HOLIDAY"),
    ],
)
def test_names_look_alike_whatever_their_date_and_number(name, expected):
    assert pattern(name) == expected


def test_size_and_compression_tell_how_a_file_is_made(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    picture = Image.fromarray(pixels)
    files = {
        "one": (picture, 90),
        "other": (picture, 90),
        "turned": (picture.rotate(90, expand=True), 90),
        "coarser": (picture, 60),
        "smaller": (picture.resize((60, 45)), 90),
    }
    made = {}
    for name, (each, quality) in files.items():
        each.save(tmp_path / f"{name}.jpg", quality=quality)
        made[name] = _facts(str(tmp_path / f"{name}.jpg")).made
    assert made["one"] == made["other"] == made["turned"]
    assert len(set(made.values())) == 3
