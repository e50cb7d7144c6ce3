"""Helpers of batch tests: small photos, a fast geolocator, and a reporter that records."""

from pathlib import Path

import numpy as np
from PIL import Image

from geoloc.batch.run import Options, run
from geoloc.bundle import directory
from geoloc.encoders.base import normalise
from geoloc.geolocator import Geolocator

DAMAGED = b"\xff\xd8\xff\xe0 not a photo"


class QuickEncoder:
    """An encoder that takes a few pixels as the embedding, and counts photos."""

    def __init__(self, spec) -> None:
        self.spec = spec
        self.embedded = 0

    def embed(self, pixels):
        self.embedded += len(pixels)
        few = pixels[:, :, ::13, ::13].reshape(len(pixels), -1)
        return normalise(np.pad(few, ((0, 0), (0, self.spec.dim - few.shape[1]))))


class RecordingReporter:
    """A reporter that counts the steps of the current stage and keeps all problems."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.answered = self.already = 0

    def stage(self, name, total=None):
        self.answered = self.already = 0

    def advance(self, steps=1, already=False):
        self.answered += steps * (not already)
        self.already += steps * already

    def problem(self, line):
        self.lines.append(line)

    note = problem


def quick_geolocator() -> Geolocator:
    loaded = directory.load("starter")
    return Geolocator(loaded, QuickEncoder(loaded.encoder_spec))


def draw(path: Path, seed: int) -> Path:
    """Write a small photo with random content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (4, 6, 3), np.uint8)
    Image.fromarray(pixels).resize((48, 32), Image.Resampling.BICUBIC).save(path, quality=90)
    return path


def answer(inputs, out: Path, report=None, **options):
    """Run a batch with small parts, and its cache beside the output."""
    options = {"cache": out.parent / "cache", "part_size": 4, **options}
    return run(
        [str(each) for each in inputs], out, Options(**options), report or RecordingReporter()
    )
