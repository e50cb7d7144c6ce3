"""Benchmark of models of others: parity with their code, loading, and the lack of a network.

    python tests/benchmarks/world.py [MEASUREMENT…]

Needs no development data and no network. Weights are random, in the published shapes: nothing is
said about accuracy. MEASUREMENT is the name of a function in MEASUREMENTS; all but `scale` by
default. Prints tables and one JSON line.
"""

import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.remove(str(Path(__file__).parent))  # or `import geoclip` would import the script beside

import numpy as np
import pyarrow as pa

ROOT = Path(__file__).parents[2]
Keys = dict[str, float]


def places(folder: Path) -> Keys:
    """Compare vectors of places with those of GeoCLIP's code, with random weights."""
    import geoclip
    import torch

    from geoloc.encoders.towers.location import LocationEncoder

    torch.manual_seed(0)
    theirs = geoclip.LocationEncoder(from_pretrained=False).eval()
    state = {name: tensor.numpy().copy() for name, tensor in theirs.state_dict().items()}
    rng = np.random.default_rng(0)
    latlon = np.column_stack([rng.uniform(-90, 90, 5000), rng.uniform(-180, 180, 5000)])
    given = torch.from_numpy(latlon).float()
    with torch.inference_mode():
        single = torch.nn.functional.normalize(theirs(given)).numpy()
        double = torch.nn.functional.normalize(theirs.double()(given.double())).numpy()
    mine = LocationEncoder.of(state, "random").embed(latlon)
    exact, as_published = (float(np.abs(mine - each).max()) for each in (double, single))
    print("vectors of 5,000 places from coordinates on, largest difference:")
    print(f"{exact:.1e} from GeoCLIP's code in float64, {as_published:.1e} in float32;")
    print(f"{np.abs(single - double).max():.1e} between its code in float32 and in float64\n")
    return {"parity_geoclip": exact, "parity_geoclip_float32": as_published}


def published_towers() -> dict[str, Callable[[], tuple[Any, int, Any]]]:
    """Return makers of published towers in full size: model, side of the input, embedding."""
    import timm
    import transformers

    def clip() -> tuple[Any, int, Any]:
        config = transformers.CLIPVisionConfig(
            hidden_size=1024, intermediate_size=4096, num_hidden_layers=24,
            num_attention_heads=16, image_size=224, patch_size=14, projection_dim=768,
        )  # fmt: skip
        model = transformers.CLIPVisionModelWithProjection(config).eval()
        return model, 224, lambda pixels: model(pixels).image_embeds

    def dinov3() -> tuple[Any, int, Any]:
        config = transformers.DINOv3ViTConfig(
            hidden_size=1024, intermediate_size=4096, num_hidden_layers=24,
            num_attention_heads=16, image_size=224, patch_size=16, num_register_tokens=4,
        )  # fmt: skip
        model = transformers.DINOv3ViTModel(config).eval()
        return model, 224, lambda pixels: model(pixels).pooler_output

    def perception() -> tuple[Any, int, Any]:
        model = timm.create_model("vit_pe_core_large_patch14_336", num_classes=1024).eval()
        return model, 336, model

    def siglip() -> tuple[Any, int, Any]:
        name = "vit_so400m_patch14_siglip_378"
        model = timm.create_model(name, num_classes=0, act_layer="gelu_tanh").eval()
        return model, 378, model

    return {"clip": clip, "dinov3": dinov3, "perception": perception, "siglip-timm": siglip}


def towers(folder: Path) -> Keys:
    """Compare towers of the published sizes, written as ONNX networks, with the published code."""
    import torch
    from safetensors.torch import save_file

    from geoloc.encoders.base import Preprocessing
    from geoloc.encoders.onnx import OnnxEncoder
    from geoloc.encoders.towers.families import Tower
    from geoloc.io.tensors import read_tensors

    largest = 0.0
    print("| tower | MB | written in s | largest difference |\n|---|---:|---:|---:|")
    for family, make in published_towers().items():
        torch.manual_seed(0)
        model, size, embed = make()
        place = folder / family
        place.mkdir()
        save_file(model.state_dict(), place / "model.safetensors")
        pixels = np.random.default_rng(0).normal(size=(1, 3, size, size)).astype(np.float32)
        with torch.inference_mode():
            expected = torch.nn.functional.normalize(embed(torch.from_numpy(pixels))).numpy()
        del model, embed
        start = time.perf_counter()
        tensors = read_tensors(place / "model.safetensors")
        tower = Tower(family, tensors, family, Preprocessing(size, (0.5,) * 3, (0.5,) * 3))
        spec = tower.write(place, family)
        seconds = time.perf_counter() - start
        (place / "model.safetensors").unlink()
        difference = float(np.abs(OnnxEncoder(spec, place).embed(pixels) - expected).max())
        megabytes = sum(file.stat().st_size for file in place.iterdir()) / 1e6
        print(f"| {family} | {megabytes:,.0f} | {seconds:.1f} | {difference:.1e} |", flush=True)
        largest = max(largest, difference)
        if family != "clip":  # which `loading` uses
            shutil.rmtree(place)
    print()
    return {"parity_onnx": largest}


