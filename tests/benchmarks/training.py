"""Benchmark of training: overhead of heads, data pipeline and embedding, and memory of fitting.

    python tests/benchmarks/training.py

Both sides of a ratio are measured in turns in this process. Run it on an idle machine. The data is
simulated. Prints a table and one JSON line.
"""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch

from geocells.sphere import unit_vectors
from geoloc.encoders.registry import build_encoder, describe
from tests.benchmarks._measuring import in_turns, peak_gb, run_stages
from training.config import HeadConfig
from training.data.loading import CaptionedPhotos
from training.data.sampler import Batches
from training.embed.table import embed_table
from training.engine.loop import LoopConfig
from training.engine.readers import load_batches
from training.heads import fit
from training.heads.examples import Examples
from training.heads.features import Features, principal_components
from training.heads.modules import CellHead, Targets
from training.heads.smoothing import SmoothedLabels
from training.pretrain import clip
from training.pretrain.captions import Captioner
from training.pretrain.contrastive import CaptionLoss
from training.pretrain.grad_cache import backward
from training.synthetic.planet import write_planet

DIM, CELLS, BATCH = 1024, 2203, 1024
"""PIGEON's embedding dimension, number of geocells, and batch size."""

PHOTOS = 20_000
TOWERS = {
    "embed_dim": 256,
    "vision_cfg": {
        "image_size": 112,
        "layers": 6,
        "width": 256,
        "head_width": 64,
        "patch_size": 16,
    },
    "text_cfg": {"context_length": 48, "vocab_size": 49408, "width": 128, "heads": 4, "layers": 2},
}
"""Small towers, so that reading photos takes most of the time; a large tower would hide it."""


