"""The table of constants in training/CONSTANTS.md has the values of the code."""

import ast
import importlib
import re
import tomllib
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from training.engine.loop import LoopConfig

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "training" / "CONSTANTS.md").read_text("utf-8")


@dataclass(frozen=True)
class Row:
    """One constant of the table."""

    name: str
    published: Any
    ours: Any
    symbol: str
    reason: str


def rows() -> list[Row]:
    """Return all rows of all tables of the page."""
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.splitlines()
        if line.startswith("|") and not line.startswith(("|---", "| constant"))
    ]
    return [
        Row(name, ast.literal_eval(published), ast.literal_eval(ours), symbol.strip("`"), reason)
        for name, published, ours, symbol, reason in cells
    ]


def resolve(symbol: str) -> Any:
    """Return the value that a symbol of the table names."""
    file, _, names = symbol.partition(":")
    if file.endswith(".toml"):
        value: Any = tomllib.loads((ROOT / file).read_text("utf-8"))
    else:
        value = importlib.import_module(file.removesuffix(".py").replace("/", "."))
    for name in names.split("."):
        if is_dataclass(value) and isinstance(value, type):
            value = value()
        if name == "len":
            value = len(value)
        elif name.isdigit():
            value = value[int(name)]
        else:
            value = value[name] if isinstance(value, dict) else getattr(value, name)
    return value


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.symbol)
def test_every_constant_has_the_value_of_the_table(row):
    assert resolve(row.symbol) == row.ours
    assert row.published == row.ours or row.reason, "a deviation needs a reason"


def test_the_table_covers_every_section_of_the_models():
    sections = re.findall(r"^## .*section (\d)", PAGE, flags=re.M)
    assert sections == ["1", "2", "3", "4", "5"]
    symbols = [row.symbol for row in rows()]
    assert len(symbols) == len(set(symbols)) > 70


def test_a_wrong_value_would_be_found():
    assert resolve("training/config.py:PigeonHeadConfig.tau_km") != 76.0
    with pytest.raises(AttributeError):
        resolve("training/config.py:PigeonHeadConfig.nosuch")


def test_a_constant_schedule_neither_rises_nor_falls():
    loop = LoopConfig(steps=10, learning_rate=2e-5, warmup=0.0, schedule="constant")
    assert {loop.rate(step) for step in range(10)} == {2e-5}
