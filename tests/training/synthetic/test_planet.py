"""The synthetic planet: seeds, leak-free splits, and visual cues that can be learned."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from training.data.packed import load_photo
from training.synthetic.planet import BLOCK_DEG, sample_planet, write_planet
from training.synthetic.renderer import render


@pytest.fixture(scope="module")
def planet() -> pa.Table:
    return sample_planet(1200, 4, seed=1)


def with_columns(table: pa.Table, **values: object) -> pa.Table:
    for name, value in values.items():
        place = table.schema.get_field_index(name)
        column = pa.array([value] * len(table), table.schema.field(name).type)
        table = table.set_column(place, name, column)
    return table


def test_photo_depends_on_its_row_and_the_seed_only(planet):
    together = render(planet.slice(0, 50), 48)
    assert together.shape == (50, 48, 48, 3)
    assert np.array_equal(render(planet.slice(17, 1), 48)[0], together[17])
    assert np.array_equal(render(planet.take([40, 3]), 48), together[[40, 3]])
    assert not np.array_equal(render(planet.slice(0, 50), 48, seed=1), together)
    assert planet.equals(sample_planet(1200, 4, seed=1))


def test_shards_hold_the_photos_at_the_positions_in_the_table(tmp_path):
    path = write_planet(tmp_path / "planet", 30, 2, 48, seed=5)
    table = pq.read_table(path)
    drawn = render(table, 48, 5)
    for row in (0, 31, 59):
        loaded = np.asarray(load_photo(table, path.parent, row).image, float)
        assert np.abs(loaded - drawn[row]).mean() < 12, "differs by JPEG compression only"
        nearest = np.abs(loaded - drawn.astype(float)).mean(axis=(1, 2, 3)).argmin()
        assert nearest == row
    before = path.stat().st_mtime_ns
    write_planet(tmp_path / "planet", 30, 2, 48, seed=5)
    assert path.stat().st_mtime_ns == before, "an existing planet is kept"
    write_planet(tmp_path / "planet", 30, 2, 48, seed=6)
    assert not pq.read_table(path).equals(table)
    names = {file.name for file in path.parent.iterdir()}
    assert names == {"00000.tar", "photos.parquet"}, "no temporary file is left"


def test_splits_share_no_author_group_or_square(planet):
    split = np.array(planet["split"].to_pylist())
    latlon = np.stack([planet["lat"].to_numpy(), planet["lon"].to_numpy()], axis=1)
    squares = [f"{a:.0f} {b:.0f}" for a, b in np.floor(latlon / BLOCK_DEG)]
    for keys in (planet["author"].to_pylist(), planet["group"].to_pylist(), squares):
        keys_of = {name: {k for k, s in zip(keys, split, strict=True) if s == name}
                for name in ("train", "val", "test")}  # fmt: skip
        assert not keys_of["train"] & keys_of["test"]
        assert not keys_of["train"] & keys_of["val"]
        assert not keys_of["val"] & keys_of["test"]
    assert 0.65 < (split == "train").mean() < 0.92


def test_planet_covers_the_whole_earth(planet):
    country = planet["country_code"].to_numpy(zero_copy_only=False)[::4]
    names, count = np.unique(country, return_counts=True)
    assert len(names) > 110
    assert count.max() / len(country) < 0.15
    assert "" not in names
    assert set(planet["driving_side"].to_pylist()) == {"left", "right"}


def test_views_are_spread_around_the_compass(planet):
    heading = planet["heading"].to_numpy().reshape(-1, 4)
    turned = np.sort((heading - heading[:, :1]) % 360.0, axis=1)
    assert np.allclose(turned, [0.0, 90.0, 180.0, 270.0], atol=1e-3)
    assert len(set(planet["location_id"].to_pylist())) == 1200


def test_cold_months_have_snow(planet):
    cold = planet.slice(0, 40)
    snowy = with_columns(cold, temperature_c=-15.0, koppen="Dfc", rain_mm=600.0)
    green = with_columns(cold, temperature_c=18.0, koppen="Dfc", rain_mm=600.0)
    ground = slice(40, 64)
    white, grass = (render(table, 64)[:, ground].mean(axis=(1, 2)) for table in (snowy, green))
    assert (white.min(axis=1) > grass.min(axis=1) + 40).all()


def test_seasons_follow_the_hemisphere(planet):
    weather = {"temperature_c": 4.0, "temperature_range_c": 30.0, "rain_mm": 700.0}
    rows = with_columns(planet.slice(0, 60), koppen="Dfb", **weather)
    north, south = with_columns(rows, lat=50.0), with_columns(rows, lat=-50.0)
    brightness = {
        (name, month): render(with_columns(table, month=month), 48)[:, 30:].mean()
        for name, table in (("north", north), ("south", south))
        for month in (1, 7)
    }
    assert brightness["north", 1] > brightness["north", 7] + 20
    assert brightness["south", 7] > brightness["south", 1] + 20


def test_sun_is_in_the_south_in_the_northern_hemisphere(planet):
    rows = with_columns(planet.slice(0, 80), rain_mm=50.0, month=12, elevation_m=0.0,
                 population_per_km2=0.0)  # fmt: skip

    def brighter_south(lat: float) -> tuple[float, float]:
        south, north = (
            render(with_columns(rows, lat=lat, heading=heading), 48)[:, :18].min(axis=3).astype(int)
            for heading in (180.0, 0.0)
        )
        return float((south - north > 25).mean()), float((north - south > 25).mean())

    for lat, (toward, away) in ((lat, brighter_south(lat)) for lat in (45.0, -45.0)):
        sunny, other = (toward, away) if lat > 0 else (away, toward)
        assert sunny > 0.004
        assert sunny > 4 * other


def test_driving_side_is_visible_in_some_photos(planet):
    rows = with_columns(planet.slice(0, 200), population_per_km2=6000.0, koppen="BWh", rain_mm=10.0)
    left, right = (render(with_columns(rows, driving_side=side), 64) for side in ("left", "right"))
    changed = np.abs(left.astype(int) - right).max(axis=3)[:, 34:].any(axis=(1, 2))
    assert 0.2 < changed.mean() < 0.95, "visible in some views, not in all"


def test_countries_have_distinct_signs_and_markings(planet):
    rows = planet.slice(0, 100)
    one, other = (render(with_columns(rows, country_code=code), 64) for code in ("FR", "DE"))
    changed = (np.abs(one.astype(int) - other).max(axis=3) > 60).mean(axis=(1, 2))
    assert (changed > 0.005).mean() > 0.3
    assert (changed > 0).mean() < 1.0, "not every photo shows them"


def balanced_accuracy(planet: pa.Table, truth: np.ndarray) -> float:
    """Mean recall of the classes, of a linear classifier that is tested on other splits."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.preprocessing import StandardScaler

    photos = render(planet, 32).reshape(len(planet), 8, 4, 8, 4, 3).mean(axis=(2, 4))
    inputs = StandardScaler().fit_transform(photos.reshape(len(planet), -1))
    train = np.array(planet["split"].to_pylist()) == "train"
    model = LogisticRegression(max_iter=300, C=0.01, class_weight="balanced")
    model.fit(inputs[train], truth[train])
    return float(balanced_accuracy_score(truth[~train], model.predict(inputs[~train])))


def test_climate_is_learnable_but_not_certain(planet):
    climate = np.array([name[:1] for name in planet["koppen"].to_pylist()])
    assert 0.5 < balanced_accuracy(planet, climate) < 0.97


def test_hemisphere_is_learnable_but_not_certain(planet):
    assert 0.55 < balanced_accuracy(planet, planet["lat"].to_numpy() > 0) < 0.97
