"""Heads trained on the features of the frozen tower, which fine-tuning starts from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock

from geocells.table import CellTable
from geoloc.encoders.registry import describe
from geoloc.io.atomic import atomic_path
from geoloc.types import IndexArray
from training.config import HeadConfig
from training.data.table import latlon_of, strings_of
from training.embed.table import EmbeddedTable, embed_table
from training.heads.examples import Examples, attributes_of, location_numbers, mean_views
from training.heads.fit import TrainedHeads, train_heads
from training.heads.modules import GeoHeads
from training.pretrain.panoramas import Panoramas

_MODEL = "model."
"""Prefix of the names of the module's tensors in the file."""


def starting_heads(
    panoramas: Panoramas,
    folder: Path,
    model: Path,
    cells: CellTable,
    run_folder: Path,
    config: HeadConfig,
    settings: dict[str, Any],
) -> TrainedHeads:
    """Embed all photos with the frozen tower and train the heads, or read those of an earlier call.

    Under torchrun the first process does the work and the others wait for it.

    Args:
        panoramas: photos of the splits train and val.
        folder: folder that their file names are relative to.
        model: folder written by `pretrain`.
        cells: geocells.
        run_folder: folder of heads and embeddings.
        config: settings of the heads.
        settings: what the heads depend on, all of it.

    Raises:
        TableError: no photo can be read.
    """
    run_folder.mkdir(parents=True, exist_ok=True)
    file = run_folder / "starting_heads.safetensors"
    made_from = json.dumps(settings, sort_keys=True)
    with FileLock(run_folder / "starting_heads.lock"):
        if not (file.is_file() and _made_from(file) == made_from):
            spec = describe(f"open_clip_tokens:local-dir:{model}")
            embedded = embed_table(panoramas.table, folder, spec, None, run_folder / "frozen")
            _write(file, _train(embedded, cells, config), made_from)
    return _read(file, cells, config)


def _train(embedded: EmbeddedTable, cells: CellTable, config: HeadConfig) -> TrainedHeads:
    """Train the heads on the means of the views; the split val decides when to stop.

    Without it they are trained for the default number of epochs, if the settings say more.
    """
    photos = embedded.photos
    means, first = mean_views(embedded.embeddings, location_numbers(photos))
    places = photos.take(first)
    latlon, attributes = latlon_of(places), attributes_of(places)

    def examples(rows: IndexArray) -> Examples:
        weights = np.ones(len(rows), np.float32)
        return Examples(means[rows], latlon[rows], weights, attributes.take(rows))

    split = strings_of(places, "split")
    train, val = (np.flatnonzero(split == name) for name in ("train", "val"))
    if not len(val):
        config = replace(config, epochs=min(config.epochs, HeadConfig.epochs))
        return train_heads(examples(train), cells, config)
    return train_heads(examples(train), cells, config, examples(val) if config.patience else None)


def _made_from(file: Path) -> str:
    from safetensors import safe_open

    with safe_open(file, "pt") as stored:
        return str((stored.metadata() or {}).get("made_from"))


def _write(file: Path, heads: TrainedHeads, made_from: str) -> None:
    from safetensors.torch import save_file

    arrays = {name: value for name, value in vars(heads).items() if name != "model"}
    tensors = {
        name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()
    }
    for name, tensor in heads.model.state_dict().items():
        tensors[_MODEL + name] = tensor.cpu().contiguous()
    with atomic_path(file) as temporary:
        save_file(tensors, temporary, {"made_from": made_from})


def _read(file: Path, cells: CellTable, config: HeadConfig) -> TrainedHeads:
    from safetensors.torch import load_file

    tensors = load_file(file)
    own = {name.removeprefix(_MODEL): tensors.pop(name) for name in [*tensors] if _MODEL in name}
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    active = cells.take(arrays["active"])
    hierarchy = active.hierarchy if config.hierarchical else None
    width = arrays["projection"].shape[1]
    model = GeoHeads(width, len(active), hierarchy, attributes=config.attributes)
    model.load_state_dict(own)
    return TrainedHeads(model, **arrays)
