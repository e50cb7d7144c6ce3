"""Band heads: projections of embeddings, each trained for the distances of one band.

For each photo the loss contrasts photos inside the band with those beyond it. Photos in between and
photos by the same author are left out: two photos by one author resemble each other for other
reasons than their place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geocells.sphere import EARTH_RADIUS_KM, unit_vectors
from geoloc.types import Float32Array, Float64Array, IndexArray, Int64Array
from training.retrieve.mining import LOOK_ALIKES, Groups, look_alikes, squares
from training.retrieve.settings import BandConfig
from training.types import Float16Array

FIRST_SCALE = 14.0
"""Initial factor of the similarities."""


@dataclass(frozen=True)
class Band:
    """Distances of one band in km."""

    positive_km: float
    """Photos at most this far away resemble each other."""
    negative_km: float
    """Photos at least this far away do not."""


BANDS = {"near": Band(1.0, 5.0), "city": Band(25.0, 100.0), "region": Band(200.0, 500.0)}


@dataclass(frozen=True, eq=False)
class Photos:
    """N training photos."""

    features: Float16Array
    """(N, K) centred features, principal components first."""
    latlon: Float64Array
    """(N, 2) degrees."""
    cell: Int64Array
    """(N,) geocells."""
    author: Int64Array
    """(N,) numbers of authors; -1 for photos without one."""


def fit_bands(photos: Photos, config: BandConfig, seed: int = 0) -> dict[str, Float32Array]:
    """Return the projection (K, length) of each band.

    Args:
        photos: to learn from.
        config: settings.
        seed: of the examples.
    """
    rng = np.random.default_rng(seed)
    count = len(photos.latlon)
    mined = np.sort(rng.choice(count, min(config.mined, count), replace=False))
    alike = look_alikes(photos.features, photos.latlon, mined, config.pool, rng)
    lengths = {"near": config.near, "city": config.city, "region": config.region}
    return {
        name: _fit(photos, band, lengths[name], (mined, alike), config, rng)
        for name, band in BANDS.items()
    }


def _fit(
    photos: Photos,
    band: Band,
    length: int,
    mined: tuple[IndexArray, IndexArray],
    config: BandConfig,
    rng: np.random.Generator,
) -> Float32Array:
    """Train the projection of one band, from principal components on."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    start = torch.eye(photos.features.shape[1], length)
    projection, scale = (
        nn.Parameter(value.to(device)) for value in (start, torch.tensor(FIRST_SCALE).log())
    )
    optimiser = torch.optim.AdamW([projection, scale], config.learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, config.learning_rate, total_steps=config.steps + 1
    )
    nearby, in_cell = squares(photos.latlon, band.positive_km), Groups.of(photos.cell)
    places = torch.from_numpy(unit_vectors(photos.latlon))
    rows, alike = mined
    usable = np.flatnonzero(nearby.size[rows] > 1)
    for _ in range(config.steps if len(usable) else 0):
        pick = rng.choice(usable, min(config.batch, len(usable)), replace=False)
        anchor = rows[pick]
        look = alike[pick, rng.integers(0, LOOK_ALIKES, (2, len(pick)))]
        other = np.concatenate([nearby.draw(anchor, rng), in_cell.draw(anchor, rng), look.ravel()])
        positive, negative = _masks(places, photos.author, anchor, other, band)
        queried, found = (
            F.normalize(
                torch.from_numpy(photos.features[each].astype(np.float32)).to(device) @ projection,
                dim=1,
            )
            for each in (anchor, other)
        )
        loss = contrast_loss(
            scale.exp() * queried @ found.T, positive.to(device), negative.to(device)
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return np.asarray(projection.detach().cpu().numpy())


def _masks(
    places: Tensor, author: Int64Array, anchor: IndexArray, other: IndexArray, band: Band
) -> tuple[Tensor, Tensor]:
    """Return which other photos (M,) are positives and negatives of anchors (B,); (B, M) each."""
    chord = torch.cdist(places[anchor], places[other], compute_mode="donot_use_mm_for_euclid_dist")
    km = 2.0 * EARTH_RADIUS_KM * torch.asin((chord / 2.0).clamp(max=1.0))
    same = (author[anchor, None] == author[other]) & (author[anchor, None] >= 0)
    usable = torch.from_numpy(~same & (anchor[:, None] != other))
    return (km <= band.positive_km) & usable, (km >= band.negative_km) & usable


def contrast_loss(similarity: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """Return the mean over photos of -log(sum over positives / sum over positives and negatives).

    Args:
        similarity: (B, M), scaled.
        positive: (B, M) photos inside the band.
        negative: (B, M) photos beyond it; the rest counts as neither.
    """
    usable = positive.any(dim=1) & negative.any(dim=1)
    if not usable.any():
        return similarity.sum() * 0.0
    rows, inside = similarity[usable], positive[usable]
    either = inside | negative[usable]
    near = rows.masked_fill(~inside, -torch.inf).logsumexp(dim=1)
    return (rows.masked_fill(~either, -torch.inf).logsumexp(dim=1) - near).mean()
