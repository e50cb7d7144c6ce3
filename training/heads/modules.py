"""Torch modules of the heads; `geoloc.belief.heads` evaluates them without torch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from geocells.attributes import KOPPEN_CLASSES
from geocells.table import Hierarchy
from geoloc.belief.attribute_heads import NUMBERS
from training.heads.losses import masked_cross_entropy, masked_mse, soft_cross_entropy

NUMBER_WEIGHT, CLIMATE_WEIGHT, MONTH_WEIGHT = 8.0, 2.0, 1.0
"""Weights of the attribute losses relative to the geocell loss (PIGEON, section 4.2)."""

LEVEL_WEIGHT = 0.5
"""Weight of the country loss and of the region loss in a hierarchical head."""


@dataclass(frozen=True, eq=False)
class Targets:
    """Training targets of B photos."""

    labels: Tensor
    """(B, C) smoothed labels of the cells."""
    weights: Tensor
    """(B,) weights of the photos."""
    numbers: Tensor | None = None
    """(B, len(NUMBERS)) standardised, NaN if unknown."""
    climate: Tensor | None = None
    """(B,) class, -1 if unknown."""
    month: Tensor | None = None
    """(B,) 0 to 11, -1 if unknown."""


class CellHead(nn.Module):
    """A linear classifier of geocells.

    A hierarchical head adds the logits of a cell's region and country to its own, which multiplies
    their posteriors. The sum is linear too, so inference costs nothing extra, and cells with few
    photos share parameters with their neighbours in the region.
    """

    def __init__(self, dim: int, cells: int, hierarchy: Hierarchy | None = None) -> None:
        """Initialise all weights to 0, so that all cells are equally probable.

        Args:
            dim: length of the features.
            cells: number of cells, C.
            hierarchy: regions and countries of the cells, for a hierarchical head.
        """
        super().__init__()
        self.cell = _zero(dim, cells)
        self.levels = nn.ModuleList()
        self._parents: list[str] = []
        if hierarchy is not None:
            for name, parent in (
                ("region", hierarchy.region_of_cell),
                ("country", hierarchy.country_of_cell),
            ):
                self.levels.append(_zero(dim, int(parent.max()) + 1))
                self.register_buffer(f"_{name}", torch.from_numpy(parent.copy()).long())
                self._parents.append(f"_{name}")

    def folded(self) -> tuple[Tensor, Tensor]:
        """Return weight (C, dim) and bias (C,) of the sum of all levels."""
        weight, bias = self.cell.weight, self.cell.bias
        for level, parent in self._by_level():
            weight = weight + level.weight[parent]
            bias = bias + level.bias[parent]
        return weight, bias

    def forward(self, features: Tensor) -> Tensor:
        """Map features (B, dim) to logits (B, C)."""
        return nn.functional.linear(features, *self.folded())

    def loss(self, features: Tensor, targets: Targets, *, normalise: bool) -> Tensor:
        """Return the loss of the cells plus that of each level's regions or countries."""
        logits = self(features)
        value = soft_cross_entropy(logits, targets.labels, targets.weights, normalise=normalise)
        for level, parent in self._by_level():
            shape = len(features), level.out_features
            labels = targets.labels.new_zeros(shape).index_add_(1, parent, targets.labels)
            value = value + LEVEL_WEIGHT * soft_cross_entropy(
                level(features), labels, targets.weights, normalise=normalise
            )
        return value

    def _by_level(self) -> list[tuple[nn.Linear, Tensor]]:
        pairs = zip(self.levels, self._parents, strict=True)
        return [(level, getattr(self, parent)) for level, parent in pairs]


class GeoHeads(nn.Module):
    """Geocell head and optional attribute heads on the same features."""

    def __init__(
        self, dim: int, cells: int, hierarchy: Hierarchy | None = None, *, attributes: bool = False
    ) -> None:
        """Create the heads; see `CellHead`. `attributes` adds numbers, climate and month."""
        super().__init__()
        self.cells = CellHead(dim, cells, hierarchy)
        self.attributes = nn.ModuleDict()
        if attributes:
            self.attributes["numbers"] = _zero(dim, len(NUMBERS))
            self.attributes["climate"] = _zero(dim, len(KOPPEN_CLASSES))
            self.attributes["month"] = _zero(dim, 12)

    def loss(self, features: Tensor, targets: Targets, *, normalise: bool = True) -> Tensor:
        """Return the sum of the losses with PIGEON's weights (section 4.2)."""
        value = self.cells.loss(features, targets, normalise=normalise)
        if not self.attributes:
            return value
        assert targets.numbers is not None
        assert targets.climate is not None
        assert targets.month is not None
        out = {name: head(features) for name, head in self.attributes.items()}
        return (
            value
            + NUMBER_WEIGHT * masked_mse(out["numbers"], targets.numbers)
            + CLIMATE_WEIGHT * masked_cross_entropy(out["climate"], targets.climate)
            + MONTH_WEIGHT * masked_cross_entropy(out["month"], targets.month)
        )


def _zero(dim: int, out: int) -> nn.Linear:
    layer = nn.Linear(dim, out)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
