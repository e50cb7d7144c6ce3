"""Build and ask the bundle of every catalogue entry of a kind, where torch cannot be imported.

    python without_torch.py FILES OUT PHOTOS KIND

Prints one JSON line for each entry.
"""

import hashlib
import json
import sys
import traceback
import zipfile
from pathlib import Path

BLOCKED = ("torch", "torchvision", "open_clip", "timm", "transformers", "sklearn", "geoclip")


class Block:
    """An import hook that finds none of the heavy libraries."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Block())


def main(files: Path, out: Path, photos: Path, kind: str) -> None:
    from geoloc import Geolocator
    from geoloc.bundle.catalogue import catalogue
    from training.config import HeadConfig, WorldConfig
    from training.recipes import catalogued
    from training.recipes.geoclip import build, models, published

    catalogued.everywhere = lambda places, points: places
    models.PLACES = 300
    calibrate_once(build)
    small = HeadConfig(tau_km=75.0, epochs=1, weight_decay=10.0, whitening=0.0)
    config = WorldConfig(per_cell=100, examples=200, held_out=40, heads=small)
    for entry in catalogue().values():
        if entry.missing or entry.kind != kind:
            continue
        paths = [files / entry.name / file.local(file.name) for file in entry.files]
        if entry.name == "geoclip-original":
            with zipfile.ZipFile(paths[1]) as archive:
                read = {name: archive.read(f"geoclip/model/{name}") for name in published._FILES}
            digests = {name: hashlib.sha256(read[name]).hexdigest() for name in read}
            published._FILES.update(digests)
        own = photos if entry.kind == "encoder" else None
        try:
            catalogued.install(
                entry, paths, out / entry.name, cache=out / "cache", photos=own, config=config,
                towns=300,
            )  # fmt: skip
            guess = Geolocator.from_bundle(out / entry.name).locate(sorted(photos.iterdir())[0])
            answer = {"lat": guess.lat, "lon": guess.lon, "confidence": guess.confidence}
        except Exception:
            answer = {"error": traceback.format_exc()}
        print(json.dumps({"name": entry.name, **answer}), flush=True)
    loaded = [name for name in BLOCKED if name in sys.modules]
    print(json.dumps({"name": "blocked", "loaded": loaded}))


def calibrate_once(build) -> None:
    """Let all world models share the calibration of the first one, which takes most of the time."""
    calibrate, fitted = build._SimulatedWorld.calibrate, []

    def once(world, ranker):
        if not fitted:
            fitted.append((calibrate(world, ranker), ranker.calibration))
        metrics, ranker.calibration = fitted[0]
        return metrics

    build._SimulatedWorld.calibrate = once


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]), sys.argv[4])
