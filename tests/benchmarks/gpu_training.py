"""Benchmark of training on one GPU, in at most 10 minutes: losses, pretraining, embedding, heads.

    python tests/benchmarks/gpu_training.py [--tiny]

Needs no data and no download: the photos are drawn, the weights random. --tiny runs the same on a
CPU in seconds, to test the script. Losses are compared with float64 on the CPU. Prints a table and
one JSON line.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from geoloc.encoders.base import normalise
from geoloc.encoders.registry import build_encoder, describe
from tests.benchmarks import training as cpu
from tests.benchmarks._measuring import Results, busy_gpu, device, in_turns, run_stages, seconds
from training.config import TINY_TOWERS
from training.data.loading import Batch
from training.embed.table import embed_table
from training.engine.checkpoint import TrainState
from training.engine.loop import LoopConfig
from training.heads.losses import masked_mse, smoothed_labels, soft_cross_entropy
from training.heads.smoothing import SmoothedLabels
from training.pretrain import clip
from training.pretrain.contrastive import CaptionLoss
from training.pretrain.grad_cache import backward
from training.recipes.plan import PEAK_TFLOPS, Plan
from training.retrieve.location import contrast_loss
from training.synthetic.planet import write_planet


@dataclass(frozen=True)
class Sizes:
    """Sizes of all stages."""

    model: str = "ViT-L-14-336-quickgelu"
    batch: int = 64
    steps: int = 10
    places: int = 256
    repeats: int = 16
    """Times that the table of drawn photos is embedded in one go."""
    head_batch: int = 4096
    cells: int = 2203
    vectors: int = 1_000_000
    dim: int = 256
    queries: int = 1024
    limit_s: float = 540.0


TINY = Sizes(str(TINY_TOWERS), 8, 1, 4, 2, 64, 50, 2000, 32, 16)


def losses(results: Results, sizes: Sizes) -> None:
    """Compare values and gradients of all losses with those in float64 on the CPU."""
    rng = torch.Generator().manual_seed(0)
    count, dim = sizes.batch, 64
    image, text = (
        torch.nn.functional.normalize(torch.randn(count, dim, generator=rng), dim=1) for _ in "it"
    )
    caption = torch.arange(count) // 2  # every caption twice
    latlon = torch.rand(count, 2, generator=rng, dtype=torch.float64) * 90.0
    scale, bias = torch.tensor(20.0), torch.tensor(-5.0)
    logits = torch.randn(count, sizes.cells, generator=rng)
    labels = torch.rand(count, sizes.cells, generator=rng) ** 20
    weights = torch.rand(count, generator=rng)
    numbers = torch.randn(count, 6, generator=rng)
    known = numbers.clone()
    known[::3, 1] = float("nan")
    cases: dict[str, tuple[Callable[..., Tensor], Tensor, tuple[Tensor, ...]]] = {
        "infonce": (partial(_captions, "infonce"), image, (text, scale, bias, caption, latlon)),
        "sigmoid": (partial(_captions, "sigmoid"), image, (text, scale, bias, caption, latlon)),
        "cells": (partial(soft_cross_entropy, normalise=True), logits, (labels, weights)),
        "numbers": (masked_mse, numbers.roll(1, 0), (known,)),
        "gps": (contrast_loss, image, (text, text[:0], scale)),
    }
    worst = 0.0
    for loss, given, others in cases.values():
        expected = _value_and_gradient(loss, given.double(), [_exact(part) for part in others])
        found = _value_and_gradient(loss, given.to(device()), [p.to(device()) for p in others])
        for one, other in zip(found, expected, strict=True):
            difference = (one.double().cpu() - other).abs().max() / other.abs().max()
            worst = max(worst, float(difference))
    results["loss_error"] = worst
    rows = torch.arange(count)
    places = np.random.default_rng(0).uniform((-60, -180), (70, 180), (count + sizes.cells, 2))
    own, centroids = np.zeros(count, np.intp), places[count:]
    here, there = (
        SmoothedLabels(places[:count], own, centroids, 75.0, device=where)(rows.to(where)).cpu()
        for where in (torch.device("cpu"), device())
    )
    vectors = [torch.from_numpy(cpu.unit_vectors(part)) for part in (places[:count], centroids)]
    results["label_error"] = float((here - there).abs().max())
    results["label_cutoff_error"] = float((smoothed_labels(*vectors, 75.0) - there).abs().max())


def _captions(
    kind: str, image: Tensor, text: Tensor, scale: Tensor, bias: Tensor, caption: Tensor, at: Tensor
) -> Tensor:
    return CaptionLoss(kind, 500.0)(image, text, scale, bias, caption, at)


def _exact(part: Tensor) -> Tensor:
    return part.double() if part.is_floating_point() else part


def _value_and_gradient(
    loss: Callable[..., Tensor], given: Tensor, others: list[Tensor]
) -> tuple[Tensor, Tensor]:
    given = given.detach().requires_grad_()
    value = loss(given, *others)
    value.backward()
    return value.detach(), given.grad


def pretraining(results: Results, sizes: Sizes) -> None:
    """Measure pretraining steps in bf16 with compiled towers, on a batch in memory."""
    parts = clip.build(sizes.model)
    towers = parts.model.to(device()).train()
    on_gpu = device().type == "cuda"
    if on_gpu:
        towers.compile()
    size, context = parts.preprocessing.size, parts.tokenizer(["a"]).shape[1]
    rng = np.random.default_rng(0)
    batch = Batch(
        torch.from_numpy(rng.integers(0, 256, (sizes.batch, 3, size, size), np.uint8)),
        torch.tensor([parts.preprocessing.mean, parts.preprocessing.std]),
        torch.from_numpy(rng.integers(1, 400, (sizes.batch, context))),
        torch.arange(sizes.batch),
        torch.from_numpy(rng.uniform(-60, 60, (sizes.batch, 2))),
        torch.arange(sizes.batch),
    ).to(device())
    state = TrainState(towers, torch.optim.AdamW(towers.parameters(), 1e-6))
    step = partial(_step, state, [batch], LoopConfig(steps=1, bf16=on_gpu))
    results["compile_s"] = seconds(step)
    step()
    with busy_gpu(results, "pretrain_busy"):
        taken = seconds(lambda: [step() for _ in range(sizes.steps)]) / sizes.steps
    results["pretrain_photos_per_s"] = sizes.batch / taken
    flops = (
        Plan.of(parts.architecture).training_flops(cached=False) * results["pretrain_photos_per_s"]
    )
    if on_gpu:
        name = torch.cuda.get_device_name().lower()
        peak = next((tflops for gpu, tflops in PEAK_TFLOPS.items() if gpu in name), None)
        if peak:
            results["mfu"] = flops / (peak * 1e12)
        results["pretrain_peak_gb"] = torch.cuda.max_memory_allocated() / 1e9
    results["pretrain_tflops"] = flops / 1e12


def _step(state: TrainState, micro: list[Batch], loop: LoopConfig) -> None:
    state.optimiser.zero_grad()
    backward(state.model, CaptionLoss("infonce"), loop, micro, state.step)
    state.optimiser.step()


def embedding(results: Results, sizes: Sizes, folder: Path) -> None:
    """Measure embedding of photos in shards, and the network alone."""
    parts = clip.build(sizes.model)
    clip.write(folder / "model", parts, parts.model.state_dict(), {})
    size = parts.preprocessing.size
    write_planet(folder, sizes.places, 4, size)
    table = cpu.pq.read_table(folder / "photos.parquet")
    table = pa.concat_tables([table] * sizes.repeats)
    spec = describe(f"open_clip_tokens:local-dir:{folder / 'model'}")
    encoder = build_encoder(spec)
    pixels = np.random.default_rng(0).normal(size=(32, 3, size, size)).astype(np.float32)
    embed_table(table.slice(0, 64), folder, spec, None, folder / "first")
    (network,) = in_turns(lambda: encoder.embed(pixels))
    with busy_gpu(results, "embed_busy"):
        taken = seconds(lambda: embed_table(table, folder, spec, None, folder / "embedded"))
    results["embed_photos_per_s"] = len(table) / taken
    results["embed_ratio"] = results["embed_photos_per_s"] * network / len(pixels)


def heads(results: Results, sizes: Sizes) -> None:
    """Measure a training step of the geocell head, as training.py does."""
    cpu.heads(results, cells=sizes.cells, batch=sizes.head_batch)


def neighbours(results: Results, sizes: Sizes) -> None:
    """Compare exhaustive search on the GPU with the CPU, and their answers."""
    import faiss

    rng = np.random.default_rng(0)
    vectors, queries = (
        normalise(rng.normal(size=(count, sizes.dim)).astype(np.float32))
        for count in (sizes.vectors, sizes.queries)
    )
    here = faiss.IndexFlatIP(sizes.dim)
    here.add(vectors)
    taken = seconds(lambda: here.search(queries, 50))
    results["faiss_cpu_queries_per_s"] = sizes.queries / taken
    if not getattr(faiss, "get_num_gpus", lambda: 0)():
        return
    there = faiss.index_cpu_to_all_gpus(here)
    there.search(queries, 50)
    taken = seconds(lambda: there.search(queries, 50))
    results["faiss_gpu_queries_per_s"] = sizes.queries / taken
    first, second = here.search(queries, 50)[1], there.search(queries, 50)[1]
    results["faiss_same_neighbours"] = float((first == second).mean())


def main(sizes: Sizes) -> Results:
    """Run all stages and print the results."""
    with tempfile.TemporaryDirectory() as scratch:
        stages = {
            "losses": partial(losses, sizes=sizes),
            "heads": partial(heads, sizes=sizes),
            "faiss": partial(neighbours, sizes=sizes),
            "pretraining": partial(pretraining, sizes=sizes),
            "embedding": partial(embedding, sizes=sizes, folder=Path(scratch)),
        }
        return run_stages(stages, sizes.limit_s)


if __name__ == "__main__":
    main(TINY if "--tiny" in sys.argv else Sizes())
