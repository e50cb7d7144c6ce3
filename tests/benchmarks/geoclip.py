"""Benchmark of the GeoCLIP bundle against GeoCLIP's own code: speed, search, build, accuracy.

    python tests/benchmarks/geoclip.py [FOLDER]

Needs the development data beside the repository. The bundle and the simulated embeddings are kept
in FOLDER if it is given. Both sides use CLIP ViT-L/14 with the same random weights: speed does not
depend on them, and accuracy is measured on simulated embeddings, which need no backbone. Prints
tables and one JSON line.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

sys.path.remove(str(Path(__file__).parent))  # or `import geoclip` would import this file

import geoclip
import numpy as np
import open_clip
import pyarrow.parquet as pq
import torch
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import save_file
from threadpoolctl import threadpool_limits

from geoloc import Geolocator
from geoloc.bundle import directory
from geoloc.encoders.clip import GeoClipEncoder, geoclip_spec, open_clip_names, tower_of
from geoloc.encoders.forms import FILES, FP32, INT8
from geoloc.encoders.onnx import OnnxEncoder
from geoloc.metrics import Accuracy, coverage, score
from geoloc.retrieval.gallery import Gallery
from training.calibrate.crossval import METHODS, answer_held_out
from training.embed.export import export_onnx
from training.embed.quantise import agreement, sample_photos
from training.embed.transformer_int8 import quantise
from training.gallery.cluster import build_gallery
from training.recipes.geoclip.build import build_world, point_manifest
from training.recipes.geoclip.gallery import POINTS, everywhere
from training.recipes.geoclip.models import from_torch
from training.recipes.geoclip.published import GeoClip, Published

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("SHARED", ROOT.parent / "shared"))
THREADS = 2
ARCHITECTURE = "ViT-L-14-quickgelu"
PREDICT_REPEATS, LOCATE_REPEATS, MANY = 2, 3, 64
MILLION = 1_000_000


def random_clip(folder: Path) -> geoclip.GeoCLIP:
    """Return GeoCLIP with its own heads on a random CLIP, and write that CLIP for open_clip."""
    torch.manual_seed(0)
    theirs = geoclip.GeoCLIP(clip_pretrained=False).eval()
    if not weights_of(folder).is_file():
        ours = open_clip.create_model(ARCHITECTURE)
        ours.visual.load_state_dict(open_clip_names(theirs.image_encoder.CLIP.state_dict()))
        state = {name: tensor.contiguous() for name, tensor in ours.state_dict().items()}
        save_file(state, weights_of(folder))
    return theirs


def weights_of(folder: Path) -> Path:
    """Return the path of the weights of the random CLIP."""
    return folder / "random.safetensors"


def torch_encoder(theirs: geoclip.GeoCLIP, folder: Path) -> GeoClipEncoder:
    """Return this package's encoder in torch with GeoCLIP's weights."""
    save_arrays(Published.find().image_head(), folder / "image_head.safetensors")
    clip = theirs.image_encoder.CLIP
    tower = tower_of(clip.config.vision_config.to_dict(), clip.state_dict())
    return GeoClipEncoder(geoclip_spec(ARCHITECTURE, "random"), folder, tower)


def onnx_encoders(encoder: GeoClipEncoder, folder: Path) -> dict[str, OnnxEncoder]:
    """Export the encoder to ONNX in fp32 and int8, and print the agreement of int8."""
    (folder / "onnx").mkdir(exist_ok=True)
    spec = export_onnx(encoder, folder / "onnx")
    quantise(folder / "onnx" / FILES[FP32], folder / "onnx" / FILES[INT8])
    made = {
        "whole": OnnxEncoder(spec, folder / "onnx"),
        "int8": OnnxEncoder(replace(spec, form=INT8), folder / "onnx"),
    }
    nowhere = lambda embeddings: np.zeros((len(embeddings), 2))  # noqa: E731
    alike = agreement(made["whole"], made["int8"], sample_photos()[:8], nowhere)
    print(f"int8 against fp32, random weights: cosine {alike.cosine:.4f} at the median")
    return made


def per_photo(answer: Callable[[], object], photos: int, repeats: int) -> float:
    """Return the median seconds per photo."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        answer()
        times.append(time.perf_counter() - start)
    return statistics.median(times) / photos


def speed(
    theirs: geoclip.GeoCLIP, encoder: GeoClipEncoder, world: Path, files: list[Path], folder: Path
) -> dict[str, float]:
    """Return seconds per photo of GeoCLIP and of each encoder form, for 1 and for 64 photos."""
    encoders = {"torch fp32": encoder}
    encoders |= {f"ONNX {form}": onnx for form, onnx in onnx_encoders(encoder, folder).items()}
    loaded = directory.load(world)
    seconds = {"predict": per_photo(lambda: theirs.predict(str(files[0]), 5), 1, PREDICT_REPEATS)}
    for name, network in encoders.items():
        ours = Geolocator(loaded, network)
        ours.locate(files[0])
        seconds[f"{name} 1"] = per_photo(lambda o=ours: o.locate(files[0]), 1, LOCATE_REPEATS)
        seconds[f"{name} {MANY}"] = per_photo(lambda o=ours: list(o.locate_many(files)), MANY, 1)
    return seconds


def parity(theirs: geoclip.GeoCLIP, encoder: GeoClipEncoder, file: Path) -> float:
    """Return the largest difference of the five probabilities; NaN if the places differ."""
    latlon, probability = theirs.predict(str(file), 5)
    mine, belief = GeoClip(encoder, Published.find()).predict(file, 5)
    if not np.array_equal(mine, latlon.numpy()):
        return float("nan")
    return float(np.abs(belief - probability.numpy()).max())