def large_bundle(folder: Path) -> Path:
    """Return a bundle with ViT-L/14 in fp32 from `towers`, and the starter's places."""
    from geoloc.belief.heads import Heads
    from geoloc.bundle import directory
    from geoloc.encoders.base import EncoderSpec, Preprocessing

    bundle, dim = folder / "bundle", 768
    shutil.copytree(directory.EMBEDDED / "starter", bundle)
    for file in [*bundle.glob("encoder*"), bundle / "background.safetensors"]:
        file.unlink(missing_ok=True)
    (bundle / "bundle.json").unlink()
    for file in (folder / "clip").iterdir():
        shutil.move(file, bundle / file.name)
    heads = Heads.read(bundle / "heads.safetensors")
    replace(heads, mean=heads.mean[:dim], projection=heads.projection[:dim]).write(
        bundle / "heads.safetensors"
    )
    spec = EncoderSpec("onnx", "clip", "", dim, Preprocessing(224, (0.5,) * 3, (0.5,) * 3))
    directory.seal(bundle, "bundle", spec, {}, {"MIT": 1})
    old = time.time() - 3600
    for file in bundle.iterdir():
        os.utime(file, (old, old))
    return bundle


def cold_s(bundle: Path, folder: Path, environment: dict[str, str]) -> float:
    """Return the median seconds of whole commands `geoloc locate`, after one that fills caches."""
    from PIL import Image

    photo = folder / "photo.jpg"
    Image.effect_noise((1024, 768), 60.0).convert("RGB").save(photo)
    command = [sys.executable, "-m", "geoloc", "locate", "--bundle", bundle, photo]
    times = []
    for _ in range(6):
        start = time.perf_counter()
        subprocess.run(
            [*map(str, command)], check=True, stdout=subprocess.DEVNULL, env=environment, cwd=ROOT
        )
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def loading(folder: Path) -> Keys:
    """Time the start of a bundle with ViT-L/14 in fp32, and whole commands that use it."""
    bundle = large_bundle(folder)
    code = (
        "import sys, time; from geoloc.bundle import directory; import onnxruntime, faiss;"
        " start = time.perf_counter(); loaded = directory.load(sys.argv[1]);"
        " loaded.build_encoder(); print(time.perf_counter() - start)"
    )
    environment = os.environ | {"XDG_CACHE_HOME": str(folder / "cache")}
    times = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", code, bundle],
            capture_output=True, text=True, check=True, env=environment, cwd=ROOT,
        )  # fmt: skip
        times.append(float(done.stdout))
    size = sum(file.stat().st_size for file in bundle.iterdir()) / 1e6
    print(f"a bundle of {size:,.0f} MB: first start {times[0]:.1f} s, then {min(times[1:]):.2f} s")
    cold = cold_s(bundle, folder, environment)
    print(f"`geoloc locate` of one photo, whole command: {cold:.2f} s\n")
    return {"load_s": min(times[1:]), "cold_s": cold}


def adding(folder: Path) -> Keys:
    """Add 1,000 embedded photos to a simulated world bundle that has 2,000 own photos already."""
    from geoloc.bundle import directory
    from geoloc.bundle.change import changing
    from tests.training.bundles import made
    from training.bundles import own
    from training.bundles.joining import NO_PACK
    from training.bundles.stored import joined
    from training.calibrate.fit import UNFITTED
    from training.gallery.cluster import build_gallery

    world = made.write_world(folder / "world", made.world_ranker())
    bundle = directory.load(world)
    old, new = made.library(1, 40, 50), made.library(2, 20, 50)
    heads, cells = bundle.ranker.heads, bundle.cells
    gallery = build_gallery(old.manifest, heads.features(old.embeddings), cells)
    ranker = own.Ranker(cells, heads, gallery, UNFITTED)
    facts = {"calibrated on": 0, "measured": {}}
    with changing(world, world) as change:
        own.OwnPack(old, ranker, NO_PACK, own.copies_of(old, ranker, 1.0), facts).write(change)
    begin = time.perf_counter()
    own.rewrite(directory.load(world), world, world, joined([own.stored_photos(world), new]))
    seconds = time.perf_counter() - begin
    print(f"1,000 embedded photos added to 2,000: {seconds:.1f} s\n")
    return {"add_1000_s": seconds}


