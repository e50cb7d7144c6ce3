"""Tables whose latitude and longitude are swapped, for every reader of true coordinates."""

import numpy as np
import pytest

from demo.page.game import photos as game_photos
from geocells.names import find_countries
from geocells.places import towns
from geoloc.errors import TableError
from geoloc.evaluation import benchmark, leakage
from geoloc.game.places import read_located
from geoloc.photos.swapped import look_swapped
from training.data import coordinates, manifest, sources

SWAPPED_ONTO_LAND = "IT TR DZ ES KE SA TD NG".split()


def photos_in(country: str, count: int = 300) -> np.ndarray:
    """Return coordinates near towns of a country, and a third up to some 50 km from them."""
    rng = np.random.default_rng(0)
    rows = np.flatnonzero(towns().country == country)
    weight = np.sqrt(towns().population[rows] + 1.0)
    chosen = rng.choice(rows, count, p=weight / weight.sum())
    spread = np.where(np.arange(count) < count // 3, 0.3, 0.03)[:, None]
    return towns().points.latlon[chosen] + rng.normal(0.0, spread, (count, 2))


@pytest.mark.parametrize("country", [*SWAPPED_ONTO_LAND, *"DE US IN JP BR ET SD KZ".split()])
def test_towns_decide_where_swapped_places_are_valid_and_on_land(country):
    latlon = photos_in(country)
    assert not look_swapped(latlon)
    assert look_swapped(latlon[:, ::-1])


def test_places_far_from_all_towns_are_not_taken_for_swapped_ones():
    afar = np.random.default_rng(0).uniform((11.0, 40.0), (14.0, 42.0), (300, 2))  # swapped: Italy
    assert not look_swapped(afar)


@pytest.mark.parametrize("names", [("IT",), ("Kenya", "KE"), ("SAU", "?")])
def test_known_countries_decide_also_a_short_table(names):
    country = {"IT": "IT", "Kenya": "KE", "SAU": "SA"}[names[0]]
    latlon = photos_in(country, 12)
    codes = find_countries(np.array((names * 12)[:12], dtype=object))
    assert not look_swapped(latlon, codes)
    assert look_swapped(latlon[:, ::-1], codes)
    assert not look_swapped(latlon[:, ::-1]), "too few to judge without countries"
    out_of_range = np.stack([np.full(12, 12.0), np.full(12, 200.0)], axis=1)
    assert not look_swapped(out_of_range, codes)


READERS = {
    "manifest": lambda path: sources.read(sources.Source(str(path))),
    "learn": manifest.read,
    "cells": coordinates.read,
    "play": lambda path: read_located(path, ("file",)),
    "page": game_photos.read,
    "leakage": leakage.read,
}


@pytest.mark.parametrize("by", ["towns", "country"])
@pytest.mark.parametrize("reader", READERS)
def test_every_reader_refuses_a_swapped_table(tmp_path, reader, by):
    path = tmp_path / "photos.csv"
    latlon = photos_in("IT", 300 if by == "towns" else 9)
    header, last = ("file,lat,lon", "") if by == "towns" else ("file,lat,lon,country", ",IT")
    lines = [f"{n}.jpg,{lon},{lat}{last}" for n, (lat, lon) in enumerate(latlon)]
    path.write_text("\n".join([header, *lines]))
    with pytest.raises(TableError, match=r"photos\.csv: latitude and longitude seem to be swapped"):
        READERS[reader](path)


def test_evaluate_corrects_a_swapped_table_with_a_notice(tmp_path):
    latlon = photos_in("TR", 9)
    path = tmp_path / "photos.csv"
    lines = [f"{n}.jpg,{lon},{lat},Turkey" for n, (lat, lon) in enumerate(latlon)]
    path.write_text("\n".join(["file,lat,lon,country", *lines]))
    read = benchmark.read(str(path))
    assert read.latlon == pytest.approx(latlon)
    assert "are swapped; they are read the right way round" in read.notices[0]
