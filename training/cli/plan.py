"""The command `geoloc-train plan`."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import App, Parameter

from geoloc.cli.console import fail
from training.retrieve.settings import RetrieveRecipe

Gpu = Literal["a100", "h100", "h200", "b200", "l40s"]

app = App(name="plan")


@app.default
def plan(
    *,
    model: str = "ViT-L-14-336-quickgelu",
    photos: int = 4_500_000,
    epochs: int = 4,
    batch: int = 32,
    accumulate: int = 8,
    gpu: Gpu = "h100",
    checkpointing: bool = False,
) -> int:
    """Estimate hours and memory of a training run from its floating-point operations.

    Parameters
    ----------
    model
        Vision transformer of open_clip, or JSON file that describes one.
    photos
        Number of training photos.
    epochs
        Epochs of pretraining.
    batch
        Photos per micro-batch in one process.
    accumulate
        Micro-batches per step; with more than one, gradient caching adds a second forward pass.
    gpu
        GPU model.
    checkpointing
        Recompute activations in the backward pass instead of storing them.
    """
    from geoloc.errors import GeolocError

    try:
        from training.pretrain.clip import configuration
        from training.recipes.plan import Plan

        estimate = Plan.of(configuration(model))
    except (GeolocError, ValueError) as error:
        return fail("geoloc-train plan", error)
    cached = accumulate > 1
    flops = estimate.training_flops(cached=cached)
    print(f"{model}: {estimate.weights / 1e6:,.0f} million weights")
    print(
        f"training: {flops / 1e12:.2f} TFLOP a photo; embedding: {estimate.vision.flops / 1e12:.2f}"
    )
    alone, shared = (
        estimate.memory_gb(batch, checkpointing=checkpointing, shards=shards) for shards in (1, 8)
    )
    print(f"memory of a GPU: {alone:.0f} GB (DDP), {shared:.0f} GB (FSDP on 8)")
    print("| GPUs | pretraining h | embedding h |\n|---:|---:|---:|")
    for gpus in (1, 8):
        hours = estimate.training_hours(photos, epochs, gpus, gpu, cached=cached)
        print(f"| {gpus} {gpu} | {hours:.1f} | {estimate.embedding_hours(photos, gpus, gpu):.1f} |")
    return 0


@app.command
def retrieve(
    *,
    photos: int = 9_800_000,
    photo_kb: float = 55.0,
    gpu: Gpu = "h100",
    usd_per_hour: float = 3.0,
    config: Annotated[RetrieveRecipe | None, Parameter(name="*")] = None,
) -> int:
    """Price the recipe `retrieve`: GPU-hours, download, disk and memory, before anything starts.

    Parameters
    ----------
    photos
        Number of photos; by default those of OSV-5M and MP-16.
    photo_kb
        Mean size of a photo as it is downloaded and kept; 55 kB is that of 336 pixels.
    gpu
        GPU model.
    usd_per_hour
        Price of one GPU for an hour.
    """
    from geoloc.errors import GeolocError

    try:
        from training.retrieve.costs import price

        recipe = config or RetrieveRecipe()
        cost = price(recipe, photos, photo_kb, gpu)
    except (GeolocError, ValueError) as error:
        return fail("geoloc-train plan retrieve", error)
    print(f"{photos:,} photos with {', '.join(recipe.encoders)}, estimated, not measured:\n")
    print("\n".join(cost.lines(gpu, usd_per_hour)))
    return 0
