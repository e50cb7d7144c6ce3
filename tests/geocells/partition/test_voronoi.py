import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geocells.partition.clustering import Sites
from geocells.partition.voronoi import divide, tessellate
from geocells.sphere import haversine_km, unit_vectors

PLACES = {
    "Castile": (41.0, -4.0),
    "Fiji, over the antimeridian": (-17.0, 180.0),
    "Svalbard": (78.5, 16.0),
}


def scatter(where: str, spread_km: float, count: int, seed: int) -> np.ndarray:
    """Coordinates (count, 2) around a place; longitudes run beyond 180 degrees."""
    lat, lon = PLACES[where]
    north, east = np.random.default_rng(seed).uniform(-spread_km, spread_km, (2, count)) / 111.2
    return np.stack([lat + north, lon + east / np.cos(np.radians(lat))], axis=1)


def bounding_polygon(latlon: np.ndarray) -> shapely.Polygon:
    return shapely.box(*latlon[:, ::-1].min(axis=0), *latlon[:, ::-1].max(axis=0))


def vectors(latlon: np.ndarray) -> np.ndarray:
    """Unit vectors; longitudes may run beyond 180 degrees."""
    return unit_vectors(np.stack([latlon[:, 0], (latlon[:, 1] + 180) % 360 - 180], axis=1))


@given(
    where=st.sampled_from(sorted(PLACES)),
    spread_km=st.sampled_from([0.5, 20.0, 400.0]),
    count=st.integers(2, 40),
    n_labels=st.integers(2, 8),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=60, deadline=None)
def test_every_point_goes_to_the_label_of_the_nearest_site(where, spread_km, count, n_labels, seed):
    sites = scatter(where, spread_km, count, seed)
    label = np.unique(np.arange(count) % n_labels, return_inverse=True)[1]
    points = scatter(where, spread_km, 300, seed + 1)
    polygon = bounding_polygon(np.concatenate([sites, points]))
    parts = divide(polygon, vectors(sites), label, None)
    assert shapely.is_valid(parts).all()
    assert shapely.area(parts).sum() == pytest.approx(polygon.area, rel=1e-9)
    km = haversine_km(points[:, None], sites[None])
    nearest, second = np.partition(km, 1, axis=1)[:, :2].T
    owner = label[km.argmin(axis=1)]
    unambiguous = second - nearest > 0.2  # great circles are drawn in steps of 0.2 degrees
    mine = parts[owner[unambiguous]]
    assert shapely.intersects(mine, shapely.points(points[unambiguous][:, ::-1])).all()


def test_minor_pieces_get_the_label_around_them():
    # one site of label 0 between sites of label 1; most photos of label 0 are elsewhere
    sites = np.array([(0.0, -2.0), (0.0, 2.0), (0.0, 1.0), (1.0, 2.0), (-1.0, 2.0), (0.0, 3.0)])
    label = np.array([0, 0, 1, 1, 1, 1])
    photos = Sites(vectors(sites), np.array([50.0, 1, 9, 9, 9, 9]))
    parts = divide(shapely.box(-4, -3, 6, 3), vectors(sites), label, photos)
    assert [shapely.get_num_geometries(part) for part in parts] == [1, 1]
    assert shapely.intersects(parts[1], shapely.Point(2, 0))


@pytest.mark.parametrize(("spread_km", "count"), [(0.5, 5), (30.0, 5), (30.0, 200), (3000.0, 20)])
def test_tessellation_of_a_region_covers_the_earth_and_every_site(spread_km, count):
    check_tessellation(scatter("Castile", spread_km, count, 3))


def test_tessellation_of_the_whole_earth():
    rng = np.random.default_rng(0)
    lat = np.degrees(np.arcsin(rng.uniform(-1, 1, 500)))
    check_tessellation(np.stack([lat, rng.uniform(-180, 180, 500)], axis=1))


def check_tessellation(sites: np.ndarray) -> None:
    parts = tessellate(vectors(sites))
    assert shapely.is_valid(parts).all()
    assert shapely.area(parts).sum() == pytest.approx(360 * 180, rel=1e-9)
    assert shapely.intersects(parts, shapely.points(sites[:, ::-1])).all()
