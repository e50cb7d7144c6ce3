"""GeoCLIP's location encoder: coordinates to vectors in the space of the photo embeddings.

Vivanco Cepeda et al., GeoCLIP (NeurIPS 2023): Equal Earth projection, then for each of three scales
random Fourier features and an MLP; the outputs are summed.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from geocells.sphere import check_latlon
from geoloc.encoders.base import normalise
from geoloc.types import Float32Array

DIM = 512
SCALES = 3
_FREQUENCIES, _HIDDEN = 256, 1024
_A1, _A2, _A3, _A4 = 1.340264, -0.081106, 0.000893, 0.003796  # Šavrič et al. 2018
_UNIT = 66.50336
_ROWS_AT_ONCE = 4096


class LocationEncoder(nn.Module):
    """Network from coordinates (N, 2) in degrees, latitude first, to vectors (N, DIM)."""

    def __init__(self) -> None:
        super().__init__()
        for scale in range(SCALES):
            self.add_module(f"LocEnc{scale}", _Scale())

    def forward(self, latlon: Tensor) -> Tensor:
        """Return the sum of the outputs of the three scales."""
        places = equal_earth(latlon)
        return torch.stack([scale(places) for scale in self.children()]).sum(dim=0)

    @torch.inference_mode()
    def embed(self, latlon: npt.ArrayLike) -> Float32Array:
        """Return unit vectors (N, DIM) of coordinates (N, 2) in degrees.

        Raises:
            ValueError: a coordinate is not finite or out of range.
        """
        places = torch.from_numpy(check_latlon(latlon).astype(np.float32))
        device = next(self.parameters()).device
        parts = [self(part.to(device)).cpu() for part in places.split(_ROWS_AT_ONCE)]
        return normalise(torch.cat(parts).numpy()) if parts else np.empty((0, DIM), np.float32)


class _Fourier(nn.Module):
    """Random Fourier features, with the frequencies stored as a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("b", torch.zeros(_FREQUENCIES, 2))

    def forward(self, places: Tensor) -> Tensor:
        phase = 2.0 * math.pi * places @ self.b.T
        return torch.cat([phase.cos(), phase.sin()], dim=-1)


class _Scale(nn.Module):
    """MLP of one scale, with the parameter names of the published weights."""

    def __init__(self) -> None:
        super().__init__()
        widths = (2 * _FREQUENCIES, _HIDDEN, _HIDDEN, _HIDDEN)
        layers: list[Any] = [_Fourier()]
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), nn.ReLU()]
        self.capsule = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Linear(_HIDDEN, DIM))

    def forward(self, places: Tensor) -> Tensor:
        out: Tensor = self.head(self.capsule(places))
        return out


def equal_earth(latlon: Tensor) -> Tensor:
    """Return the Equal Earth projection (N, 2) of degrees (N, 2), in GeoCLIP's units."""
    lat, lon = torch.deg2rad(latlon).unbind(dim=1)
    root3 = math.sqrt(3.0)
    theta = torch.asin(root3 / 2.0 * torch.sin(lat))
    slope = 3.0 * (9.0 * _A4 * theta**8 + 7.0 * _A3 * theta**6 + 3.0 * _A2 * theta**2 + _A1)
    x = 2.0 * root3 * lon * torch.cos(theta) / slope
    y = _A4 * theta**9 + _A3 * theta**7 + _A2 * theta**3 + _A1 * theta
    # GeoCLIP's order of operations: the finest scale has 256 cycles a unit and amplifies rounding
    return torch.stack([x, y], dim=1) * _UNIT / 180.0
