"""Files of packs: photos that were added to a bundle, beside the bundle's own files.

All files of the pack NAME begin with `pack.NAME.`. `pack.NAME.json` holds its calibration, and the
fit that decides when it answers; the others are those of a bundle. A pack without heads of its own
uses those of the bundle.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from geoloc.answer.calibration import Calibration
from geoloc.answer.packs.joined import Joining, Pack
from geoloc.answer.ranker import Ranker
from geoloc.belief.background import Background
from geoloc.bundle.trust import check_gallery, check_heads
from geoloc.errors import BundleError
from geoloc.retrieval.bands import read_heads
from geoloc.retrieval.copies import Copies
from geoloc.retrieval.gallery import Gallery

HEADS, COPIES, PHOTOS = "heads.safetensors", "copies.safetensors", "photos.parquet"
"""Optional files; the last one holds what the pack is made again from when photos are added."""

NAME = re.compile(r"[\w-]{1,40}", re.ASCII)
"""Allowed names of packs."""

_SETTINGS = re.compile(r"pack\.([\w-]{1,40})\.json", re.ASCII)


def prefix(name: str) -> str:
    """Return how the names of the files of a pack begin.

    Raises:
        BundleError: it is no name for a pack.
    """
    if not NAME.fullmatch(name):
        raise BundleError(f"{name!r}: not a name for a pack; use letters, digits and dashes")
    return f"pack.{name}."


def names(files: Iterable[str]) -> list[str]:
    """Return the names of the packs among files of a bundle, sorted."""
    return sorted(match[1] for file in files if (match := _SETTINGS.fullmatch(file)))


def files_of(name: str, files: Iterable[str]) -> list[str]:
    """Return those files of a bundle that belong to a pack."""
    return [file for file in files if file.startswith(prefix(name))]


def read(
    folder: Path, files: Iterable[str], ranker: Ranker, background: Background | None
) -> tuple[Pack, ...]:
    """Read all packs of a bundle.

    Args:
        folder: of the bundle.
        files: of the bundle, verified.
        ranker: of the bundle.
        background: of the bundle.

    Raises:
        BundleError: a file is missing or damaged, or belongs to another bundle.
    """
    known = set(files)
    return tuple(_read(folder, name, known, ranker, background) for name in names(known))


def settings(folder: Path, name: str) -> dict[str, Any]:
    """Return the content of pack.NAME.json.

    Raises:
        BundleError: it is missing or damaged.
    """
    path = folder / f"{prefix(name)}json"
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise _damaged(path, str(error)) from error


def _read(
    folder: Path, name: str, files: set[str], ranker: Ranker, background: Background | None
) -> Pack:
    own, values = prefix(name), settings(folder, name)
    path = folder / f"{own}json"
    try:
        calibration = Calibration.from_dict(values["calibration"])
        joining = Joining.from_dict(values["joining"])
    except (KeyError, ValueError, TypeError) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error
    heads, dim = ranker.heads, len(ranker.heads.mean)
    if f"{own}{HEADS}" in files:
        heads = read_heads(folder / f"{own}{HEADS}")
        check_heads(folder / f"{own}{HEADS}", dim, heads, len(ranker.cells))
    gallery = Gallery.read(folder, len(ranker.cells), own)
    copies = Copies.read(folder / f"{own}{COPIES}") if f"{own}{COPIES}" in files else None
    if copies is not None and len(copies.signatures) != len(gallery.members):
        raise _damaged(folder / f"{own}{COPIES}", "it belongs to another pack")
    own_ranker = Ranker(ranker.cells, heads, gallery, calibration, background)
    check_gallery(folder, own_ranker, own)
    return Pack(name, own_ranker, joining, copies)


def write_settings(
    path: Path, calibration: Calibration, joining: Joining, facts: dict[str, Any]
) -> None:
    """Write pack.NAME.json.

    Args:
        path: the file.
        calibration: of the pack.
        joining: of the pack with the bundle.
        facts: what is known of the pack, such as its number of photos and what was measured.
    """
    values = {**facts, "joining": asdict(joining), "calibration": asdict(calibration)}
    path.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _damaged(path: Path, reason: str) -> BundleError:
    return BundleError(f"{path}: damaged pack ({reason}); remove the pack, or add it again")