HOME = (47.4, 8.5)
"""Where the owner of the simulated photos lives."""


def own_photos(folder: Path) -> Keys:
    """Add own photos to a simulated world bundle: how good it is there, and unchanged elsewhere."""
    from geocells.sphere import haversine_km
    from geoloc.answer.packs.joined import JoinedRanker, Pack
    from geoloc.bundle import directory
    from tests.training.bundles import made
    from training.bundles import own

    ranker = made.world_ranker()
    bundle = directory.load(made.write_world(folder / "owned", ranker))
    library = made.library(5, 14, 22, HOME)
    last = np.arange(len(library.manifest)) % 22 >= 16
    held = library.take(np.flatnonzero(last))
    with mock.patch("training.data.split.FOLDS", 2):
        fitted, _ = own.fit_pack(bundle, library.take(np.flatnonzero(~last)))
    joined = JoinedRanker(ranker, [Pack("own", fitted.ranker, fitted.joining, None)])
    rows = {"world bundle alone": ranker, "own bundle alone": fitted.ranker, "both": joined}
    print("| held out at the owner's places | 1 km | 5 km | 25 km | median km |")
    print("|---|---:|---:|---:|---:|")
    within: dict[str, float] = {}
    for name, each in rows.items():
        away = haversine_km(each.rank(held.embeddings).answer, held.manifest.latlon)
        shares = [100 * (away <= km).mean() for km in (1.0, 5.0, 25.0)]
        within[name] = shares[1]
        print(f"| {name} | " + " | ".join(f"{share:.1f} %" for share in shares), end=" | ")
        print(f"{np.median(away):.1f} |")
    latlon, vectors = made.elsewhere(33, 700)
    far = haversine_km(latlon, HOME) > 300.0
    before, after = ranker.rank(vectors[far]).answer, joined.rank(vectors[far]).answer
    changed = 100 * (before != after).any(axis=1).mean()
    print(f"\n{len(held.manifest)} photos; of {far.sum()} of elsewhere, {changed:.1f} % of the")
    print("answers changed\n")
    return {
        "own_acc5": within["own bundle alone"],
        "both_acc5": within["both"],
        "elsewhere_changed": float(changed),
    }


