"""Selection of the epoch of fine-tuning with the highest accuracy on held-out places."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from geoloc.io.atomic import atomic_write_text
from training.engine.parallel import Processes
from training.pretrain.panoramas import Views


class BestEpoch:
    """Keeps the model of the epoch with the highest accuracy on held-out places, as published."""

    def __init__(
        self,
        folder: Path,
        places: Views,
        batch: int,
        write: Callable[[Path], None],
        processes: Processes,
    ) -> None:
        """Continue with the best epoch that `folder` holds; there is none in a new run."""
        self.model = folder / "model"
        self._note, self._places, self._batch = folder / "accuracy.json", places, batch
        self._write, self._processes = write, processes

    def __call__(self, model: nn.Module) -> dict[str, float]:
        """Measure the top-1 accuracy of the cells; write the model if it is the highest so far."""
        share = len(self._places) // self._processes.count
        if not share:
            return {}
        places = np.arange(share) * self._processes.count + self._processes.rank
        right = torch.zeros((), device=self._processes.device)
        model.eval()
        with torch.no_grad():
            for start in range(0, share, self._batch):
                items = [(0, place) for place in places[start : start + self._batch].tolist()]
                batch = self._places.__getitems__(items).to(self._processes.device)
                right += model(batch.images, batch.row)
        model.train()
        accuracy = self._processes.sum(right).item() / (share * self._processes.count)
        best = -1.0
        if self._note.is_file() and self.model.is_dir():
            best = float(json.loads(self._note.read_text(encoding="utf-8")))
        self._processes.barrier()
        if accuracy > best:
            self._write(self.model)
            if self._processes.first:
                atomic_write_text(self._note, json.dumps(accuracy))
        return {"accuracy": accuracy}
