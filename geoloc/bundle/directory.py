"""Bundles: self-describing model directories, verified, loaded and written.

`bundle.json` holds the schema version, the encoder with its preprocessing, the sha256 of every
other file, licences, the prior of use, and the metrics measured when the bundle was built. `FILES`
lists the others.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from geocells.table import CellTable
from geoloc.answer.calibration import Calibration
from geoloc.answer.packs.joined import JoinedRanker, JoinedRecogniser, Pack
from geoloc.answer.ranker import Ranker
from geoloc.belief.attribute_heads import AttributeHeads
from geoloc.belief.background import Background
from geoloc.belief.witnesses.weighing import UNFITTED, Weights
from geoloc.bundle import installed, packs, trust
from geoloc.encoders import forms
from geoloc.encoders.base import EncoderSpec, ImageEncoder
from geoloc.encoders.registry import build_encoder
from geoloc.errors import BundleError
from geoloc.io import machine, thumbnails
from geoloc.io.atomic import atomic_directory
from geoloc.io.digests import remembered_sha256, sha256
from geoloc.retrieval.bands import read_heads
from geoloc.retrieval.copies import Copies
from geoloc.retrieval.cross import CrossReranker, RerankedGallery
from geoloc.retrieval.gallery import Gallery
from geoloc.retrieval.tables import members_file

SCHEMA_VERSION = 3

MANIFEST = "bundle.json"

FILES = (
    "heads.safetensors",
    "cells.parquet",
    "clusters.parquet",
    "prototypes.faiss",
    "members.faiss",
    "calibration.json",
    "MODEL_CARD.md",
)
"""Files of every bundle beside bundle.json and that of the members (`members_file`). An encoder of
kind onnx adds encoder.onnx, and may add its quantised form encoder.int8.onnx."""

ATTRIBUTES = "attributes.safetensors"
BACKGROUND = "background.safetensors"
COPIES = "copies.safetensors"
WITNESSES = "witnesses.json"
CROSS = "cross.safetensors"
"""Optional files, with `thumbnails.FILE`; the last is the cross-source re-ranker."""

BASE_BYTES = 200 * 2**20
"""Memory of the program itself, with the libraries that answering needs."""

EMBEDDED = Path(__file__).parents[1] / "bundles"
"""Folder of the bundles inside the package."""


@dataclass(frozen=True, eq=False)
class Bundle:
    """A loaded model directory."""

    name: str
    path: Path
    encoder_spec: EncoderSpec
    metrics: dict[str, Any]
    """Measured on held-out photos when the bundle was built."""
    ranker: Ranker
    attributes: AttributeHeads | None
    """Heads for elevation, climate and more; None in small bundles."""
    background: Background | None
    """Photos from all over the world; None in a bundle that was made without them."""
    copies: Copies | None = None
    """Recognition of copies of its photos; None in a bundle that was made without it."""
    witness_weights: Weights = UNFITTED
    """How far each witness is trusted."""
    quantised_spec: EncoderSpec | None = None
    """Of the encoder's int8 form; None in a bundle without one."""
    form: str | None = None
    """Form of the encoder to use, see `geoloc.encoders.forms.choose`."""
    packs: tuple[Pack, ...] = ()
    """Photos that were added to it."""
    thumbnails: thumbnails.Thumbnails | None = None  # of photos whose licences allow it

    @cached_property
    def joined(self) -> JoinedRanker:
        """Answers with the bundle and its packs."""
        return JoinedRanker(self.ranker, self.packs)

    @cached_property
    def recogniser(self) -> JoinedRecogniser:
        """Places copies of the photos of the bundle and its packs."""
        return JoinedRecogniser(self.joined, self.copies)

    @cached_property
    def chosen_spec(self) -> EncoderSpec:
        """Of the encoder in the form that is used."""
        both = [each for each in (self.encoder_spec, self.quantised_spec) if each is not None]
        return forms.choose(both, self.path, self.form)

    def build_encoder(self) -> ImageEncoder:
        """Load the image encoder, which takes most of the start-up time."""
        return build_encoder(self.chosen_spec, self.path)

    @property
    def cells(self) -> CellTable:
        """The geocells."""
        return self.ranker.cells


def find(name_or_path: str | os.PathLike[str]) -> Path:
    """Return the folder of a bundle given by its path, or by its name if installed or embedded.

    Raises:
        BundleError: there is no such bundle.
    """
    path = Path(name_or_path)
    if (path / MANIFEST).is_file():
        return path
    if path.name in names() and path.name == str(name_or_path):
        return (installed.folder() if path.name in installed.names() else EMBEDDED) / path
    if path.exists():
        raise BundleError(
            f"{path}: not a bundle (it has no bundle.json); build one with geoloc-train learn"
        )
    if str(name_or_path) == installed.WORLD:
        raise BundleError(f"{path}: not installed yet; run  {installed.world_command()}")
    raise BundleError(
        f"{name_or_path}: no such bundle; give its path, or one of the names {', '.join(names())}"
    )


def names() -> list[str]:
    """Return the names of all installed and embedded bundles, sorted."""
    embedded = {path.parent.name for path in EMBEDDED.glob("*/bundle.json")}
    return sorted(embedded | set(installed.names()))