def build(folder: Path) -> tuple[Path, float, float]:
    """Build the bundle of 500,000 points; return its path, seconds and MB."""
    out, timing = folder / "world", folder / "world.json"
    if not timing.is_file():
        clip = f"{ARCHITECTURE}/{weights_of(folder)}"
        model = from_torch(folder / "cache", clip, "int8")
        gallery = Published.find().gallery
        start = time.perf_counter()
        build_world(out, model, everywhere(gallery, POINTS), gallery, cache=folder / "cache")
        timing.write_text(json.dumps(time.perf_counter() - start))
    size = sum(file.stat().st_size for file in out.iterdir()) / 1e6
    return out, json.loads(timing.read_text()), size


def simulated_accuracy(world: Path, folder: Path) -> tuple[dict[str, Accuracy], list[float]]:
    """Return the accuracy on simulated photos of GeoCLIP's best point and of the bundle.

    Returns:
        Accuracy by method, and the share of truths inside the 50, 80 and 95 % radii.
    """
    out = folder / "simulated"
    if not (out / "test.parquet").is_file():
        command = [sys.executable, SHARED / "tools" / "simulate_photos.py", out, "--seed", "0"]
        subprocess.run([*map(str, command)], check=True, stdout=subprocess.DEVNULL)
    embeddings = np.load(out / "test.npy")[:, 0].astype(np.float32)
    table = pq.read_table(out / "test.parquet")
    truth = np.stack([table["lat"].to_numpy(), table["lon"].to_numpy()], axis=1)
    theirs = GeoClip(None, Published.find())
    parts = np.array_split(embeddings, 30)
    answers = {"GeoCLIP's top-1": np.concatenate([theirs.rank(part, 1)[0][:, 0] for part in parts])}
    held = answer_held_out(directory.load(world).ranker, point_manifest(truth), embeddings)
    answers |= {name: held.answers[name] for name in METHODS[1:]}
    covered = [coverage(held.answers["full"], truth, radius) for radius in held.radii_km.T]
    return {name: score(points, truth) for name, points in answers.items()}, covered


def search_ms(world: Path) -> float:
    """Return milliseconds per photo of the search among a million points on one core."""
    ranker = directory.load(world).ranker
    published = Published.find()
    points = everywhere(published.gallery, MILLION)
    encoder = published.location_encoder()
    parts = np.array_split(points, 100)
    features = np.concatenate([ranker.heads.features(encoder.embed(part)) for part in parts])
    gallery: Gallery = build_gallery(point_manifest(points), features, ranker.cells, scales_km=())
    rng = np.random.default_rng(0)
    queries = features[rng.choice(len(features), MANY)]
    queries += rng.standard_normal(queries.shape).astype(np.float32) / np.sqrt(queries.shape[1])
    belief = ranker.heads.classify(queries)
    with threadpool_limits(1):
        gallery.search(queries, belief, 96)
        return 1000.0 * per_photo(lambda: gallery.search(queries, belief, 96), MANY, 5)


def cold_s(world: Path, photo: Path) -> float:
    """Return the median seconds of whole commands `geoloc locate`, after one that fills caches."""
    command = [sys.executable, "-m", "geoloc", "locate", "--bundle", str(world), str(photo)]
    return statistics.median(
        [per_photo(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL), 1, 1)
         for _ in range(6)][1:]
    )  # fmt: skip


def main(folder: Path) -> None:
    """Run all measurements and print the results."""
    torch.set_num_threads(THREADS)
    photos = sorted((SHARED / "data" / "photos" / "world").iterdir())[:MANY]
    theirs = random_clip(folder)
    world, build_s, size_mb = build(folder)
    encoder = torch_encoder(theirs, folder)
    seconds = speed(theirs, encoder, world, photos, folder)
    difference = parity(theirs, encoder, photos[0])
    print("| seconds a photo | alone | of 64 |\n|---|---:|---:|")
    print(f"| GeoCLIP's predict | {seconds['predict']:.2f} | {seconds['predict']:.2f} |")
    for name in ("torch fp32", "ONNX whole", "ONNX int8"):
        alone, many = (seconds[f"{name} {count}"] for count in (1, MANY))
        print(f"| ours, {name} | {alone:.3f} | {many:.3f} |")
    print(f"\nparity with predict: largest difference of probabilities {difference:.1e}")
    print(f"bundle of {POINTS:,} points: built in {build_s:.0f} s, {size_mb:.0f} MB\n")
    accuracy, covered = simulated_accuracy(world, folder)
    kms = list(next(iter(accuracy.values())).within)
    print("Simulated photos:\n\n| answer by | median km | " + " | ".join(f"{k} km" for k in kms))
    print("|---|" + "---:|" * (len(kms) + 1))
    for name, row in accuracy.items():
        shares = " | ".join(f"{100 * share:.1f} %" for share in row.within.values())
        print(f"| {name} | {row.median_km:,.0f} | {shares} |")
    print("held by the radii: " + " / ".join(f"{100 * share:.1f} %" for share in covered))
    milliseconds = search_ms(world)
    print(f"search among {MILLION:,} points: {milliseconds:.2f} ms a photo")
    own = seconds["predict"]
    fp32 = {n: min(seconds[f"torch fp32 {n}"], seconds[f"ONNX whole {n}"]) for n in (1, MANY)}
    summary = {
        "speedup_1": own / fp32[1],
        "speedup_64": own / fp32[MANY],
        "speedup_int8": own / seconds[f"ONNX int8 {MANY}"],
        "cold_s": cold_s(world, photos[0]),
        "search_ms": milliseconds,
        "build_s": build_s,
        "bundle_mb": size_mb,
        "median_km": accuracy["full"].median_km,
        "median_km_geoclip": accuracy["GeoCLIP's top-1"].median_km,
    }
    print(json.dumps({name: round(value, 3) for name, value in summary.items()}))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
