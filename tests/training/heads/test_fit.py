"""Heads fitted to synthetic embeddings that depend on the place."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import shapely
import torch

from geocells.attributes import KOPPEN_CLASSES
from geocells.sphere import unit_vectors
from geocells.table import CellTable
from geoloc.belief.attribute_heads import NUMBERS, AttributeHeads
from geoloc.errors import BundleError
from training.config import HeadConfig, PigeonHeadConfig, PigeottoHeadConfig
from training.heads.examples import UNKNOWN, Attributes, Examples, attributes_of
from training.heads.fit import fit_heads
from training.heads.linear import density_prior
from training.heads.modules import CellHead, Targets

DIM = 24


def square_cells() -> CellTable:
    """12 cells of 10 degrees in 6 regions of 3 countries."""
    corner = [(lat, lon) for lat in (0, 10) for lon in range(0, 60, 10)]
    country = np.array([f"C{lon // 20}" for _, lon in corner])
    region = np.array([f"R{lon // 10}" for _, lon in corner])
    return CellTable(
        cell_id=np.array([f"c{i}" for i in range(12)]),
        country=country, region=region, region_id=np.char.add(country, region),
        centroids=np.array(corner, float) + 5,
        polygon=shapely.box(*np.array([(o, a, o + 10, a + 10) for a, o in corner]).T),
        count=np.full(12, 10),
    )  # fmt: skip


def examples(count: int, seed: int = 0, noise: float = 0.1) -> Examples:
    """Draw photos whose embeddings are waves over the Earth plus noise."""
    rng = np.random.default_rng(seed)
    latlon = rng.uniform((0.5, 0.5), (19.5, 59.5), (count, 2))
    waves = np.random.default_rng(7).normal(0, 4, (3, DIM))
    embeddings = np.sin(unit_vectors(latlon) @ waves) + rng.normal(0, noise, (count, DIM))
    table = pa.table({
        "elevation_m": latlon[:, 0] * 50, "temperature_c": 30 - latlon[:, 0],
        "koppen": np.where(latlon[:, 1] < 30, "Af", "BWh"),
        "month": pa.array((latlon[:, 1] // 5 + 1).astype(np.int8)),
    })  # fmt: skip
    return Examples(
        embeddings.astype(np.float32), latlon, np.ones(count, np.float32), attributes_of(table)
    )


PRIOR = density_prior(np.full(12, 10))
CONFIG = HeadConfig(epochs=20, batch=128, attributes=True, tau_km=300.0, weight_decay=0.01)


def accuracy(heads, photos: Examples) -> float:
    belief = heads.classify(heads.features(photos.embeddings))
    return float((belief.argmax(axis=1) == square_cells().locate(photos.latlon)).mean())


@pytest.mark.parametrize("hierarchical", [False, True])
@pytest.mark.parametrize("reference", ["nearest", "true"])
def test_heads_learn_cells(hierarchical, reference):
    config = replace(CONFIG, hierarchical=hierarchical, reference=reference)
    heads, _ = fit_heads(examples(1500), square_cells(), PRIOR, config)
    assert accuracy(heads, examples(400, seed=1)) > 0.75


def test_half_precision_embeddings_give_the_same_heads():
    photos = examples(600)
    half = replace(photos, embeddings=photos.embeddings.astype(np.float16))
    one, other = (fit_heads(p, square_cells(), PRIOR, CONFIG)[0] for p in (photos, half))
    fresh = examples(100, seed=2).embeddings
    beliefs = [heads.classify(heads.features(fresh)) for heads in (one, other)]
    assert np.abs(beliefs[0] - beliefs[1]).max() < 0.05


def test_attributes_are_learned_in_their_units(tmp_path):
    cell_heads, heads = fit_heads(examples(2000), square_cells(), PRIOR, CONFIG)
    heads.write(tmp_path / "attributes.safetensors")
    heads = AttributeHeads.read(tmp_path / "attributes.safetensors")
    fresh = examples(300, seed=3)
    features = cell_heads.features(fresh.embeddings)
    numbers = heads.numbers(features)
    assert set(numbers) == {number.name for number in NUMBERS}
    assert np.abs(numbers["temperature_c"] - (30 - fresh.latlon[:, 0])).mean() < 2
    assert np.abs(numbers["elevation_m"] - fresh.latlon[:, 0] * 50).mean() < 120
    climate = np.array(KOPPEN_CLASSES)[heads.climate(features).argmax(axis=1)]
    assert (climate == np.where(fresh.latlon[:, 1] < 30, "Af", "BWh")).mean() > 0.9
    assert (heads.month(features).argmax(axis=1) == fresh.latlon[:, 1] // 5).mean() > 0.5
    assert np.isfinite(numbers["rain_mm"]).all(), "no photo had a rainfall"


def test_damaged_attribute_heads_are_reported(tmp_path):
    (tmp_path / "attributes.safetensors").write_bytes(b"no")
    with pytest.raises(BundleError, match=r"attributes\.safetensors: not a readable file"):
        AttributeHeads.read(tmp_path / "attributes.safetensors")


def test_hierarchical_head_multiplies_posteriors():
    hierarchy = square_cells().hierarchy
    head = CellHead(5, 12, hierarchy)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter)
    features = torch.randn(7, 5)
    parts = [head.cell(features)]
    for level, parent in zip(
        head.levels, (hierarchy.region_of_cell, hierarchy.country_of_cell), strict=True
    ):
        parts.append(torch.log_softmax(level(features), dim=1)[:, parent])
    product = torch.softmax(sum(parts), dim=1)
    assert torch.allclose(torch.softmax(head(features), dim=1), product, atol=1e-5)


def test_gradients_of_hierarchical_head_match_finite_differences():
    head = CellHead(3, 12, square_cells().hierarchy).double()
    features = torch.randn(4, 3, dtype=torch.float64)
    targets = Targets(torch.rand(4, 12, dtype=torch.float64), torch.rand(4, dtype=torch.float64))
    parameters = list(head.parameters())

    def loss(*values: torch.Tensor) -> torch.Tensor:
        for parameter, value in zip(parameters, values, strict=True):
            parameter.data = value
        return head.loss(features, targets, normalise=True)

    start = [torch.randn_like(parameter) for parameter in parameters]
    loss(*start).backward()
    step = 1e-6
    for number, parameter in enumerate(parameters):
        direction = torch.randn_like(parameter)
        moved = [
            [value + sign * step * direction if i == number else value
             for i, value in enumerate(start)]
            for sign in (1, -1)
        ]  # fmt: skip
        slope = (loss(*moved[0]) - loss(*moved[1])).item() / (2 * step)
        assert (parameter.grad * direction).sum().item() == pytest.approx(slope, rel=1e-4, abs=1e-7)


def test_training_stops_early_and_keeps_the_best():
    noise = 1.0
    few = examples(60, noise=noise)
    config = replace(CONFIG, epochs=150, schedule="constant", attributes=False, tau_km=0.0)
    early = replace(config, patience=3)
    stopped, _ = fit_heads(few, square_cells(), PRIOR, early, examples(500, 5, noise))
    overfitted, _ = fit_heads(few, square_cells(), PRIOR, config)
    fresh = examples(4000, 6, noise)
    assert np.abs(stopped.weight).max() < 0.5 * np.abs(overfitted.weight).max()
    assert accuracy(stopped, fresh) > accuracy(overfitted, fresh) - 0.02


def test_missing_attributes_are_unknown_instead_of_zero():
    table = pa.table({
        "elevation_m": [100.0, None, float("nan")], "koppen": ["Cfb", None, "nonsense"],
        "month": pa.array([12, None, 1], pa.int8()),
    })  # fmt: skip
    known = attributes_of(table)
    assert known.climate.tolist() == [KOPPEN_CLASSES.index("Cfb"), UNKNOWN, UNKNOWN]
    assert known.month.tolist() == [11, UNKNOWN, 0]
    assert np.isfinite(known.numbers).sum() == 1
    mean, deviation = known.scales()
    assert mean[0] == pytest.approx(np.log(508.0))
    assert deviation.tolist() == [1.0] * len(NUMBERS)


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number.name)
def test_number_scales_are_invertible(number):
    values = np.array([0.0, 3.5, 900.0])
    assert number.inverse(number.forward(values)) == pytest.approx(values, abs=1e-3)


def test_presets_have_the_published_constants():
    pigeon, pigeotto = PigeonHeadConfig(), PigeottoHeadConfig()
    assert (pigeon.tau_km, pigeotto.tau_km) == (75.0, 65.0)
    for config in (pigeon, pigeotto):
        assert (config.learning_rate, config.batch, config.epochs) == (2e-5, 1024, 1000)
        assert config.schedule == "constant"


@pytest.mark.parametrize("changed", [{"epochs": 0}, {"tau_km": -1.0}, {"features": 0}])
def test_invalid_settings_are_refused(changed):
    with pytest.raises(ValueError, match=next(iter(changed))):
        replace(CONFIG, **changed)


def test_attributes_are_selected_by_row():
    known = examples(10).attributes
    some = known.take([3, 1])
    assert isinstance(some, Attributes)
    assert some.month.tolist() == known.month[[3, 1]].tolist()
