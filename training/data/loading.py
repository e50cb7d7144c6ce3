"""Batches of photos with captions for pretraining."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from geoloc.encoders.base import Preprocessing
from geoloc.errors import PhotoError, TableError
from geoloc.io import machine
from geoloc.types import UInt8Array
from training.data.packed import load_photo

MIN_CROP_AREA = 0.9
"""Photos are cropped at random to squares of at least this share of the area of the largest square.
They are never mirrored: writing, road markings and the driving side would become wrong."""

MAX_SUBSTITUTES = 100
"""More unusable photos than this, one after the other, are an error: the collection is broken."""

Result = TypeVar("Result")


class Captioner(Protocol):
    """Writes captions; see `training.pretrain.captions`."""

    def batch(self, table: pa.Table, rows: Any, seed: int, epoch: int) -> list[str]:  # noqa: ANN401
        """Return one caption for each of some rows, "" without metadata to build one from."""
        ...


class Tokenizer(Protocol):
    """Converts texts to tokens, as the tokenizers of open_clip do."""

    def __call__(self, texts: list[str]) -> Tensor:
        """Return tokens (B, context length), int64."""
        ...


@dataclass(frozen=True, eq=False)
class Batch:
    """B photos and captions."""

    pixels: Tensor
    """(B, 3, size, size) uint8, a quarter of the memory of what the network takes; see `images`."""
    scale: Tensor
    """(2, 3) float32, mean and deviation of each channel, of values in 0..1."""
    tokens: Tensor
    """(B, context length) int64."""
    caption: Tensor
    """(B,) int64 hashes, equal for equal captions only."""
    latlon: Tensor
    """(B, 2) float64 degrees."""
    row: Tensor
    """(B,) int64 rows of the photo table."""
    left_out: list[str] = field(default_factory=list)
    """A line for each photo that was replaced by another one, and each reader that was replaced."""

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def images(self) -> Tensor:
        """Input of the image tower (B, 3, size, size) float32, computed where the batch is."""
        mean, deviation = self.scale[:, :, None, None]
        return self.pixels.float().div_(255.0).sub_(mean).div_(deviation)

    def pin_memory(self) -> Batch:
        """Return the batch in pinned memory, for transfers that overlap with computation."""
        return self._moved(lambda tensor: tensor.pin_memory())

    def to(self, device: torch.device) -> Batch:
        """Return the batch on another device."""
        return self._moved(lambda tensor: tensor.to(device, non_blocking=True))

    def _moved(self, move: Callable[[Tensor], Tensor]) -> Batch:
        return Batch(
            move(self.pixels), move(self.scale), move(self.tokens), move(self.caption),
            move(self.latlon), move(self.row), self.left_out,
        )  # fmt: skip


class CaptionedPhotos:
    """A dataset whose items depend only on seed, epoch and row."""

    def __init__(
        self,
        table: pa.Table,
        folder: Path,
        captioner: Captioner,
        tokenizer: Tokenizer,
        preprocessing: Preprocessing,
        seed: int = 0,
    ) -> None:
        """Store the parts of the dataset.

        Args:
            table: enriched photo table.
            folder: folder that its file names are relative to.
            captioner: writes the captions.
            tokenizer: of the text tower.
            preprocessing: of the image tower.
            seed: of crops and captions.
        """
        self._table = table.combine_chunks()  # otherwise `take` copies whole columns of text
        self._folder = folder
        self._captioner = captioner
        self._tokenizer = tokenizer
        self._preprocessing = preprocessing
        self._scale = torch.tensor([preprocessing.mean, preprocessing.std], dtype=torch.float32)
        self._seed = seed

    def __len__(self) -> int:
        return len(self._table)

    def __getitems__(self, items: list[tuple[int, int]]) -> Batch:
        """Return the batch of items (epoch, row), all of one epoch."""
        epoch = items[0][0]
        asked = [row for _, row in items]
        written = self._captioner.batch(self._table, np.array(asked), self._seed, epoch)
        found = on_threads(partial(self._usable, epoch), asked, written)
        rows, captions, pixels, left_out = map(list, zip(*found, strict=True))
        latlon = np.stack([self._table[name].take(rows).to_numpy() for name in ("lat", "lon")], 1)
        return Batch(
            torch.from_numpy(np.stack(pixels)),
            self._scale,
            self._tokenizer(captions),
            torch.tensor([_hash(caption) for caption in captions]),
            torch.from_numpy(latlon),
            torch.tensor(rows),
            [line for lines in left_out for line in lines],
        )

    def _usable(self, epoch: int, row: int, caption: str) -> tuple[int, str, UInt8Array, list[str]]:
        """Return row, caption and pixels of the photo, or of one that is drawn instead of it.

        It is drawn from all photos, because a damaged shard has many rows that are neighbours. Last
        come the reasons for those that were not used.
        """
        left_out: list[str] = []
        rng = np.random.default_rng((self._seed, epoch, row, 1))
        for _ in range(MAX_SUBSTITUTES):
            try:
                if not caption:
                    name = self._table["photo_id"][row].as_py()
                    raise PhotoError(f"{name}: no metadata to build a caption from")
                return row, caption, self._pixels(epoch, row), left_out
            except PhotoError as error:
                left_out.append(str(error))
                row = int(rng.integers(len(self._table)))
                (caption,) = self._captioner.batch(self._table, np.array([row]), self._seed, epoch)
        raise TableError(
            f"{MAX_SUBSTITUTES} photos drawn one after the other cannot be used, the last because"
            f" of {left_out[-1]}; check the file names in the photo table"
        )

    def _pixels(self, epoch: int, row: int) -> UInt8Array:
        loaded = load_photo(self._table, self._folder, row, min_side=self._preprocessing.size)
        rng = np.random.default_rng((self._seed, epoch, row))
        return self._preprocessing.square(_random_square(loaded.image, rng))


def on_threads(read: Callable[..., Result], *items: Iterable[Any]) -> list[Result]:
    """Map a function that decodes photos over its arguments, on a thread for each core.

    A reading process of `training.engine.readers` has one thread, as there are many of them.
    """
    if get_worker_info() is not None:
        return list(map(read, *items))
    with ThreadPoolExecutor(machine.cores()) as pool:
        return list(pool.map(read, *items))


def _random_square(image: Any, rng: np.random.Generator) -> Any:  # noqa: ANN401
    shortest = min(image.size)
    side = max(1, round(shortest * np.sqrt(rng.uniform(MIN_CROP_AREA, 1.0))))
    left = int(rng.integers(0, image.width - side + 1))
    top = int(rng.integers(0, image.height - side + 1))
    return image.crop((left, top, left + side, top + side))


def _hash(caption: str) -> int:
    digest = hashlib.blake2b(caption.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)
