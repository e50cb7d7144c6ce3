"""The recipe `retrieve`: photo tables and frozen towers to a bundle with retrieval heads."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from geocells.partition.build import build_cells
from geocells.partition.config import CellConfig
from geocells.table import CellTable
from geoloc.answer.ranker import Ranker
from geoloc.bundle import directory as bundles
from geoloc.errors import TableError
from geoloc.io.progress import NullReporter, Reporter
from geoloc.retrieval.cross import RerankedGallery
from training.calibrate.crossval import answer_held_out, calibrate_ranker
from training.calibrate.fit import UNFITTED
from training.calibrate.parts import held_out_parts
from training.config import HeadConfig
from training.data import table as photo_table
from training.data.audit import audit
from training.data.manifest import Manifest
from training.data.split import assign_splits, blocks, group_weights
from training.data.table import latlon_of, strings_of
from training.heads.examples import Examples
from training.heads.fit import fit_heads
from training.heads.linear import density_prior
from training.recipes.assemble import manifest_of
from training.recipes.bundle_files import write_bundle
from training.recipes.model_card import licences, measure_part, model_card
from training.retrieve.bands import Photos
from training.retrieve.gallery import build_places, hubness_of
from training.retrieve.ledger import Ledger, device_name, ledger_text
from training.retrieve.places import (
    Places,
    Spaces,
    classifier_of,
    estimate_places,
    features_of,
    fit_spaces,
)
from training.retrieve.rerank import CrossFit, fit_router, street_level
from training.retrieve.settings import BandConfig, LocationConfig, RetrieveRecipe
from training.retrieve.stored import load_spaces, save_spaces
from training.retrieve.towers import Towers, embed_all
from training.types import Embeddings, Float16Array

BLOCK_KM = 10.0
"""Side of the squares of the Earth that are in one split as a whole."""

PROTOCOL = (
    "The results below are of the test split: {split}. Cells, heads, location encoder and gallery"
    " used the train split only; the re-ranker was fitted on one half of the val split, the"
    " calibration on the other."
)
BY_AUTHOR = "no author, sequence or square of 10 km is in two splits"
BY_PLACE = (
    "the photos have no authors, so they were split by place (squares of 10 km), and photos by one"
    " person may be in two splits"
)

SPLITS = ("train", "reranker", "val", "test")
"""The val split is divided: one half for the re-ranker, one for the calibration."""


def retrieve(
    recipe: RetrieveRecipe,
    photos: Sequence[Path],
    out: Path,
    work: Path,
    *,
    cache: Path | None = None,
    ray: str | None = None,
    report: Reporter | None = None,
) -> dict[str, Any]:
    """Make a bundle from photo tables; stages that an earlier call finished are skipped.

    Args:
        recipe: settings of all stages.
        photos: photo tables, each with file names relative to its folder; without splits in all
            of them the photos are split by author and place.
        out: the bundle's folder.
        work: folder for the outputs of the stages.
        cache: folder of exported encoders; `work` by default.
        ray: address of a Ray cluster that embeds the photos.
        report: receives the progress.

    Returns:
        Results on the split test and the cost, as they are in bundle.json.

    Raises:
        TableError: a table is unusable, or a split is empty.
        BundleError: an encoder cannot be loaded, or the bundle cannot be written.
        CheckpointError: the run of adapters in `work` has other settings.
    """
    report = report or NullReporter()
    bundles.check_target(out)
    if not photos:
        raise TableError("no photos: give a photo table or --rehearse")
    work.mkdir(parents=True, exist_ok=True)
    encoders, ledger = recipe.encoders, Ledger(work / "ledger.json", device_name())
    table, split_by = read_photos(photos, work, report)
    if recipe.lora_blocks:
        from training.retrieve.lora import adapt

        report.stage("tuning adapters")
        with ledger.stage("adapters"):
            tuned = adapt(table, work, encoders[0], work / "adapters", recipe)
        encoders = (f"open_clip:local-dir:{tuned}", *encoders[1:])
    with ledger.stage("embedding"):
        towers = embed_all(table, work, encoders, work, report, cache=cache, ray=ray)
    parts = _parts(towers)
    with ledger.stage("retrieval heads"):
        ranker = _fit(recipe, parts, work, report)
    report.stage("calibrating")
    with ledger.stage("calibration"):
        val, test = parts["val"], parts["test"]
        calibrate_ranker(ranker, val.manifest, val.embeddings, held_out_parts(val.photos))
        answers = answer_held_out(ranker, test.manifest, test.embeddings)
    metrics = measure_part(test.manifest, answers, np.arange(len(test.manifest)))
    leaks = audit(parts["train"].photos, test.photos)
    metrics["audit"] = leaks.to_dict()
    metrics["cost"] = ledger.summary(len(towers.embedded.photos), work)
    report.stage("writing the bundle")
    learned = parts["train"].manifest
    protocol = "\n".join([PROTOCOL.format(split=split_by), "", "```text", *leaks.lines(), "```"])
    card = model_card(
        out.name, learned, towers.spec, len(ranker.cells), {"photos": metrics}, "retrieve", protocol
    ) + ledger_text(metrics["cost"])
    assert isinstance(ranker.gallery, RerankedGallery)
    write_bundle(
        out, towers.files, towers.spec, ranker, {"photos": metrics}, card, licences(learned),
        optional={bundles.CROSS: ranker.gallery.reranker},
    )  # fmt: skip
    return metrics


def for_rehearsal(recipe: RetrieveRecipe, folder: Path) -> RetrieveRecipe:
    """Return the recipe scaled down to some hundred small photos and seconds on a CPU.

    Args:
        recipe: to scale down.
        folder: where two tiny towers with random weights are written, unless they are there.
    """
    import torch

    from training.config import REHEARSAL_TOWERS, TINY_TOWERS
    from training.pretrain import clip

    names = []
    for number, towers in enumerate((REHEARSAL_TOWERS, TINY_TOWERS)):
        model = folder / f"tower-{number + 1}"
        if not model.is_dir():
            torch.manual_seed(number)
            built = clip.build(str(towers))
            clip.write(model, built, built.model.state_dict(), {})
        names.append(f"open_clip:local-dir:{model}")
    return replace(
        recipe, encoders=tuple(names), per_cell=24, workers=0,
        bands=BandConfig(near=32, city=32, region=32, steps=30, batch=128),
        location=LocationConfig(dim=32, frequencies=16, width=64, epochs=10, batch=128),
        heads=HeadConfig(features=64, tau_km=1000.0, epochs=20),
    )  # fmt: skip


def read_photos(photos: Sequence[Path], work: Path, report: Reporter) -> tuple[pa.Table, str]:
    """Return all photos with splits, their files relative to `work`, and how they were split.

    Raises:
        TableError: a table is unusable, two photos have one name, or a split is empty.
    """
    report.stage("reading photo tables")
    tables = [
        photo_table.relative_to(photo_table.complete(photo_table.read(path)), path.parent, work)
        for path in photos
    ]
    table = pa.concat_tables(tables)
    names = ", ".join(map(str, photos))
    if len(table["photo_id"].unique()) < len(table):
        raise TableError(
            f"{names}: {len(table) - len(table['photo_id'].unique())} photos have the photo_id of"
            " another one; give each table once, and names that differ"
        )
    has_authors = bool((strings_of(table, "author") != "").any())
    split_by = BY_AUTHOR if has_authors else BY_PLACE
    if (strings_of(table, "split") == "").all():
        if not has_authors:
            report.note(f"{names}: {BY_PLACE}")
        splits = assign_splits(table, val=0.06, test=0.04, block_km=BLOCK_KM)
        table = photo_table.with_column(table, "split", pa.array(splits.split, pa.string()))
    else:
        split_by = "the splits of the tables" if has_authors else f"as given; {BY_PLACE}"
    found = set(table["split"].unique().to_pylist())
    if missing := [split for split in ("train", "val", "test") if split not in found]:
        raise TableError(
            f"{names}: no photo of the split {', '.join(missing)}; leave all splits empty, or make"
            " them with geoloc-train split"
        )
    # photos of the split train are next to each other, so that their embeddings stay on the disk
    order = np.argsort(strings_of(table, "split") != "train", kind="stable")
    return table.take(pa.array(order)), split_by


@dataclass(frozen=True, eq=False)
class _Part:
    """The photos of one of SPLITS."""

    photos: pa.Table
    manifest: Manifest
    embeddings: Embeddings
    """(N, D); mapped in half precision for the split train."""


def _parts(towers: Towers) -> dict[str, _Part]:
    """Return the photos by split, the split val divided by author, or by place without one."""
    table, embeddings = towers.embedded.photos, towers.embedded.embeddings
    split, author = strings_of(table, "split").astype(str), strings_of(table, "author")
    key = np.where(author == "", blocks(latlon_of(table), BLOCK_KM), author).astype(str)
    digest = {name: hashlib.sha256(name.encode()).digest()[0] % 2 for name in np.unique(key)}
    first = np.array([digest[name] == 0 for name in key], bool)
    split = np.where((split == "val") & first, "reranker", split)
    parts = {}
    for name in SPLITS:
        rows = np.flatnonzero(split == name)
        if len(rows) < 2:
            raise TableError(
                f"{towers.embedded.folder}: {len(rows)} photos for the part {name}; more photos by"
                " more authors are needed"
            )
        photos = table.take(rows)
        if name == "train":  # first in the table, see `read_photos`, and mapped
            parts[name] = _Part(photos, manifest_of(photos), embeddings[rows[0] : rows[-1] + 1])
        else:
            parts[name] = _Part(photos, manifest_of(photos), embeddings[rows].astype(np.float32))
    return parts


def _fit(recipe: RetrieveRecipe, parts: dict[str, _Part], work: Path, report: Reporter) -> Ranker:
    """Return a ranker with fitted heads, gallery and re-ranker, but without calibration."""
    train, tuned = parts["train"], parts["reranker"]
    latlon = train.manifest.latlon
    report.stage("building geocells")
    cells = build_cells(np.unique(latlon, axis=0), CellConfig.of_size(recipe.per_cell))
    spaces, features, places = _spaces(recipe, train, cells, work, report)
    report.stage("building the gallery")
    gallery, _ = build_places(spaces, train.manifest, features, places, cells)
    del features, places
    report.stage("fitting the re-ranker")
    hubness = hubness_of(spaces, gallery, train.embeddings, latlon, recipe.seed)
    router = fit_router(
        spaces.heads, train.embeddings, street_level(train.manifest.source), recipe.seed
    )
    fit = CrossFit.of(spaces, gallery, hubness, router, tuned.embeddings, tuned.manifest.latlon)
    return Ranker(cells, spaces.heads, fit.fit(), UNFITTED)


def _spaces(
    recipe: RetrieveRecipe, train: _Part, cells: CellTable, work: Path, report: Reporter
) -> tuple[Spaces, Float16Array, Places]:
    """Fit classifier, bands and contrast, or read those that an earlier call fitted.

    Returns:
        The spaces, and the features of the photos and of their places.
    """
    latlon = train.manifest.latlon
    sample = np.asarray(train.embeddings[:: max(1, len(latlon) // 1000)])
    made_from = hashlib.sha256(
        sample.tobytes() + latlon.tobytes()
        + repr((recipe.bands, recipe.location, recipe.heads, recipe.per_cell, recipe.seed)).encode()
    ).hexdigest()  # fmt: skip
    stored = load_spaces(work / "spaces", made_from, recipe)
    if stored is None:
        report.stage("training the classifier")
        examples = Examples(train.embeddings, latlon, group_weights(train.manifest.group))
        plain, _ = fit_heads(examples, cells, density_prior(cells.count), recipe.heads)
    else:
        plain = classifier_of(stored.heads)
    report.stage("estimating the features of places")
    names = train.manifest.author.astype(str)
    author = np.where(names == "", -1, np.unique(names, return_inverse=True)[1]).astype(np.int64)
    cell = cells.locate(latlon).astype(np.int64)
    photos = Photos(features_of(plain, train.embeddings), latlon, cell, author)
    places = estimate_places(photos, recipe.seed)
    if stored is None:
        report.stage("training bands and location encoder")
        stored = fit_spaces(plain, photos, places, recipe)
        save_spaces(stored, work / "spaces", made_from)
    return stored, photos.features, places
