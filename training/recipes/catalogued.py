"""Bundles from the catalogue of open models: the files of an entry become a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from geoloc.bundle import directory as bundles
from geoloc.bundle.catalogue import Entry
from geoloc.io.atomic import scratch_directory
from geoloc.io.progress import NullReporter, Reporter
from geoloc.io.tensors import read_tensors
from training.config import WorldConfig
from training.recipes.geoclip.build import build_world
from training.recipes.geoclip.gallery import POINTS, everywhere
from training.recipes.geoclip.models import from_entry, written_tower
from training.recipes.own_photos import TOWNS, build_own


def install(
    entry: Entry,
    paths: list[Path],
    out: Path,
    *,
    cache: Path,
    photos: Path | None = None,
    report: Reporter | None = None,
    config: WorldConfig | None = None,
    points: int = POINTS,
    towns: int = TOWNS,
) -> dict[str, Any]:
    """Build the bundle of an entry; return its metrics.

    Args:
        entry: of the catalogue.
        paths: its files, in its order.
        out: the bundle's folder.
        cache: folder of embeddings.
        photos: geotagged photos: what a world model is calibrated on, or what an encoder knows.
        report: receives the progress.
        config: settings of a world model.
        points: least number of places that a world model can answer.
        towns: see `build_own`.

    Raises:
        BundleError: a file is not what the entry describes, or the bundle cannot be written.
        TableError: the photos are unusable.
        MissingExtraError: a library is not installed.
    """
    report = report or NullReporter()
    bundles.check_target(out)
    entry.check_buildable(with_photos=photos is not None)
    with scratch_directory(out) as folder:
        report.stage("preparing the image encoder")
        if photos is not None and entry.kind == "encoder":
            head = read_tensors(paths[-1]) if entry.head else {}
            encoder = written_tower(entry, paths[0], folder, head)
            return build_own(out, entry, encoder, photos, cache, report, towns)
        model = from_entry(entry, paths, folder)
        report.stage("choosing points")
        answers = everywhere(model.photo_places, points)
        places = model.photo_places
        return build_world(
            out, model, answers, places, cache=cache, config=config, photos=photos, report=report
        )