def simulated_gallery(folder: Path, count: int, dim: int, width: int) -> dict[str, float]:
    """Build and write the gallery of simulated photos, six around each town that is drawn.

    Embeddings are made as they are read. Prints a row of a table.

    Args:
        folder: for temporary files and the gallery, which is written to its folder `pack`.
        count: photos.
        dim: numbers of an embedding.
        width: numbers of a feature.

    Returns:
        Seconds, megabytes of the indexes and of all files, and clusters.
    """
    from geocells.places import towns
    from geocells.sphere import destination
    from geoloc.belief.heads import Heads
    from geoloc.bundle import directory
    from geoloc.io.texts import Texts
    from training.bundles.embeddings import Placed
    from training.gallery.large import build_large_gallery

    rng = np.random.default_rng(0)
    start = towns().points.latlon[rng.integers(0, len(towns().points.latlon), count // 6)]
    start = np.repeat(start, 6, axis=0)
    count = len(start)
    latlon = destination(start, rng.uniform(0, 360, count), rng.exponential(0.1, count))
    del start
    cells = directory.load("starter").cells
    projection = np.linalg.qr(rng.standard_normal((dim, width)))[0].astype(np.float32)
    zeros = np.zeros(len(cells), np.float32)
    active = np.arange(len(cells), dtype=np.int32)
    weight = np.zeros((width, len(cells)), np.float32)
    heads = Heads(np.zeros(dim, np.float32), projection, weight, zeros, active, zeros, zeros)
    source, text = Texts.of(pa.array(np.arange(count))), Texts.same("simulated", count)
    blocks = (
        np.random.default_rng(at).standard_normal((16_384, dim), np.float32)[: count - at]
        for at in range(0, count, 16_384)
    )
    begin = time.perf_counter()
    with memory_watched() as peak:
        built = build_large_gallery(
            Placed(latlon, source, text, text), blocks, heads, cells, folder
        )
        (folder / "pack").mkdir()
        built.write(folder / "pack")
    seconds = time.perf_counter() - begin
    files = {path.name: path.stat().st_size for path in (folder / "pack").iterdir()}
    index = sum(size for name, size in files.items() if name.endswith(".faiss")) / 1e6
    whole, clusters = sum(files.values()) / 1e6, len(built.clusters)
    features = sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) / 1e9
    print(
        f"{count:,} photos of {width} numbers, {clusters:,} clusters: {seconds:.0f} s, at most"
        f" {peak['own']:.1f} GB of own memory; {features:.1f} GB of features on the disk; indexes"
        f" {index:,.0f} MB, with tables {whole:,.0f} MB",
        flush=True,
    )
    return {"seconds": seconds, "index": index, "photos": count, "own": peak["own"]}


@contextmanager
def memory_watched() -> Iterator[dict[str, float]]:
    """Yield a dict that gets the most GB of memory that is not of mapped files, as `own`."""
    peak, over = {"own": 0.0}, threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            status = Path("/proc/self/status").read_text()
            own = int(re.search(r"RssAnon:\s+(\d+)", status)[1]) * 1024 / 1e9
            peak["own"] = max(peak["own"], own)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()


def gallery(folder: Path) -> Keys:
    """Build the gallery of a million simulated photos."""
    place = folder / "million"
    place.mkdir()
    made = simulated_gallery(place, 1_000_000, 512, 256)
    shutil.rmtree(place)
    print()
    millions = made["photos"] / 1e6
    return {
        "gallery_1m_s": made["seconds"] / millions,
        "gallery_gb_per_m": made["index"] / 1e3 / millions,
    }


ASK = """
import sys, time
import numpy as np
from pathlib import Path
from geoloc.bundle import directory
from geoloc.retrieval.gallery import Gallery

def own_mb():
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) / 1e3

cells = len(directory.load("starter").cells)
before, begin = own_mb(), time.perf_counter()
gallery = Gallery.read(Path(sys.argv[1]), cells)
loaded = time.perf_counter() - begin
rng = np.random.default_rng(1)
width = gallery.prototypes.d
times = []
for _ in range(20):
    photo = rng.standard_normal((1, width)).astype(np.float32)
    photo /= np.linalg.norm(photo)
    belief = rng.random((1, cells)).astype(np.float32)
    begin = time.perf_counter()
    nearest = gallery.search(photo, belief, 64)
    _, row = gallery.members_of(photo, nearest.cluster)
    list(gallery.members.take(row[0, :8]).source)
    times.append(time.perf_counter() - begin)
print(f"read in {loaded:.1f} s; a photo compared in {1e3 * np.median(times):.0f} ms (the first in"
      f" {1e3 * times[0]:.0f} ms); {own_mb() - before:,.0f} MB of own memory for all of it")
"""


def scale(folder: Path) -> Keys:
    """Build and ask a gallery of 15 million simulated photos, with features of 64 numbers."""
    place = folder / "millions"
    place.mkdir()
    made = simulated_gallery(place, 15_000_000, 64, 64)
    done = subprocess.run(
        [sys.executable, "-c", ASK, place / "pack"],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    print(done.stdout)
    shutil.rmtree(place)
    return {"gallery_15m_s": made["seconds"], "gallery_15m_own_gb": made["own"]}


def offline(folder: Path) -> Keys:
    """Time `geoloc bundle get geoclip` without a network: no name, and packets that are lost."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        port = silent.getsockname()[1]
        waiting = [
            socket.socket() for _ in range(4)
        ]  # they fill the queue: the next gets no answer
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        cases = {"no such host": "http://hub.invalid", "no answer": f"http://127.0.0.1:{port}"}
        seconds = {}
        for name, endpoint in cases.items():
            environment = os.environ | {"HF_ENDPOINT": endpoint, "XDG_DATA_HOME": str(folder)}
            start = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-m", "geoloc", "bundle", "get", "geoclip", "--quiet"],
                capture_output=True, text=True, check=False, env=environment, cwd=ROOT,
            )  # fmt: skip
            seconds[name] = time.perf_counter() - start
            assert done.returncode == 2, done
            assert len(done.stderr.splitlines()) == 1, done.stderr
            print(f"{name}: {seconds[name]:.1f} s: {done.stderr.strip()[:90]}…")
        for each in waiting:
            each.close()
    print()
    return {"offline_s": max(seconds.values())}


GET = """
import re, sys
from functools import partial
from pathlib import Path

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers", "open_clip", "timm"):
            raise ImportError(name)

sys.meta_path.insert(0, NoTorch())
from geoloc.cli.main import app
from training.config import HeadConfig, WorldConfig
from training.recipes import catalogued
from training.recipes.geoclip import models

heads = HeadConfig(tau_km=75.0, epochs=1, weight_decay=10.0, whitening=0.0)
small = WorldConfig(per_cell=400, examples=200, held_out=40, heads=heads)
catalogued.install = partial(catalogued.install, config=small, points=300)
catalogued.everywhere = lambda places, points: places
models.PLACES = 300
code = app(["bundle", "get", "geoclip"], result_action="return_value")
status = Path("/proc/self/status").read_text()
print(re.search(r"VmHWM:\\s+(\\d+)", status)[1])
sys.exit(code)
"""


def getting(folder: Path) -> Keys:
    """Install GeoCLIP at its published size from a local Hub, whose connection breaks once.

    Its image tower is a network of random numbers. The world model is small, so that the time is
    mostly that of the files.
    """
    import geoclip

    from geoloc.bundle.catalogue import catalogue
    from tests.geoloc.bundle import fabricated
    from tests.geoloc.bundle.publisher import Hub

    tower, places, gallery_file = (file.name for file in catalogue()["geoclip"].files)
    published = folder / "published"
    for name in (tower, gallery_file):
        (published / name).parent.mkdir(parents=True, exist_ok=True)
    fabricated.onnx_network(published / tower, ("pixel_values", "image_embeds"), 3, hidden=50_000)
    fabricated.onnx_network(published / places, ("location", "location_embeds"), 2)
    package = Path(geoclip.__file__).parent / "model" / gallery_file
    shutil.copy(package, published / gallery_file)
    size = sum(path.stat().st_size for path in published.rglob("*") if path.is_file())
    with Hub(published, "Xenova/geoclip-large-patch14") as server:
        environment = os.environ | {
            "HF_ENDPOINT": server.url, "XDG_DATA_HOME": str(folder / "data"),
            "XDG_CACHE_HOME": str(folder / "cache"), "PYTHONPATH": str(ROOT),
        }  # fmt: skip
        environment.pop("HF_HUB_OFFLINE", None)
        seconds, peaks = [], []
        for breaks in (30_000_000, None):
            server.close_after = {tower: breaks} if breaks else {}
            begin = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-c", GET],
                capture_output=True, text=True, check=False, env=environment, cwd=ROOT,
            )  # fmt: skip
            seconds.append(time.perf_counter() - begin)
            assert done.returncode == (2 if breaks else 0), done.stderr
            assert not breaks or "run the same command again to resume" in done.stderr
            peaks.append(int(done.stdout.split()[-1]) * 1024 / 1e9)
        ranges = [asked for name, asked in server.requests if name == tower]
    print(
        f"{size / 1e6:,.0f} MB; broken off after {seconds[0]:.0f} s, then {seconds[1]:.0f} s to the"
    )
    print(f"bundle; {len(ranges)} requests for the tower; at most {peaks[1]:.1f} GB of memory\n")
    return {"get_s": seconds[1], "get_gb": peaks[1]}


MEASUREMENTS: tuple[Callable[[Path], Keys], ...] = (
    places, towers, loading, adding, own_photos, gallery, offline, getting, scale,
)  # fmt: skip
"""Each prints what it measured in a folder for temporary files, and returns keys of the JSON.

`loading` needs the tower that `towers` writes. `scale` runs only by its name.
"""

BY_DEFAULT = [measure.__name__ for measure in MEASUREMENTS if measure is not scale]


def main(names: list[str]) -> None:
    """Run the measurements and print the results."""
    keys: Keys = {}
    with tempfile.TemporaryDirectory() as temporary:
        for measure in MEASUREMENTS:
            if measure.__name__ in (names or BY_DEFAULT):
                keys |= measure(Path(temporary))
    print(json.dumps({name: float(f"{value:.3g}") for name, value in keys.items()}))


if __name__ == "__main__":
    main(sys.argv[1:])
