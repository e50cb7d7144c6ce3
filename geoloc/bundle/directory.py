"""A model is a directory that describes itself; see `FILES` for what is in it.

`bundle.json` holds the schema version, the encoder with its preprocessing, the sha256 of every
other file, licences, and the metrics measured when the bundle was made.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geocells.table import CellTable
from geoloc.answer.calibration import Calibration
from geoloc.answer.ranker import Ranker
from geoloc.belief.attribute_heads import AttributeHeads
from geoloc.belief.heads import Heads
from geoloc.bundle import installed
from geoloc.encoders.base import EncoderSpec, ImageEncoder
from geoloc.encoders.registry import build_encoder
from geoloc.errors import BundleError
from geoloc.io.atomic import atomic_directory
from geoloc.retrieval.gallery import Gallery

SCHEMA_VERSION = 2

FILES = (
    "heads.safetensors",
    "cells.parquet",
    "clusters.parquet",
    "members.parquet",
    "prototypes.faiss",
    "members.faiss",
    "calibration.json",
    "MODEL_CARD.md",
)
"""Files of every bundle beside bundle.json; an encoder of kind onnx adds encoder.onnx."""

ATTRIBUTES = "attributes.safetensors"
"""A file that only some bundles have."""

EMBEDDED = Path(__file__).parents[1] / "bundles"


@dataclass(frozen=True, eq=False)
class Bundle:
    """A loaded model directory."""

    name: str
    path: Path
    encoder_spec: EncoderSpec
    metrics: dict[str, Any]
    """Measured on held-out photos when the bundle was made."""
    ranker: Ranker
    attributes: AttributeHeads | None
    """What it tells of a place beside where it is; small bundles have none."""

    def build_encoder(self) -> ImageEncoder:
        """Load the image encoder; the expensive part of a start."""
        return build_encoder(self.encoder_spec, self.path)

    @property
    def cells(self) -> CellTable:
        """The geocells."""
        return self.ranker.cells


def find(name_or_path: str | os.PathLike[str]) -> Path:
    """The folder of a bundle given by path, or by the name of an installed or embedded one.

    Raises:
        BundleError: there is none.
    """
    path = Path(name_or_path)
    if (path / "bundle.json").is_file():
        return path
    if path.name in names() and path.name == str(name_or_path):
        return (installed.folder() if path.name in installed.names() else EMBEDDED) / path
    if path.exists():
        raise BundleError(
            f"{path}: no bundle (there is no bundle.json in it); make one with geoloc-train learn"
        )
    if str(name_or_path) == installed.WORLD:
        raise BundleError(f"{path}: not installed yet; run  geoloc bundle get {path}")
    raise BundleError(
        f"{name_or_path}: no such bundle; give the path of one, or a name: {', '.join(names())}"
    )


def names() -> list[str]:
    """Names of the installed and the embedded bundles."""
    embedded = {path.parent.name for path in EMBEDDED.glob("*/bundle.json")}
    return sorted(embedded | set(installed.names()))


def load(name_or_path: str | os.PathLike[str]) -> Bundle:
    """Verify and load a bundle.

    Raises:
        BundleError: it is missing, half written, damaged or of another schema version.
        MissingExtraError: FAISS is not installed.
    """
    path = find(name_or_path)
    manifest = verify(path)
    try:
        spec = EncoderSpec.from_dict(manifest["encoder"])
        cells = CellTable.read(path / "cells.parquet")
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(path / "bundle.json", str(error)) from error
    heads = Heads.read(path / "heads.safetensors")
    if len(heads.prior) != len(cells):
        raise damaged(path / "heads.safetensors", "it belongs to other cells")
    gallery = Gallery.read(path, len(cells))
    ranker = Ranker(cells, heads, gallery, Calibration.read(path / "calibration.json"))
    attributes = None
    if ATTRIBUTES in manifest["sha256"]:
        attributes = AttributeHeads.read(path / ATTRIBUTES)
    name = str(manifest.get("name", path.name))
    return Bundle(name, path, spec, manifest["metrics"], ranker, attributes)


def verify(path: Path) -> dict[str, Any]:
    """Check every file of a bundle against its checksum; returns bundle.json.

    Raises:
        BundleError: a file is missing or differs, or the schema version is another.
    """
    try:
        manifest: dict[str, Any] = json.loads((path / "bundle.json").read_text(encoding="utf-8"))
        version, checksums = manifest["schema_version"], dict(manifest["sha256"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise damaged(path / "bundle.json", f"{type(error).__name__}: {error}") from error
    if version != SCHEMA_VERSION:
        raise BundleError(
            f"{path}: bundle schema {version}, this program reads {SCHEMA_VERSION};"
            " install the planet-geoloc that made it, or make it again"
        )
    for name in {*FILES, *checksums}:
        if not (path / name).is_file():
            raise damaged(path / name, "missing")
        try:
            digest = sha256(path / name)
        except OSError as error:
            raise damaged(path / name, error.strerror or "unreadable") from error
        if checksums.get(name) != digest:
            raise damaged(path / name, "its checksum differs from bundle.json")
    return manifest


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_target(target: Path) -> None:
    """Raise BundleError if something other than a bundle is where one is to be written."""
    if target.exists() and not (target / "bundle.json").is_file() and not _is_empty(target):
        raise BundleError(f"{target}: exists and is not a bundle; choose another name for -o")


@contextmanager
def writing(target: Path) -> Iterator[Path]:
    """A folder to fill, which becomes the bundle `target` when everything went well.

    Nothing is left behind when it did not; an older bundle at `target` stays until the new one is
    whole.

    Raises:
        BundleError: the disk is full or not writable, or `target` exists and is no bundle.
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
    folder: Path, name: str, spec: EncoderSpec, metrics: dict[str, Any], licences: dict[str, int]
) -> None:
    """Write bundle.json over the finished files of a folder."""
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "name": name,
        "encoder": spec.to_dict(),
        "sha256": {path.name: sha256(path) for path in sorted(folder.iterdir())},
        "licences": licences,
        "metrics": metrics,
    }
    text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
    (folder / "bundle.json").write_text(text, encoding="utf-8")


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def damaged(path: Path, reason: str) -> BundleError:
    """The error that names a file of a bundle and what is wrong with it."""
    return BundleError(f"{path}: damaged bundle ({reason}); fetch or make it again")
