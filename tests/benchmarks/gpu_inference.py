"""Benchmark of answering on one GPU, in at most 10 minutes: encoders, `batch` and the service.

    python tests/benchmarks/gpu_inference.py [--tiny]

Needs no data and no download: the photos are drawn, and the large encoders have random weights and
answer with the cells of the bundle `starter`. --tiny runs the same on a CPU in seconds, to test the
script. Prints a table and one JSON line.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle
from pathlib import Path

import numpy as np

from geoloc.answer.ranker import Ranker
from geoloc.batch.run import Options, run
from geoloc.bundle import directory as bundles
from geoloc.encoders.base import EncoderSpec, ImageEncoder
from geoloc.encoders.pipeline import BATCH, encode
from geoloc.encoders.registry import build_encoder
from geoloc.encoders.torch import describe_timm
from geoloc.io.progress import NullReporter
from tests.benchmarks._measuring import (
    Results,
    busy_gpu,
    draw_photos,
    in_turns,
    run_stages,
    seconds,
)
from tests.benchmarks.service import form, load_test, server
from training.recipes.assemble import write_bundle


@dataclass(frozen=True)
class Sizes:
    """Sizes of all stages."""

    encoders: tuple[tuple[str, str], ...] = (
        ("vit_l", "vit_large_patch14_clip_336"), ("so400m", "vit_so400m_patch14_siglip_384")
    )  # fmt: skip
    """Names of the figures, and architectures of timm."""
    photos: int = 2048
    side: int = 800
    batches: tuple[int, ...] = (32, 128, 256)
    seconds: float = 10.0
    clients: int = 32
    limit_s: float = 480.0


TINY = Sizes((("vit_l", "vit_tiny_patch16_224"),), 6, 256, (2,), 0.5, 2)


def encoder_figures(
    results: Results, name: str, encoder: ImageEncoder, files: list[Path], sizes: Sizes
) -> None:
    """Measure an encoder on tensors in memory, and with decoding."""
    size = encoder.spec.preprocessing.size
    for batch in sizes.batches:
        pixels = np.random.default_rng(0).normal(size=(batch, 3, size, size)).astype(np.float32)
        (taken,) = in_turns(partial(encoder.embed, pixels))
        results[f"{name}_network_per_s_{batch}"] = batch / taken
    with busy_gpu(results, f"{name}_busy"):
        taken = seconds(lambda: list(encode(encoder, files)))
    results[f"{name}_per_s"] = len(files) / taken


def large(
    results: Results, name: str, architecture: str, files: list[Path], scratch: Path, sizes: Sizes
) -> None:
    """Measure an encoder with random weights, `batch` and the service with it."""
    spec = describe_timm(architecture, "")
    encoder_figures(results, name, build_encoder(spec), files, sizes)
    bundle = bundle_with(spec, scratch / name)
    options = Options(bundle=str(bundle))
    run([str(files[0])], scratch / "first.jsonl", options, NullReporter())
    with busy_gpu(results, f"{name}_batch_busy"):
        taken = seconds(
            lambda: run(list(map(str, files)), scratch / f"{name}.jsonl", options, NullReporter())
        )
    results[f"{name}_batch_per_s"] = len(files) / taken
    results[f"{name}_batch_ratio"] = results[f"{name}_batch_per_s"] / results[f"{name}_per_s"]
    service(results, name, str(bundle), build_encoder(spec), files, sizes)


def service(
    results: Results, name: str, bundle: str, encoder: ImageEncoder, files: list[Path], sizes: Sizes
) -> None:
    """Compare requests of one photo with the encoder alone on the same files."""
    contents = [file.read_bytes() for file in files[: 8 * BATCH]]
    forms = [form(content) for content in contents]
    alone = encoder_rate(encoder, contents, sizes.seconds)
    with server("--no-page", "--bundle", bundle) as (host, port, _):
        load_test(host, port, forms, sizes.clients, sizes.seconds / 4)
        with busy_gpu(results, f"{name}_service_busy"):
            rate, median_ms, *_ = load_test(host, port, forms, sizes.clients, sizes.seconds)
    results[f"{name}_service_per_s"], results[f"{name}_service_p50_ms"] = rate, median_ms
    results[f"{name}_service_ratio"] = rate / alone


def encoder_rate(encoder: ImageEncoder, contents: list[bytes], duration_s: float) -> float:
    """Return photos per second of the encoder, decoding included."""
    began, done = time.perf_counter(), 0
    for encoded in encode(encoder, cycle(contents)):
        done += len(encoded.results)
        if time.perf_counter() - began > duration_s:
            break
    return done / (time.perf_counter() - began)


def bundle_with(spec: EncoderSpec, folder: Path) -> Path:
    """Write the starter with another encoder and a random projection to its features."""
    starter = bundles.load("starter")
    ranker = starter.ranker
    shape = spec.dim, ranker.heads.projection.shape[1]
    random = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    heads = replace(ranker.heads, mean=np.zeros(spec.dim, np.float32), projection=random)
    other = Ranker(ranker.cells, heads, ranker.gallery, ranker.calibration)
    write_bundle(folder, {}, spec, other, {}, "Random weights, for benchmarks.", {})
    return folder


def main(sizes: Sizes) -> Results:
    """Run all stages and print the results."""
    with tempfile.TemporaryDirectory() as place:
        scratch = Path(place)
        files = draw_photos(scratch / "photos", min(sizes.photos, 256), sizes.side, sizes.side)
        drawn = [file.read_bytes() for file in files]
        for number in range(len(files), sizes.photos):  # to draw one takes longer than to embed it
            files.append(scratch / "photos" / f"{number:05}.jpg")
            files[-1].write_bytes(drawn[number % len(drawn)] + number.to_bytes(4, "big"))
        starter = bundles.load("starter").build_encoder()
        stages = {
            "starter": partial(
                encoder_figures, name="starter", encoder=starter, files=files, sizes=sizes
            )
        } | {
            name: partial(
                large, name=name, architecture=architecture, files=files, scratch=scratch,
                sizes=sizes,
            )
            for name, architecture in sizes.encoders
        }  # fmt: skip
        return run_stages(stages, sizes.limit_s)


if __name__ == "__main__":
    main(TINY if "--tiny" in sys.argv else Sizes())
