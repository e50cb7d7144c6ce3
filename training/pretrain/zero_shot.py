"""Zero-shot country accuracy: a measure of progress in pretraining."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from geoloc.encoders.base import Preprocessing
from geoloc.errors import PhotoError
from geoloc.types import Float32Array
from training.data.loading import Tokenizer, on_threads
from training.data.packed import load_photo
from training.engine.parallel import Processes

BATCH = 64
"""Photos per forward pass."""


class Prompts(Protocol):
    """Source of country captions; see `training.pretrain.captions.Captioner`."""

    def country_prompts(self, countries: list[str]) -> list[str]:
        """Return one caption for each country name."""
        ...


class CountryAccuracy:
    """Share of held-out photos whose most similar country caption is that of their own country.

    It needs neither heads nor geocells, so it measures the geography in the towers alone.
    """

    def __init__(
        self,
        table: pa.Table,
        folder: Path,
        prompts: Prompts,
        tokenizer: Tokenizer,
        preprocessing: Preprocessing,
        processes: Processes,
        limit: int = 2048,
    ) -> None:
        """Select the photos and tokenise the captions of their countries.

        Args:
            table: enriched photo table of held-out photos.
            folder: folder that its file names are relative to.
            prompts: source of country captions.
            tokenizer: tokenizer of the text tower.
            preprocessing: preprocessing of the image tower.
            processes: processes that share the work.
            limit: maximum number of photos, spread evenly over the table.
        """
        known = np.flatnonzero(table["country"].fill_null("").to_numpy(zero_copy_only=False) != "")
        rows = known[np.unique(np.linspace(0, len(known) - 1, min(limit, len(known))).astype(int))]
        self._table = table.take(rows)
        self._folder = folder
        self._preprocessing = preprocessing
        self._processes = processes
        names, self._truth = np.unique(
            self._table["country"].to_numpy(zero_copy_only=False).astype(str), return_inverse=True
        )
        self._prompts = tokenizer(prompts.country_prompts(names.tolist())) if len(rows) else None

    @torch.no_grad()
    def __call__(self, model: nn.Module) -> dict[str, float]:
        """Return accuracy and number of countries, {} without photos; all processes call it."""
        if self._prompts is None:
            return {}
        processes = self._processes
        training = model.training
        model.eval()
        counts = torch.zeros(2, device=processes.device)  # correct, all
        mine = np.arange(processes.rank, len(self._table), processes.count)
        rounds = math.ceil(len(self._table) / (processes.count * BATCH))  # equal in all processes
        for number in range(rounds):
            counts += self._count(model, mine[number * BATCH : (number + 1) * BATCH])
        model.train(training)
        correct, photos = processes.sum(counts).tolist()
        return {"country_accuracy": correct / max(1.0, photos), "countries": len(self._prompts)}

    def _count(self, model: nn.Module, rows: np.ndarray) -> Tensor:
        """Count (correct, all) of some rows."""
        device = self._processes.device
        assert self._prompts is not None
        pixels, truth = self._read(rows)
        if not pixels:  # sharded towers need every process in the forward pass
            size = self._preprocessing.size
            pixels = [np.zeros((3, size, size), np.float32)]
        images = torch.from_numpy(np.stack(pixels)).to(device)
        out = model(images, self._prompts.to(device))
        predicted = (out["image_features"] @ out["text_features"].T).argmax(dim=1)[: len(truth)]
        target = torch.tensor(truth, device=device, dtype=torch.long)
        return torch.tensor([(predicted == target).sum(), len(truth)], device=device)

    def _read(self, rows: np.ndarray) -> tuple[list[np.ndarray], list[int]]:
        """Return pixels and countries of the readable ones among some rows."""
        read = on_threads(self._photo, rows.tolist())
        known = [
            (pixels, row) for pixels, row in zip(read, rows, strict=True) if pixels is not None
        ]
        return [pixels for pixels, _ in known], [int(self._truth[row]) for _, row in known]

    def _photo(self, row: int) -> Float32Array | None:
        try:
            loaded = load_photo(self._table, self._folder, row, min_side=self._preprocessing.size)
        except PhotoError:
            return None  # reported by `geoloc-train embed`; not counted here
        return self._preprocessing(loaded.image)
