"""The command `geoloc-train plan`."""

from __future__ import annotations

from typing import Literal

from cyclopts import App

from geoloc.cli.console import fail

app = App(name="plan", help="Hours and memory of a run, before it is paid for.")


@app.default
def plan(
    *,
    model: str = "ViT-L-14-336",
    photos: int = 4_500_000,
    epochs: int = 4,
    batch: int = 32,
    accumulate: int = 8,
    gpu: Literal["a100", "h100", "h200", "b200", "l40s"] = "h100",
    checkpointing: bool = False,
) -> int:
    """Compute from floating-point operations what pretraining and embedding take.

    Parameters
    ----------
    model
        A vision transformer of open_clip, or a JSON file that describes one.
    photos
        Number of them.
    epochs
        Of pretraining.
    batch
        Photos of a micro-batch in one process.
    accumulate
        Micro-batches of a step; more than one is computed forward twice.
    gpu
        Which.
    checkpointing
        Activations computed again instead of kept.
    """
    from geoloc.errors import GeolocError

    try:
        from training.pretrain.clip import configuration
        from training.recipes.plan import Plan

        wanted = Plan.of(configuration(model))
    except (GeolocError, ValueError) as error:
        return fail("geoloc-train plan", error)
    cached = accumulate > 1
    flops = wanted.training_flops(cached=cached)
    print(f"{model}: {wanted.weights / 1e6:,.0f} million weights")
    print(
        f"training: {flops / 1e12:.2f} TFLOP a photo; embedding: {wanted.vision.flops / 1e12:.2f}"
    )
    alone, shared = (
        wanted.memory_gb(batch, checkpointing=checkpointing, shards=shards) for shards in (1, 8)
    )
    print(f"memory of a GPU: {alone:.0f} GB (DDP), {shared:.0f} GB (FSDP on 8)")
    print("| GPUs | pretraining h | embedding h |\n|---:|---:|---:|")
    for gpus in (1, 8):
        hours = wanted.training_hours(photos, epochs, gpus, gpu, cached=cached)
        print(f"| {gpus} {gpu} | {hours:.1f} | {wanted.embedding_hours(photos, gpus, gpu):.1f} |")
    return 0
