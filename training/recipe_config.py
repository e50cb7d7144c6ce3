"""The constants of the recipes `pigeon` and `pigeotto`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from geocells.config import PRESETS, CellConfig
from training.head_config import PigeonHeadConfig, PigeottoHeadConfig
from training.pretrain_config import PigeottoPretrainConfig, PretrainConfig


@dataclass(frozen=True)
class PigeonRecipe:
    """PIGEON: street views, panoramas of four."""

    cells: Annotated[CellConfig, Parameter(parse=False)] = PRESETS["pigeon"]
    pretrain: PretrainConfig = field(default_factory=PretrainConfig)
    heads: PigeonHeadConfig = field(default_factory=PigeonHeadConfig)
    embedding: Literal["open_clip_tokens", "open_clip"] = "open_clip_tokens"
    """Mean of all tokens, as published, or the projection that captions are compared with."""


@dataclass(frozen=True)
class PigeottoRecipe(PigeonRecipe):
    """PIGEOTTO: photos of all kinds, one of each place."""

    cells: Annotated[CellConfig, Parameter(parse=False)] = PRESETS["pigeotto"]
    pretrain: PigeottoPretrainConfig = field(default_factory=PigeottoPretrainConfig)
    heads: PigeottoHeadConfig = field(default_factory=PigeottoHeadConfig)


def for_dry_run(recipe: PigeonRecipe) -> PigeonRecipe:
    """The same recipe for some thousand small photos, a tiny tower and minutes on a CPU."""
    pretrain = replace(
        recipe.pretrain, model=str(TINY_TOWERS), pretrained="", epochs=3, batch=128, accumulate=1,
        learning_rate=1e-3, workers=0, measure_every=20,
    )  # fmt: skip
    heads = replace(recipe.heads, epochs=200, batch=256, learning_rate=2e-3)
    return replace(recipe, cells=CellConfig.of_size(24), pretrain=pretrain, heads=heads)


TINY_TOWERS = Path(__file__).with_name("tiny_towers.json")
"""A CLIP model of two million weights for 64-pixel photos."""
