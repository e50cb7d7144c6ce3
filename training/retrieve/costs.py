"""Price of a run of `retrieve` before it starts: GPU-hours, downloads, disk and memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from geoloc.errors import TableError
from training.recipes.plan import INFERENCE_UTILISATION, PEAK_TFLOPS, UTILISATION, Tower
from training.retrieve.settings import RetrieveRecipe

COLLECTIONS = {"OSV-5M": 5_100_000, "MP-16": 4_700_000}
"""Photos of the collections that the recipe is made for."""


@dataclass(frozen=True)
class Published:
    """Sizes of a published encoder, by its architecture; weights as they are downloaded."""

    tower: Tower
    dim: int
    download_gb: float


PUBLISHED = {
    "siglip2-so400m": Published(Tower(27, 1152, 27**2, 4304 / 1152), 1152, 4.5),
    "pe-core": Published(Tower(24, 1024, 24**2 + 1), 1024, 2.7),
    "clip-336": Published(Tower(24, 1024, 24**2 + 1), 768, 1.7),
    "clip": Published(Tower(24, 1024, 16**2 + 1), 768, 1.7),
    "siglip2": Published(Tower(24, 1024, 16**2), 1024, 3.5),
    "dinov3": Published(Tower(24, 1024, 16**2 + 5), 1024, 1.2),
}
"""By name in published.toml. The downloads contain text towers and are estimates."""

DECODING_S = 0.004
"""CPU time to decode a photo of half a megapixel, measured by tests/benchmarks/batch.py."""

HEAD_PASSES = 60.0
"""Passes over the features that all training of heads and of the location encoder takes together,
in products with projections; forward and backward."""

GALLERY_S = 59.0
"""Seconds to build the gallery of a million photos with 256 features; see the benchmarks."""

ESTIMATED_S = 340e-6
"""CPU time to estimate 256 features of a place from its neighbours; see the benchmarks."""

CLUSTERS_PER_PHOTO, BYTES_PER_MEMBER = 0.25, 42.0
"""Share of location clusters of a million photos, and bytes of a member; see the benchmarks."""

BLENDED, BYTES_PER_ROW = 5.0, 500.0
"""Arrays of the features of all clusters, in single precision, that are in memory together while
prototypes are blended (`training.gallery.prototypes`); and bytes of the columns of a photo."""

MAPPED = 5.0
"""Arrays of the features of all clusters, in half precision in temporary files; see
`training.retrieve.places.Places`."""


@dataclass(frozen=True)
class Cost:
    """What a run takes."""

    embedding_gpu_h: float
    heads_gpu_h: float
    adapters_gpu_h: float
    gallery_h: float
    """Gallery, prototypes and calibration on the CPU, while the GPU waits."""
    decoding_core_h: float
    download_gb: float
    disk_gb: float
    memory_gb: float

    @property
    def gpu_h(self) -> float:
        """GPU-hours of all stages, with the time that the GPU waits."""
        return self.embedding_gpu_h + self.heads_gpu_h + self.adapters_gpu_h + self.gallery_h

    def lines(self, gpu: str, usd_per_hour: float) -> list[str]:
        """Return the table of the costs in Markdown."""
        rows = [
            (f"embedding, {gpu}-hours", f"{self.embedding_gpu_h:.1f}"),
            (f"heads and location encoder, {gpu}-hours", f"{self.heads_gpu_h:.2f}"),
            (f"adapters, {gpu}-hours", f"{self.adapters_gpu_h:.1f}"),
            ("gallery on two CPU cores, hours", f"{self.gallery_h:.1f}"),
            (f"together at {usd_per_hour:g} USD an hour", f"{self.gpu_h * usd_per_hour:.0f} USD"),
            ("decoding, CPU core-hours", f"{self.decoding_core_h:.0f}"),
            ("download of photos and weights, GB", f"{self.download_gb:.0f}"),
            ("disk for photos, embeddings and bundle, GB", f"{self.disk_gb:.0f}"),
            ("memory of the machine, GB", f"{self.memory_gb:.0f}"),
        ]
        return ["| | |", "|---|---:|", *(f"| {name} | {value} |" for name, value in rows)]


def price(
    recipe: RetrieveRecipe, photos: int, photo_kb: float, gpu: str, adapted: int = 200_000
) -> Cost:
    """Estimate what a run takes, from floating-point operations.

    Args:
        recipe: its encoders must be keys of PUBLISHED.
        photos: number of photos.
        photo_kb: mean size of a photo.
        gpu: a key of PEAK_TFLOPS.
        adapted: photos that adapters are trained on, if there are any.

    Raises:
        TableError: the size of an encoder is not known.
    """
    towers = _towers(recipe.encoders)
    rate = PEAK_TFLOPS[gpu] * 1e12 * 3600.0
    embedding = photos * sum(each.tower.flops for each in towers) / rate / INFERENCE_UTILISATION
    dim = sum(each.dim for each in towers)
    bands, location = recipe.bands, recipe.location
    features = recipe.heads.features + bands.near + bands.city + bands.region + location.dim
    heads = HEAD_PASSES * photos * 6.0 * recipe.heads.features * features / rate / 0.1
    adapters = 0.0
    if recipe.lora_blocks:
        adapters = 3.0 * adapted * towers[0].tower.flops / rate / UTILISATION
    embeddings_gb = photos * dim * 2.0 * (2.0 if len(towers) > 1 else 1.0) / 1e9
    clusters = CLUSTERS_PER_PHOTO * photos
    gallery_gb = (clusters * features + photos * BYTES_PER_MEMBER) / 1e9
    own = recipe.heads.features
    temporary = photos * (own + features) + clusters * (MAPPED * own + features)
    gallery_s = photos / 1e6 * GALLERY_S * features / 256.0
    gallery_s += clusters * ESTIMATED_S * own / 256.0 / 2.0  # on two cores
    blended_gb = clusters * own * 4.0 * BLENDED / 1e9
    photos_gb = photos * photo_kb / 1e6
    weights_gb = sum(each.download_gb for each in towers)
    return Cost(
        embedding_gpu_h=embedding,
        heads_gpu_h=heads,
        adapters_gpu_h=adapters,
        gallery_h=gallery_s / 3600.0,
        decoding_core_h=photos * DECODING_S * len(towers) / 3600.0,
        download_gb=photos_gb + weights_gb,
        disk_gb=photos_gb + weights_gb + embeddings_gb + gallery_gb + 2.0 * temporary / 1e9,
        memory_gb=blended_gb + gallery_gb + photos * BYTES_PER_ROW / 1e9,
    )


def _towers(encoders: Sequence[str]) -> list[Published]:
    for name in encoders:
        if name not in PUBLISHED:
            raise TableError(
                f"{name}: its size is not known, so it cannot be priced; known are"
                f" {', '.join(PUBLISHED)}"
            )
    return [PUBLISHED[name] for name in encoders]
