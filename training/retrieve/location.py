"""Image-GPS contrast: an encoder of coordinates, and a projection of photos into its space.

A photo is compared with its own coordinates and with those of other photos, as in GeoCLIP (Vivanco
Cepeda et al. 2023). What the encoder says about a place is learned from all photos around it, so it
describes places better than the few photos that were taken there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geocells.sphere import EARTH_RADIUS_KM, unit_vectors
from geoloc.types import Float32Array, Float64Array
from training.retrieve.settings import LocationConfig

SCALES_KM = (5000.0, 1500.0, 500.0, 150.0, 50.0, 15.0, 5.0)
"""Wavelengths of the random Fourier features, from continents to towns."""

FIRST_SCALE = 14.0
"""Initial factor of the similarities."""

_ROWS_AT_ONCE = 8192


class LocationEncoder(nn.Module):
    """Random Fourier features of points on the sphere (Tancik et al. 2020), and a small network.

    The features are those of the unit vectors, so there is no seam and no pole.
    """

    def __init__(self, config: LocationConfig, seed: int) -> None:
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

    def forward(self, places: Tensor) -> Tensor:
        """Map unit vectors (N, 3) of places, float64, to unit vectors (N, dim)."""
        angle = places @ self.waves
        features = torch.cat([angle.cos(), angle.sin()], dim=1).float()
        return F.normalize(self.network(features), dim=1)

    @torch.inference_mode()
    def encode(self, latlon: Float64Array) -> Float32Array:
        """Encode coordinates (N, 2) in degrees; unit vectors (N, dim)."""
        places = torch.from_numpy(unit_vectors(latlon)).to(self.waves.device)
        parts = [self(part).cpu().numpy() for part in places.split(_ROWS_AT_ONCE)]
        return np.concatenate(parts)


@dataclass(frozen=True, eq=False)
class Located:
    """The result of the contrast."""

    encoder: LocationEncoder
    projection: Float32Array
    """(K, dim) maps features of photos to the space of encoded coordinates."""


def contrast(
    features: Float32Array, latlon: Float64Array, config: LocationConfig, seed: int = 0
) -> Located:
    """Train the location encoder and the projection of photos.

    Args:
        features: (N, K) centred features, principal components first.
        latlon: (N, 2) degrees.
        config: settings.
        seed: of weights, order and noise.
    """
    torch.manual_seed(seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    encoder = LocationEncoder(config, seed).to(device).train()
    start = torch.eye(features.shape[1], config.dim)
    projection, scale = (
        nn.Parameter(value.to(device)) for value in (start, torch.tensor(FIRST_SCALE).log())
    )
    photos = torch.from_numpy(features)
    places = torch.from_numpy(unit_vectors(latlon))
    batch = min(config.batch, len(photos))
    steps = config.epochs * (len(photos) // batch)
    rates = [config.learning_rate, config.learning_rate / 5.0]
    optimiser = torch.optim.AdamW(
        [
            {"params": [*encoder.parameters(), scale]},
            {"params": [projection], "lr": rates[1]},
        ],
        lr=rates[0],
        weight_decay=0.01,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rates, total_steps=steps + 1)
    queue = torch.zeros(0, config.dim, device=device)
    for _ in range(config.epochs):
        order = torch.randperm(len(photos))
        for rows in order[: len(order) // batch * batch].split(batch):
            noise = torch.randn(batch, 3, dtype=torch.float64) * config.jitter_km / EARTH_RADIUS_KM
            encoded = encoder(F.normalize(places[rows] + noise, dim=1).to(device))
            queried = F.normalize(photos[rows].to(device).float() @ projection, dim=1)
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
