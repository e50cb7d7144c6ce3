"""The files of a bundle, written from its fitted parts."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from geoloc.answer.ranker import Ranker
from geoloc.belief.heads import StoredTensors
from geoloc.bundle import directory as bundles
from geoloc.encoders.base import EncoderSpec
from geoloc.trips.model.parameters import TripParameters
from training.gallery.thumbnails import Pictures


def write_bundle(
    out: Path,
    encoder_files: Mapping[str, Path],
    spec: EncoderSpec,
    ranker: Ranker,
    metrics: dict[str, Any],
    card: str,
    licences: dict[str, int],
    prior: str = "world",
    optional: Mapping[str, StoredTensors | TripParameters | Pictures | None] = MappingProxyType({}),
) -> None:
    """Write a bundle; an older one in the same folder is replaced once the new one is complete.

    Args:
        out: the bundle's folder.
        encoder_files: the encoder's files, by name in the bundle.
        spec: of the encoder.
        ranker: cells, heads, gallery and calibration.
        metrics: results for bundle.json.
        card: text of MODEL_CARD.md.
        licences: number of items under each licence.
        prior: where the photos come from that the bundle is made for: collection or world.
        optional: contents of optional files by name, such as `bundles.ATTRIBUTES`; None for none.

    Raises:
        BundleError: `out` holds something else than a bundle.
        OSError: the bundle cannot be written.
    """
    with bundles.writing(out) as folder:
        for name, file in encoder_files.items():
            shutil.copyfile(file, folder / name)
        ranker.cells.write(folder / "cells.parquet")
        ranker.heads.write(folder / "heads.safetensors")
        for name, content in optional.items():
            if content is not None:
                content.write(folder / name)
        ranker.gallery.write(folder)
        ranker.calibration.write(folder / "calibration.json")
        (folder / "MODEL_CARD.md").write_text(card, encoding="utf-8")
        bundles.seal(folder, out.name, spec, metrics, licences, prior)
