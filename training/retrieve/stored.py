"""Fitted spaces in a folder, so that an interrupted run does not train them again."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from geoloc.errors import BundleError
from geoloc.io.atomic import atomic_directory
from geoloc.retrieval.bands import BandHeads
from training.retrieve.location import LocationEncoder
from training.retrieve.places import Spaces
from training.retrieve.settings import RetrieveRecipe

_HEADS, _MAPS, _ENCODER = "heads.safetensors", "maps.safetensors", "location.safetensors"
_STATE = "spaces.json"


def save_spaces(spaces: Spaces, folder: Path, made_from: str) -> None:
    """Write spaces to a folder; it appears complete or not at all.

    Args:
        spaces: with a location encoder or without.
        folder: to write; an older one is replaced.
        made_from: identifies photos and settings.
    """
    with atomic_directory(folder, replace=True) as partial:
        spaces.heads.write(partial / _HEADS)
        maps = {name: torch.from_numpy(value) for name, value in spaces.maps.items()}
        save_file(maps, partial / _MAPS)
        if spaces.encoder is not None:
            weights = {name: value.cpu() for name, value in spaces.encoder.state_dict().items()}
            save_file(weights, partial / _ENCODER)
        state = {"made_from": made_from, "maps": list(maps)}
        (partial / _STATE).write_text(json.dumps(state), encoding="utf-8")


def load_spaces(folder: Path, made_from: str, recipe: RetrieveRecipe) -> Spaces | None:
    """Return the spaces of a folder; None unless they are complete and of these photos."""
    try:
        state = json.loads((folder / _STATE).read_text(encoding="utf-8"))
        if state["made_from"] != made_from:
            return None
        heads = BandHeads.read(folder / _HEADS)
        stored = load_file(folder / _MAPS)
        maps = {name: stored[name].numpy() for name in state["maps"]}
        encoder = None
        if "gps" in maps:
            encoder = LocationEncoder(recipe.location, len(maps["gps"]), recipe.seed)
            encoder.load_state_dict(load_file(folder / _ENCODER))
        return Spaces(heads, maps, encoder and encoder.eval())
    except (OSError, ValueError, KeyError, BundleError, SafetensorError):
        return None
