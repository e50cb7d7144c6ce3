"""Many small photos, and a geolocator that answers them in no time."""

from pathlib import Path

import numpy as np
from PIL import Image

from geoloc.batch.run import Options, run
from geoloc.bundle import directory
from geoloc.encoders.base import normalise
from geoloc.geolocator import Geolocator

DAMAGED = b"\xff\xd8\xff\xe0 not a photo"


class QuickEncoder:
    """A few pixels as embedding; counts what it is asked."""

    def __init__(self, spec) -> None:
        self.spec = spec
        self.embedded = 0

    def embed(self, pixels):
        self.embedded += len(pixels)
        few = pixels[:, :, ::13, ::13].reshape(len(pixels), -1)
        return normalise(np.pad(few, ((0, 0), (0, self.spec.dim - few.shape[1]))))


class Silent:
    """Reports to nobody, and remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.answered = self.already = 0

    def stage(self, name, total=None):
        self.answered = self.already = 0

    def advance(self, photos, already=False):
        self.answered += photos * (not already)
        self.already += photos * already

    def problem(self, line):
        self.lines.append(line)


def quick_geolocator() -> Geolocator:
    loaded = directory.load("starter")
    return Geolocator(loaded, QuickEncoder(loaded.encoder_spec))


def draw(path: Path, seed: int) -> Path:
    """A small photo unlike all others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (4, 6, 3), np.uint8)
    Image.fromarray(pixels).resize((48, 32), Image.Resampling.BICUBIC).save(path, quality=90)
    return path


def answer(inputs, out: Path, report=None, **options):
    """A batch with the embeddings kept beside its output."""
    options = {"cache": out.parent / "cache", "part": 4, **options}
    return run([str(each) for each in inputs], out, Options(**options), report or Silent())
