"""Leakage from training photos, scores by part, and areas on the sphere."""

import numpy as np
import pytest

from geocells.borders.hierarchy import country_continents, embedded_boundaries
from geoloc.errors import TableError
from geoloc.evaluation.breakdown import breakdown
from geoloc.evaluation.leakage import TrainingPhotos, find_leakage, read
from geoloc.evaluation.scores import score_photos, true_areas
from tests.geoloc.evaluation.samples import drawn_answers, drawn_benchmark, towns


def authors(*names):
    return np.array(names, dtype=object)


def test_planted_overlaps_are_found():
    training = TrainingPhotos(np.array([(0.0, 0.0), (40.0, 10.0)]), authors("ann", ""))
    latlon = np.array([(0.0, 0.005), (10.0, 10.0), (20.0, 20.0), (30.0, 30.0)])
    found = find_leakage(training, latlon, authors("", "ann", "bob", ""), [0.2, 0.2, 0.95, 0.2])
    assert found.place.tolist() == [True, False, False, False]
    assert found.author.tolist() == [False, True, False, False]  # an empty author is never shared
    assert found.duplicate.tolist() == [False, False, True, False]
    assert found.disjoint.tolist() == [False, False, False, True]
    assert found.nearest_km[0] == pytest.approx(0.556, abs=0.001)


def test_unknown_overlaps_are_none():
    training = TrainingPhotos(np.array([(0.0, 0.0)]), authors(""))
    found = find_leakage(training, np.array([(1.0, 1.0)]), authors("bob"))
    assert found.author is None
    assert found.duplicate is None
    assert found.disjoint.tolist() == [True]
    nobody = find_leakage(
        TrainingPhotos(np.empty((0, 2)), authors()), np.array([(1.0, 1.0)]), authors("bob")
    )
    assert nobody.nearest_km.tolist() == [np.inf]


def test_training_photos_are_read_from_a_table(shared, tmp_path):
    gallery = read(shared / "data" / "coordinates" / "gallery_100k.parquet")
    assert gallery.latlon.shape == (100_000, 2)
    assert not (gallery.author != "").any()
    (tmp_path / "none.csv").write_text("lat,lon\n95,0\n")
    with pytest.raises(TableError, match="no row has coordinates"):
        read(tmp_path / "none.csv")


def test_parts_add_up_to_all_photos():
    rng = np.random.default_rng(0)
    truth = towns(200, rng)
    benchmark = drawn_benchmark(truth)
    answers = drawn_answers(truth, rng.lognormal(5, 2, 200).clip(0, 19000), rng, refused=5)
    areas = true_areas(benchmark)
    nearest = rng.lognormal(0, 4, 200)
    tables = breakdown(score_photos(benchmark, answers, areas), areas, truth, nearest)
    for name in ("continent", "country", "population", "nearest"):
        assert sum(row["photos"] for row in tables[name]) == 200
    assert {row["name"] for row in tables["continent"]} == {
        "Europe", "Asia", "North America", "Oceania",
    }  # fmt: skip
    near = next(row for row in tables["nearest"] if row["name"] == "under 0.025 km")
    assert near["photos"] == (nearest < 0.025).sum()
    france = next(row for row in tables["country"] if row["name"] == "France")
    names = embedded_boundaries().country.names[areas[:, 0]]
    assert france["photos"] == (names == "France").sum()
    assert all(row["truth"] != row["answer"] for row in tables["confusion"])


def test_every_country_has_one_continent():
    continents = country_continents()
    assert set(embedded_boundaries().country.codes) <= set(continents)
    assert set(continents.values()) == {
        "Africa", "Antarctica", "Asia", "Europe", "North America", "Oceania", "South America",
    }  # fmt: skip
    assert [continents[code] for code in ("NA", "RU", "TR", "MU", "GF", "FJ")] == [
        "Africa", "Europe", "Asia", "Africa", "South America", "Oceania",
    ]  # fmt: skip
