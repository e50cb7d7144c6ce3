"""Image-GPS contrast: an encoder of coordinates, and a projection of photos into its space.

A photo is compared with its own coordinates and with those of other photos, as in GeoCLIP (Vivanco
Cepeda et al. 2023). The encoder starts from the estimate of `training.retrieve.field`, which is
made of the photos around a place, and learns what to change: in training the photos at the place
itself are left out of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geocells.sphere import EARTH_RADIUS_KM, unit_vectors
from geoloc.types import Float32Array, Float64Array, IndexArray
from training.retrieve.settings import LocationConfig
from training.types import Float16Array

SCALES_KM = (5000.0, 1500.0, 500.0, 150.0, 50.0, 15.0, 5.0)
"""Wavelengths of the random Fourier features, from continents to towns."""

FIRST_SCALE = 14.0
"""Initial factor of the similarities."""

_ROWS_AT_ONCE = 8192


class LocationEncoder(nn.Module):
    """Estimated features of a place, and what a small network adds to them.

    The network reads random Fourier features of the unit vectors (Tancik et al. 2020), so there is
    no seam and no pole. At first it adds nothing.
    """

    def __init__(self, config: LocationConfig, width: int, seed: int) -> None:
        """Prepare for features of a width (K) that are projected to `config.dim` numbers."""
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        waves = [
            torch.randn(3, config.frequencies, generator=generator) * (EARTH_RADIUS_KM / scale)
            for scale in SCALES_KM
        ]
        # in double precision: 5 km are 1,300 periods around the Earth
        self.register_buffer("waves", torch.cat(waves, dim=1).double())
        inputs = 2 * config.frequencies * len(SCALES_KM)
        self.network = nn.Sequential(
            nn.Linear(inputs, config.width), nn.GELU(),
            nn.Linear(config.width, config.width), nn.GELU(),
            nn.Linear(config.width, config.dim),
        )  # fmt: skip
        nn.init.zeros_(self.network[-1].weight)
        nn.init.zeros_(self.network[-1].bias)
        self.projection = nn.Parameter(torch.eye(width, config.dim))

    def forward(self, places: Tensor, estimate: Tensor) -> Tensor:
        """Encode places.

        Args:
            places: (N, 3) unit vectors, float64.
            estimate: (N, K) features estimated there.

        Returns:
            (N, dim) unit vectors.
        """
        angle = places @ self.waves
        features = torch.cat([angle.cos(), angle.sin()], dim=1).float()
        start = F.normalize(estimate @ self.projection, dim=1)
        return F.normalize(start + self.network(features), dim=1)

    @torch.inference_mode()
    def encode(
        self, latlon: Float64Array, estimate: Float16Array, place: IndexArray
    ) -> Float32Array:
        """Encode coordinates.

        Args:
            latlon: (N, 2) degrees.
            estimate: (L, K) features estimated at L places.
            place: (N,) the place of each coordinate.

        Returns:
            (N, dim) unit vectors.
        """
        points, device = torch.from_numpy(unit_vectors(latlon)), self.waves.device
        parts = [
            self(
                points[start : start + _ROWS_AT_ONCE].to(device),
                _tensor(estimate, place[start : start + _ROWS_AT_ONCE], device),
            )
            for start in range(0, len(points), _ROWS_AT_ONCE)
        ]
        return np.asarray(torch.cat([part.cpu() for part in parts]).numpy())


def _tensor(values: Float16Array, rows: IndexArray, device: torch.device) -> Tensor:
    """Return rows (B,) of values (N, K) in single precision on a device."""
    return torch.from_numpy(values[rows].astype(np.float32)).to(device)


@dataclass(frozen=True, eq=False)
class Located:
    """The result of the contrast."""

    encoder: LocationEncoder
    projection: Float32Array
    """(K, dim) maps features of photos to the space of encoded coordinates."""


def contrast(
    features: Float16Array,
    latlon: Float64Array,
    around: tuple[Float16Array, IndexArray],
    config: LocationConfig,
    seed: int = 0,
) -> Located:
    """Train the location encoder and the projection of photos.

    Args:
        features: (N, K) centred features, principal components first.
        latlon: (N, 2) degrees.
        around: (L, K) features estimated at L places from photos elsewhere, and (N,) the place of
            each photo.
        config: settings.
        seed: of weights, order and noise.
    """
    torch.manual_seed(seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    encoder = LocationEncoder(config, features.shape[1], seed).to(device).train()
    start = torch.eye(features.shape[1], config.dim)
    projection, scale = (
        nn.Parameter(value.to(device)) for value in (start, torch.tensor(FIRST_SCALE).log())
    )
    places = torch.from_numpy(unit_vectors(latlon))
    batch = min(config.batch, len(features))
    steps = config.epochs * (len(features) // batch)
    rates = [config.learning_rate, config.learning_rate / 5.0]
    optimiser = torch.optim.AdamW(
        [
            {"params": [*encoder.network.parameters(), scale]},
            {"params": [projection, encoder.projection], "lr": rates[1]},
        ],
        lr=rates[0],
        weight_decay=0.01,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rates, total_steps=steps + 1)
    queue = torch.zeros(0, config.dim, device=device)
    for _ in range(config.epochs):
        order = torch.randperm(len(features))
        for rows in order[: len(order) // batch * batch].split(batch):
            noise = torch.randn(batch, 3, dtype=torch.float64) * config.jitter_km / EARTH_RADIUS_KM
            moved = F.normalize(places[rows] + noise, dim=1).to(device)
            encoded = encoder(moved, _tensor(around[0], around[1][rows.numpy()], device))
            queried = F.normalize(_tensor(features, rows.numpy(), device) @ projection, dim=1)
            loss = contrast_loss(queried, encoded, queue, scale.exp())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            queue = torch.cat([encoded.detach(), queue])[: config.queue]
    return Located(encoder.eval(), projection.detach().cpu().numpy())


def contrast_loss(queried: Tensor, encoded: Tensor, queue: Tensor, scale: Tensor) -> Tensor:
    """Return the contrast of photos with places, and of places with photos.

    Args:
        queried: (B, dim) unit vectors of photos.
        encoded: (B, dim) of their places.
        queue: (Q, dim) of other places, which photos are contrasted with as well.
        scale: factor of the similarities.
    """
    target = torch.arange(len(queried), device=queried.device)
    to_places = scale * queried @ torch.cat([encoded, queue]).T
    to_photos = scale * encoded @ queried.T
    return F.cross_entropy(to_places, target) + F.cross_entropy(to_photos, target)
