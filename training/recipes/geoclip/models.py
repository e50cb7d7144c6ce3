"""What a world bundle is built from: an image encoder, a location encoder, and where photos are."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from geocells.places import towns
from geoloc.bundle.catalogue import Entry
from geoloc.bundle.installed import GEOCLIP_PACKAGE
from geoloc.encoders.base import EncoderSpec
from geoloc.encoders.onnx import OnnxEncoder
from geoloc.encoders.towers.families import Tower
from geoloc.encoders.towers.graph import NETWORK
from geoloc.encoders.towers.location import LocationEncoder, OnnxLocationEncoder, PlaceEncoder
from geoloc.errors import BundleError
from geoloc.io.digests import sha256
from geoloc.io.tensors import Tensors, read_tensors
from geoloc.types import Float64Array
from training.config import ClipForm
from training.recipes.geoclip.encoder import WorldEncoder, load_world_encoder
from training.recipes.geoclip.published import LICENCE, Published, read_gallery

PLACES = 40_000
"""Largest towns that stand for where photos are taken, for a model without a gallery."""

GEOCLIP_RESULTS = """\
GeoCLIP's own accuracy on IM2GPS3k, as its authors published it (Vivanco Cepeda et al. 2023):
14.1 / 34.5 / 50.7 / 69.7 / 83.8 % within 1 / 25 / 200 / 750 / 2500 km, with their gallery of
100,000 points. This bundle was not measured on IM2GPS3k."""

_HEADS = {
    "": (),
    "geoclip-package": ("0", "2"),
    "geoclip": ("mlp.0", "mlp.2"),
    "plonk": ("cond_mapper",),
}
"""Names of the linear layers that follow a tower, by the `head` of an entry."""

_PROBE = np.zeros((1, 2), np.float32)


@dataclass(frozen=True, eq=False)
class WorldModel:
    """Encoders of photos and of places into one space."""

    encoder: WorldEncoder
    location: PlaceEncoder
    photo_places: Float64Array
    """(P, 2) degrees of places with photos, which cells and prior follow."""
    title: str
    licences: dict[str, int]
    results: str = ""
    """What its authors measured, for the card."""
    sources: dict[str, Any] = field(default_factory=dict)
    """Files that it was made from, with their sha256."""


def from_torch(cache: Path, clip: str, form: ClipForm | None) -> WorldModel:
    """Return GeoCLIP on a tower of open_clip, with the head from the installed package.

    Raises:
        BundleError: weights are missing or damaged.
        MissingExtraError: a library is not installed.
    """
    published = Published.find()
    encoder = load_world_encoder(published, cache, clip, form)
    licences = {f"{LICENCE} ({GEOCLIP_PACKAGE})": 1, f"{LICENCE} (OpenAI CLIP)": 1}
    title = f"GeoCLIP's image head and location encoder ({GEOCLIP_PACKAGE}) on OpenAI's CLIP"
    return WorldModel(
        encoder, published.location_encoder(), published.gallery, title, licences, GEOCLIP_RESULTS
    )


def from_entry(entry: Entry, paths: list[Path], folder: Path) -> WorldModel:
    """Return the world model of a catalogue entry, without torch.

    Args:
        entry: of the kind "world".
        paths: its files, in its order.
        folder: for the files of the encoder.

    Raises:
        BundleError: a file is not what the entry describes.
        MissingExtraError: a library is not installed.
    """
    sources = {
        file.local(file.name): sha256(path) for file, path in zip(entry.files, paths, strict=True)
    }
    places, results = None, ""
    location: PlaceEncoder
    if entry.family == "onnx":
        encoder = _published_network(entry, paths[0], folder)
        location, places = OnnxLocationEncoder(paths[1]), read_gallery(paths[2].read_bytes())
        results = GEOCLIP_RESULTS
    elif entry.name == "geoclip-original":
        published = Published.find(paths[1])
        encoder = written_tower(entry, paths[0], folder, published.image_head())
        location, places, results = published.location_encoder(), published.gallery, GEOCLIP_RESULTS
    else:
        tensors = read_tensors(paths[0])
        encoder = written_tower(entry, paths[0], folder, tensors, tensors)
        location = LocationEncoder.of(tensors, paths[0].name)
    if location.embed(_PROBE).shape[1] != encoder.spec.dim:
        raise BundleError(
            f"{paths[-1]}: its vectors of places and of photos differ in length; the files are of"
            " different versions: fetch them again"
        )
    if places is None:
        places = largest_towns(PLACES)
    return WorldModel(
        encoder, location, places, entry.title, {f"{entry.licence} ({entry.title})": 1}, results,
        sources,
    )  # fmt: skip


def written_tower(
    entry: Entry, path: Path, folder: Path, head: Tensors, tensors: Tensors | None = None
) -> WorldEncoder:
    """Write the tower of an entry as a network into a folder.

    Args:
        entry: of the catalogue.
        path: its file of tensors.
        folder: to write to.
        head: tensors that hold the layers which follow the tower, if the entry has any.
        tensors: of the file, if they are read already.
    """
    assert entry.pixels is not None
    found = read_tensors(path) if tensors is None else tensors
    tower = Tower(entry.family, found, str(path), entry.pixels, _layers(entry, head, path))
    spec = tower.write(folder, entry.name)
    files = tuple(sorted(folder.iterdir()))
    note = "written as an ONNX network from the published tensors"
    return WorldEncoder(OnnxEncoder(spec, folder), spec, files, note)


def _layers(entry: Entry, head: Tensors, path: Path) -> tuple[tuple[Any, Any], ...]:
    """Return the linear layers that follow a tower."""
    layers = []
    for name in _HEADS[entry.head]:
        found = [key for key in head if key == f"{name}.weight" or key.endswith(f".{name}.weight")]
        if len(found) != 1:
            raise BundleError(
                f"{path}: {len(found)} of its tensors are called {name}.weight, expected one; it"
                " may be of another version: update planet-geoloc"
            )
        layers.append((head[found[0]], head[found[0].removesuffix("weight") + "bias"]))
    return tuple(layers)


def _published_network(entry: Entry, path: Path, folder: Path) -> WorldEncoder:
    """Copy a network that was published as ONNX, and describe it."""
    assert entry.pixels is not None
    target = folder / NETWORK
    shutil.copyfile(path, target)
    spec = EncoderSpec("onnx", entry.name, sha256(target), 0, entry.pixels)
    size = entry.pixels.size
    network = OnnxEncoder(spec, folder)
    dim = network.embed(np.zeros((1, 3, size, size), np.float32)).shape[1]
    spec = EncoderSpec("onnx", entry.name, spec.weights, dim, entry.pixels)
    network.spec = spec
    return WorldEncoder(network, spec, (target,), "as its publisher exported it")


def largest_towns(count: int) -> Float64Array:
    """Return the coordinates (P, 2) in degrees of the largest towns of the world."""
    places = towns()
    largest = np.argsort(-places.population, kind="stable")[:count]
    return np.asarray(places.points.latlon[largest])
