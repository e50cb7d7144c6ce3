"""Progress of pretraining: in which country was a photo taken, by captions of countries alone."""

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
from training.data.loading import Tokenizer, load_photo
from training.engine.parallel import Processes

BATCH = 64


class Prompts(Protocol):
    """Who writes a caption for each country; see `training.pretrain.captions`."""

    def country_prompts(self, countries: list[str]) -> list[str]:
        """One caption for each country name."""
        ...


class CountryAccuracy:
    """Share of held-out photos whose country's caption is the most similar of all countries'.

    It needs no head and no cell, so it tells how much geography the towers have learned.
    """

    def __init__(
        self,
        table: pa.Table,
        folder: Path,
        prompts: Prompts,
        tokenizer: Tokenizer,
        preprocessing: Preprocessing,
        processes: Processes,
        most: int = 2048,
    ) -> None:
        """Choose the photos.

        Args:
            table: enriched photo table of held-out photos.
            folder: what its file names are relative to.
            prompts: writes the captions of countries.
            tokenizer: of the text tower.
            preprocessing: of the image tower.
            processes: share the work.
            most: so many photos at most, spread over the table.
        """
        known = np.flatnonzero(table["country"].fill_null("").to_numpy(zero_copy_only=False) != "")
        rows = known[np.unique(np.linspace(0, len(known) - 1, min(most, len(known))).astype(int))]
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
        """Measure; all processes call it together, and each looks at its share of the photos."""
        if self._prompts is None:
            return {}
        me = self._processes
        training = model.training
        model.eval()
        counts = torch.zeros(2, device=me.device)  # right, all
        mine = np.arange(me.rank, len(self._table), me.count)
        rounds = math.ceil(len(self._table) / (me.count * BATCH))  # the same in all processes
        for number in range(rounds):
            counts += self._right(model, mine[number * BATCH : (number + 1) * BATCH])
        model.train(training)
        right, all_photos = me.total(counts).tolist()
        return {"country_accuracy": right / max(1.0, all_photos), "countries": len(self._prompts)}

    def _right(self, model: nn.Module, rows: np.ndarray) -> Tensor:
        device = self._processes.device
        assert self._prompts is not None
        pixels, truth = self._read(rows)
        if not pixels:  # sharded towers compute together: nobody may stay away
            size = self._preprocessing.size
            pixels = [np.zeros((3, size, size), np.float32)]
        images = torch.from_numpy(np.stack(pixels)).to(device)
        out = model(images, self._prompts.to(device))
        guess = (out["image_features"] @ out["text_features"].T).argmax(dim=1)[: len(truth)]
        target = torch.tensor(truth, device=device, dtype=torch.long)
        return torch.tensor([(guess == target).sum(), len(truth)], device=device)

    def _read(self, rows: np.ndarray) -> tuple[list[np.ndarray], list[int]]:
        pixels, truth = [], []
        for row in rows.tolist():
            try:
                loaded = load_photo(
                    self._table, self._folder, row, min_side=self._preprocessing.min_side
                )
            except PhotoError:
                continue  # named by `geoloc-train embed`; here it only counts for nothing
            pixels.append(self._preprocessing(loaded.image))
            truth.append(int(self._truth[row]))
        return pixels, truth
