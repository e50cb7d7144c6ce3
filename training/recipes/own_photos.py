"""A bundle of one's own photos on an encoder of the catalogue, without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from geocells.partition.build import build_cells
from geoloc.answer.ranker import Ranker
from geoloc.bundle.catalogue import Entry
from geoloc.errors import TableError
from geoloc.io.atomic import scratch_directory
from geoloc.io.progress import Reporter
from training.calibrate.fit import UNFITTED
from training.config import HeadConfig, WorldConfig
from training.data.split import group_weights
from training.embed.library import read_library
from training.gallery.cluster import build_gallery
from training.heads.examples import Examples
from training.heads.linear import density_prior, fit_linear
from training.recipes.bundle_files import write_bundle
from training.recipes.geoclip.build import world_cells
from training.recipes.geoclip.encoder import WorldEncoder
from training.recipes.geoclip.models import largest_towns
from training.recipes.model_card import licences

TOWNS = 10_000
"""Towns that cells follow where there are none of one's own photos."""


def build_own(
    out: Path,
    entry: Entry,
    encoder: WorldEncoder,
    photos: Path,
    cache: Path,
    report: Reporter,
    towns: int = TOWNS,
) -> dict[str, Any]:
    """Build a bundle whose gallery is one's own geotagged photos; return its metrics, none.

    It makes no claims and its radii are not calibrated: `geoloc bundle calibrate` does that.

    Args:
        out: the bundle's folder.
        entry: of the encoder.
        encoder: written from the entry's files.
        photos: a folder or table of photos with known positions.
        cache: folder of embeddings.
        report: receives the progress.
        towns: largest towns of the world that cells follow too.

    Raises:
        TableError: no photo is usable.
        BundleError: the bundle cannot be written.
    """
    library = read_library([photos], encoder.network, cache, report)
    manifest = library.manifest
    if not len(manifest):
        raise TableError(f"{photos}: no photo with a position; give photos with GPS, or a table")
    report.stage("building geocells")
    places = np.concatenate([largest_towns(towns), manifest.latlon])
    cells = build_cells(np.unique(places, axis=0), world_cells(WorldConfig().per_cell))
    report.stage("training the classifier")
    prior = density_prior(cells.count)
    examples = Examples(library.embeddings, manifest.latlon, group_weights(manifest.group))
    heads = fit_linear(examples, cells, prior, HeadConfig())
    report.stage("clustering places")
    gallery = build_gallery(manifest, heads.features(library.embeddings), cells)
    ranker = Ranker(cells, heads, gallery, UNFITTED)
    with scratch_directory(out) as scratch:
        report.stage("quantising the encoder")
        encoder = encoder.with_int8(scratch, lambda found: ranker.rank(found).answer)
        report.stage("writing the bundle")
        owned = licences(manifest) | {f"{entry.licence} ({entry.title})": 1}
        card = _card(out.name, entry, encoder, len(manifest))
        files = {file.name: file for file in encoder.files}
        write_bundle(out, files, encoder.spec, ranker, {}, card, owned, "collection")
    return {}


def _card(name: str, entry: Entry, encoder: WorldEncoder, photos: int) -> str:
    lines = [
        f"# {name}",
        "",
        f"{photos:,} photos of your own on {entry.title} (licence: {entry.licence}, {entry.use})."
        f" Image encoder: {encoder.note}. Made by `geoloc bundle get {entry.name}`.",
        "",
        "**Not calibrated.** Radii describe nothing yet, and nothing is claimed:"
        f" `geoloc bundle calibrate {name} --photos PHOTOS`.",
    ]
    return "\n".join(lines) + "\n"