def street_views(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return coordinates (N, 2) near towns, more of them near large ones, as street views are."""
    from geocells.places import towns

    known = towns()
    share = np.sqrt(known.population + 1.0)
    drawn = rng.choice(len(share), count, p=share / share.sum())
    return known.points.latlon[drawn] + rng.normal(0.0, 0.1, (count, 2))


def heads(
    results: dict[str, float], cells: int = CELLS, batch: int = BATCH, photos: int = PHOTOS
) -> None:
    """Compare a training step of the geocell head with its two unavoidable matrix products."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rng = np.random.default_rng(0)
    latlon = street_views(photos, rng)
    examples = Examples(
        rng.normal(size=(photos, DIM)).astype(np.float16), latlon, np.ones(photos, np.float32)
    )
    centroids = latlon[:cells]
    cell = (unit_vectors(latlon) @ unit_vectors(centroids).T).argmax(axis=1)
    smoothed = SmoothedLabels(latlon, cell, centroids, 75.0, device=device)
    stored = Features(examples, *principal_components(examples, DIM, 0.0))
    head = CellHead(DIM, cells).to(device)
    optimiser = torch.optim.AdamW(head.parameters(), 1e-3, fused=True)
    weights = torch.ones(batch, device=device)
    steps = len(examples) // batch

    def step() -> None:
        for rows, half in islice(stored.batches(batch, 0, 0), steps):
            features = half.to(device).float()
            targets = Targets(smoothed(rows.to(device)), weights)
            optimiser.zero_grad()
            with torch.autocast("cuda", torch.bfloat16, enabled=device.type == "cuda"):
                loss = head.loss(features, targets, normalise=True)
            loss.backward()
            optimiser.step()

    def smoothing() -> None:
        for rows in torch.randperm(len(examples)).split(batch)[:steps]:
            smoothed(rows.to(device))

    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    inputs = torch.randn(batch, DIM, device=device, dtype=dtype)
    weight = torch.randn(DIM, cells, device=device, dtype=dtype)
    gradient = torch.randn(batch, cells, device=device, dtype=dtype)

    def products() -> None:
        for _ in range(steps):
            torch.mm(inputs, weight)
            torch.mm(inputs.T, gradient)

    full, labels, bare = in_turns(step, smoothing, products)
    results["head_matmul_ratio"] = bare / full
    results["smoothing_share"] = labels / full
    results["head_photos_per_s"] = steps * batch / full


def pipeline(results: dict[str, float], folder: Path) -> None:
    """Compare training steps on batches read from disk with the same steps on batches in memory."""
    table = pq.read_table(folder / "photos.parquet")
    towers = folder / "bench_towers.json"
    towers.write_text(json.dumps(TOWERS))
    parts = clip.build(str(towers))
    loss, loop = CaptionLoss("infonce"), LoopConfig(steps=1)
    data = CaptionedPhotos(table, folder, Captioner("pigeon"), parts.tokenizer, parts.preprocessing)
    batches = Batches(np.arange(len(table)), 64)
    in_memory = [batch for batch, _ in zip(load_batches(data, batches, 0), range(8), strict=False)]
    optimiser = torch.optim.AdamW(parts.model.parameters(), 1e-4, fused=True)

    def train(micro: list) -> None:
        optimiser.zero_grad()
        backward(parts.model, loss, loop, micro, 0)
        optimiser.step()

    def bare() -> None:
        for batch in in_memory:
            train([batch])

    def real() -> None:
        stream = load_batches(data, replace(batches, start=8), 0)
        for _ in in_memory:
            train([next(stream)])

    bare_s, real_s = in_turns(bare, real)
    results["pipeline_ratio"] = bare_s / real_s


def embedding(results: dict[str, float], folder: Path) -> None:
    """Compare embedding a table of photos, decoding included, with the network alone."""
    table = pq.read_table(folder / "photos.parquet").slice(0, 1024)
    parts = clip.build(str(folder / "bench_towers.json"))
    clip.write(folder / "model", parts, parts.model.state_dict(), {})
    spec = describe(f"open_clip_tokens:local-dir:{folder / 'model'}")
    encoder = build_encoder(spec)
    pixels = np.random.default_rng(0).normal(size=(32, 3, 112, 112)).astype(np.float32)
    number = iter(range(10**6))

    def bare() -> None:
        for _ in range(len(table) // 32):
            encoder.embed(pixels)

    def real() -> None:
        embed_table(table, folder, spec, None, folder / f"embedded{next(number)}")

    bare_s, real_s = in_turns(bare, real)
    results["embed_ratio"] = bare_s / real_s


def memory(results: dict[str, float], folder: Path) -> None:
    """Measure time and memory of fitting heads per million embeddings that are mapped from disk."""
    from geocells.partition.build import build_cells
    from geocells.partition.config import CellConfig

    count = 500_000
    rng = np.random.default_rng(0)
    path = folder / "many.npy"
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f2", "fortran_order": False, "shape": (count, DIM)}
        )
        for _ in range(0, count, 10_000):
            file.write(rng.normal(size=(10_000, DIM)).astype(np.float16).tobytes())
    latlon = rng.uniform((35, -10), (60, 30), (count, 2))
    cells = build_cells(latlon[::25], CellConfig())
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    before = peak_gb()
    examples = Examples(np.load(path, mmap_mode="r"), latlon, np.ones(count, np.float32))
    config = HeadConfig(features=DIM, epochs=1, batch=4096, tau_km=75.0)
    begin = time.perf_counter()
    fit.fit_heads(examples, cells, fit.density_prior(cells.count), config)
    results["fit_s_per_million_and_epoch"] = (time.perf_counter() - begin) * 1e6 / count
    results["gb_per_million"] = (peak_gb() - before) * 1e6 / count


def main() -> None:
    """Run all measurements and print the results."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_planet(folder, 400, 4, 160)
        in_folder = {"pipeline": pipeline, "embedding": embedding, "memory": memory}
        parts = {name: partial(stage, folder=folder) for name, stage in in_folder.items()}
        run_stages({"heads": heads, **parts})


if __name__ == "__main__":
    main()
