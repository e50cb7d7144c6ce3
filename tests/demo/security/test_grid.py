"""Questions under a precision limit, and what an attacker learns from them."""

import json

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from demo.api.inference import ConcurrentGeolocator
from demo.security.grid import cells_touching, coarse, snap
from demo.security.precision import blur_location
from geoloc.belief.constraints import parse
from geoloc.bundle import directory as bundles
from geoloc.errors import ConstraintError

KM = 25.0
LAT, LON = (st.integers(-n, n).map(lambda i: i * 1e-4 + 3e-5) for n in (850_000, 1_750_000))
"""Never on a line of the grid, where rounding decides which cells are touched."""


@pytest.fixture(scope="module")
def limited():
    return ConcurrentGeolocator(bundles.load("starter"), max_precision_km=KM)


def square(lat, lon, half=0.01):
    return shapely.box(lon - half, lat - half, lon + half, lat + half)


@given(st.lists(st.tuples(LAT, LON), min_size=3, max_size=6), st.sampled_from([50.0, 300.0]))
def test_a_coarse_area_consists_of_the_grid_cells_that_the_area_touches(corners, km):
    polygon = shapely.convex_hull(shapely.multipoints([(lon, lat) for lat, lon in corners]))
    if shapely.area(polygon) < 1e-6:
        return
    cells = cells_touching(polygon, km, "it")
    assert shapely.area(shapely.difference(polygon, cells)) < 1e-9
    inside = np.array([(point.y, point.x) for point in shapely.points(polygon.exterior.coords)])
    centres, _ = snap(inside, km)
    assert shapely.intersects_xy(cells, centres[:, 1], centres[:, 0]).all()
    again = cells_touching(shapely.buffer(cells, -1e-7), km, "it")
    assert shapely.area(shapely.symmetric_difference(again, cells)) < 1e-3


@given(LAT, LON, st.floats(-0.4, 0.4), st.floats(-0.4, 0.4))
def test_two_areas_in_one_grid_cell_are_the_same_question(lat, lon, up, right):
    (centre,), _ = snap([(lat, lon)], KM)
    (other,), _ = snap([centre + np.array([up, right]) * 0.2], KM)
    if not np.allclose(other, centre):
        return
    one, two = (
        cells_touching(square(*(centre + np.array(step))), KM, "it")
        for step in ((0.0, 0.0), (up * 0.2, right * 0.2))
    )
    (corner,), _ = snap([centre + np.array([up, right]) * 0.2 + 0.01], KM)
    if np.allclose(corner, centre):
        assert shapely.equals(one, two) or shapely.area(two) > shapely.area(one)


def test_countries_and_large_regions_stay_exact_and_everything_else_is_made_of_squares():
    for text in ("Portugal", "Bavaria, Germany", "Africa; left-hand traffic"):
        assert coarse(parse(text), KM).name == parse(text).name
    for text in (
        "48.86,2.35,2km",
        "48,2,48.001,2.001",
        "Paris, France",
        "Paris, France; left-hand traffic",
    ):
        assert "in squares of 25 km" in coarse(parse(text), KM).name
    assert coarse(parse("48.86,2.35,2km"), 0.0).name == "within 2 km of 48.8600, 2.3500"
    for text in ("above 2,000 m", "Portugal; near water"):
        with pytest.raises(ConstraintError, match="no more precisely than 25 km"):
            coarse(parse(text), KM)


def test_an_attacker_learns_nothing_within_the_limit_from_49_questions(limited):
    """Each question allows a small square near the answer and one elsewhere: which one wins?"""
    photo = np.random.default_rng(0).integers(0, 255, (80, 120, 3), np.uint8)
    embeddings = limited.embed([photo])
    exact = ConcurrentGeolocator(limited.bundle)
    (free,) = exact.guess(embeddings)
    elsewhere = next(
        each for each in free.candidates if snap([(each.lat, each.lon)], 500.0)[0].tolist()
        != snap([(free.lat, free.lon)], 500.0)[0].tolist()
    )  # fmt: skip
    (centre,), _ = snap([(free.lat, free.lon)], KM)
    steps = np.linspace(-0.08, 0.08, 7)
    told, would_tell = set(), set()
    for north in steps:
        for east in steps:
            near = square(centre[0] + north, centre[1] + east)
            within = shapely.union(near, square(elsewhere.lat, elsewhere.lon)).wkt
            (guess,) = limited.guess(embeddings, constraint=limited.restrict(within))
            told.add(json.dumps(blur_location(guess, KM).to_dict()))
            (guess,) = exact.guess(embeddings, constraint=exact.restrict(within))
            would_tell.add(json.dumps(guess.to_dict()))
    assert len(told) == 1
    assert len(would_tell) > 10


def test_what_a_client_wrote_into_a_photo_is_no_evidence_under_a_limit(limited):
    from geoloc.observation import Observation
    from geoloc.photos.decode import load

    photo = np.random.default_rng(0).integers(0, 255, (80, 120, 3), np.uint8)
    loaded = load(photo)
    written = np.full(len(limited.cells), -9.0, np.float32)
    written[7] = 0.0
    marked = loaded.__class__(
        **{**vars(loaded), "observations": (Observation("sun", (), written),)}
    )
    embeddings = limited.embed([photo])
    assert limited.guess(embeddings, [marked]) == limited.guess(embeddings, [loaded])
    assert limited.guess_together(embeddings, [[marked]]) == limited.guess_together(
        embeddings, [[loaded]]
    )