def load(name_or_path: str | os.PathLike[str], form: str | None = None) -> Bundle:
    """Verify and load a bundle, without its encoder.

    Args:
        name_or_path: see `find`.
        form: of the encoder to use, see `geoloc.encoders.forms.choose`.

    Raises:
        BundleError: the bundle is missing, incomplete, damaged or of another schema version.
        MissingExtraError: FAISS is not installed.
    """
    path = find(name_or_path)
    manifest = verify(path, remembered=True)
    machine.check_free(_memory_bytes(path, manifest["sha256"]), str(path))
    try:
        spec = EncoderSpec.from_dict(manifest["encoder"])
        cells = CellTable.read(path / "cells.parquet", defer=True)
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(path / MANIFEST, str(error)) from error
    heads = read_heads(path / "heads.safetensors")
    trust.check_heads(path / "heads.safetensors", spec.dim, heads, len(cells))
    gallery = Gallery.read(path, len(cells))
    if CROSS in manifest["sha256"]:
        reranker = CrossReranker.read(path / CROSS)
        if len(reranker.hubness) != len(gallery.clusters):
            raise damaged(path / CROSS, "it belongs to another gallery")
        gallery = RerankedGallery(gallery, reranker)
    files = manifest["sha256"]
    attributes = AttributeHeads.read(path / ATTRIBUTES) if ATTRIBUTES in files else None
    background = None
    if BACKGROUND in files:
        background = trust.read_background(path / BACKGROUND, spec.dim)
    copies = Copies.read(path / COPIES) if COPIES in files else None
    if copies is not None and len(copies.signatures) != len(gallery.members):
        raise damaged(path / COPIES, "it belongs to another gallery")
    weights = Weights.read(path / WITNESSES) if WITNESSES in files else UNFITTED
    calibration = Calibration.read(path / "calibration.json").with_witnesses(weights.judge)
    ranker = Ranker(cells, heads, gallery, calibration, background)
    trust.check_gallery(path, ranker)
    name = str(manifest.get("name", path.name))
    digest = files.get(forms.FILES[forms.INT8])
    added, stored = packs.read(path, files, ranker, background), thumbnails.read(path, files)
    return Bundle(
        name, path, spec, manifest["metrics"], ranker, attributes, background, copies, weights,
        forms.int8_spec(spec, digest) if digest else None, form, added, stored,
    )  # fmt: skip


def _memory_bytes(path: Path, names: Iterable[str]) -> int:
    """Return about how much memory a bundle takes: mapped files and a second form take little."""
    read = (each for each in names if not each.endswith((".arrow", ".faiss", ".int8.onnx")))
    return BASE_BYTES + 2 * sum((path / each).stat().st_size for each in read)


def verify(path: Path, *, remembered: bool = False) -> dict[str, Any]:
    """Verify the checksum of every file of a bundle, and return the content of bundle.json.

    Args:
        path: the bundle's folder.
        remembered: do not read files again that have not changed since.

    Raises:
        BundleError: a file is missing or differs, or the schema version is not supported.
    """
    try:
        manifest: dict[str, Any] = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        version, checksums = manifest["schema_version"], dict(manifest["sha256"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise damaged(path / MANIFEST, f"{type(error).__name__}: {error}") from error
    if version != SCHEMA_VERSION:
        raise BundleError(
            f"{path}: bundle schema {version}, this program reads {SCHEMA_VERSION};"
            " install the version of planet-geoloc that built it, or build it again"
        )
    trust.check_files(path, checksums)
    for name in {*FILES, members_file(path).name, *checksums}:
        if not (path / name).is_file():
            raise damaged(path / name, "missing")
        try:
            digest = (remembered_sha256 if remembered else sha256)(path / name)
        except OSError as error:
            raise damaged(path / name, error.strerror or "unreadable") from error
        if checksums.get(name) != digest:
            raise damaged(path / name, "its checksum differs from bundle.json")
    return manifest


def check_target(target: Path) -> None:
    """Raise BundleError if `target` exists and is no bundle or empty folder, or is read-only."""
    empty = target.is_dir() and not any(target.iterdir())
    if target.exists() and not (target / MANIFEST).is_file() and not empty:
        raise BundleError(f"{target}: exists and is not a bundle; choose another name for -o")
    if target.exists() and not os.access(target, os.W_OK):
        raise BundleError(f"{target}: is read-only; allow writing (chmod u+w) or use --out")


@contextmanager
def writing(target: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes the bundle `target` at the end of the `with` block.

    After an error nothing is left behind, and an older bundle at `target` is unchanged.

    Raises:
        BundleError: the disk is full or not writable, or `target` exists and is not a bundle.
    """
    check_target(target)
    try:
        with atomic_directory(target, replace=True) as folder:
            yield folder
    except OSError as error:
        reason = error.strerror or str(error)
        raise BundleError(
            f"{target}: cannot be written ({reason}); free some space or choose another place"
        ) from error


def seal(
    folder: Path,
    name: str,
    spec: EncoderSpec,
    metrics: dict[str, Any],
    licences: dict[str, int],
    prior: str = "world",
) -> None:
    """Write bundle.json, with the checksums of all files in a folder.

    Args:
        folder: holds all other files.
        name: of the bundle.
        spec: of the encoder.
        metrics: measured on held-out photos.
        licences: number of items under each licence.
        prior: where the photos come from that the bundle is made for: "collection" for places like
            those of its own photos, or "world".
    """
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "name": name,
        "encoder": spec.to_dict(),
        "sha256": {path.name: sha256(path) for path in sorted(folder.iterdir())},
        "licences": licences,
        "prior_of_use": prior,
        "metrics": metrics,
    }
    text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def damaged(path: Path, reason: str) -> BundleError:
    """Return the error for a damaged file of a bundle."""
    return BundleError(f"{path}: damaged bundle ({reason}); fetch or make it again")
