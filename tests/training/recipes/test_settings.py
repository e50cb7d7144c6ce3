"""The settings of the recipes are those published for PIGEON and PIGEOTTO.

Haas et al., CVPR 2024, and the released code of the authors, who trained on 4 GPUs. Deviations are
listed.
"""

from dataclasses import asdict, fields

import pytest

from training.cli.recipes import pigeon_app, pigeotto_app
from training.config import (
    FinetuneConfig,
    PigeonRecipe,
    PigeottoRecipe,
)
from training.heads.modules import CLIMATE_WEIGHT, MONTH_WEIGHT, NUMBER_WEIGHT

GPUS = 4

CELLS = {
    PigeonRecipe: {
        "min_count": 30,
        "max_count": 60,
        "rounds": ((8, 0.05), (10, 0.025), (15, 0.015)),
        "clustering": "optics",
    },
    PigeottoRecipe: {
        "min_count": 1000,
        "max_count": 2000,
        "rounds": ((300, 0.05), (400, 0.005), (1000, 0.0001)),
        "clustering": "optics",
    },
}

PRETRAINING = {
    "model": "ViT-L-14-336-quickgelu",
    "pretrained": "openai",
    "loss": "infonce",
    "geo_tau_km": None,
    "batch": 32,
    "accumulate": 8,
    "schedule": "linear",
    "weight_decay": 1e-3,
    "betas": (0.9, 0.98),
    "epsilon": 1e-6,
    "clip_norm": 1.0,
    "average": None,
    "seed": 42,
    "save_every": 50,
    "measure_every": 50,
}
PRETRAINING_OF = {
    PigeonRecipe: {"style": "pigeon", "epochs": 20, "learning_rate": 1e-6, "warmup": 0.2},
    PigeottoRecipe: {"style": "pigeotto", "epochs": 4, "learning_rate": 5e-7, "warmup": 0.02},
}

HEADS = {
    "features": 1024,  # the width of the mean token embedding
    "reference": "nearest",
    "hierarchical": False,
    "attributes": True,
    "epochs": 1000,
    "learning_rate": 2e-5,
    "schedule": "constant",
    "weight_decay": 0.01,
    "seed": 330,
}
TAU_KM = {PigeonRecipe: 75.0, PigeottoRecipe: 65.0}

DEVIATIONS = {"normalise": True, "patience": 8}
"""Published: labels that do not sum to 1, and no early stopping."""


def part(settings: object, expected: dict) -> dict:
    return {name: value for name, value in asdict(settings).items() if name in expected}


@pytest.fixture(params=[PigeonRecipe, PigeottoRecipe])
def recipe(request):
    return request.param()


def test_geocells(recipe):
    expected = CELLS[type(recipe)]
    assert part(recipe.cells, expected) == expected


def test_pretraining(recipe):
    expected = PRETRAINING | PRETRAINING_OF[type(recipe)]
    assert part(recipe.pretrain, expected) == expected
    assert recipe.pretrain.batch * recipe.pretrain.accumulate * GPUS == 1024


def test_every_setting_that_affects_pretraining_is_checked(recipe):
    unchecked = {field.name for field in fields(recipe.pretrain)} - {*PRETRAINING}
    assert unchecked - {*PRETRAINING_OF[type(recipe)]} == {
        "strategy",
        "bf16",
        "checkpointing",
        "compile",
        "workers",
    }


def test_heads(recipe):
    expected = HEADS | DEVIATIONS | {"tau_km": TAU_KM[type(recipe)], "batch": 256 * GPUS}
    assert part(recipe.heads, expected) == expected
    assert (NUMBER_WEIGHT, CLIMATE_WEIGHT, MONTH_WEIGHT) == (8.0, 2.0, 1.0)


def test_embedding_is_the_mean_of_all_tokens(recipe):
    assert recipe.embedding == "open_clip_tokens"


def test_finetuning():
    expected = {"batch": 256, "learning_rate": 2e-5, "weight_decay": 0.01, "seed": 330}
    assert part(FinetuneConfig(), expected) == expected


@pytest.mark.parametrize("app", [pigeon_app, pigeotto_app])
def test_command_uses_the_settings_of_its_recipe(app, monkeypatch):
    used = []
    monkeypatch.setattr(
        "training.cli.recipes._make", lambda recipe, photos, options: used.append(recipe) or 0
    )
    app(["photos.parquet", "-o", "bundle"], exit_on_error=False, result_action="return_value")
    changed = ["photos.parquet", "-o", "bundle", "--heads.epochs", "3"]
    app(changed, exit_on_error=False, result_action="return_value")
    expected = {"pigeon": PigeonRecipe, "pigeotto": PigeottoRecipe}[app.name[0]]
    assert used[0] == expected()
    assert used[1].heads.epochs == 3
    assert used[1].pretrain == expected().pretrain
    assert used[1].heads.tau_km == TAU_KM[expected]
