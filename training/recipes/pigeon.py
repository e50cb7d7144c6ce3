"""The recipes `pigeon` and `pigeotto`: from a photo table with splits to a bundle."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from geocells.columns import read_parquet
from geocells.partition.build import build_cells
from geocells.partition.config import CellConfig
from geocells.table import CellTable
from geoloc.errors import BundleError, TableError
from geoloc.io.atomic import atomic_file, atomic_write_text
from geoloc.io.progress import NullReporter, Reporter
from training.config import REHEARSAL_TOWERS, PigeonRecipe, PretrainConfig


def make_bundle(
    recipe: PigeonRecipe,
    photos: Path,
    out: Path,
    work: Path,
    *,
    processes: int = 1,
    ray: str | None = None,
    report: Reporter | None = None,
) -> dict[str, Any]:
    """Make a bundle from a photo table; stages that an earlier call finished are skipped.

    Args:
        recipe: settings of all stages.
        photos: photo table with the splits train, val and test; its file names are relative to
            its folder.
        out: the bundle's folder.
        work: folder for the outputs of the stages.
        processes: number of pretraining processes, one for each GPU, started by torchrun.
        ray: address of a Ray cluster that embeds the photos; see `embed_table`.
        report: receives the progress.

    Returns:
        Results on the split test, as they are in bundle.json.

    Raises:
        TableError: the table is unusable, or a split is empty.
        BundleError: the model cannot be loaded, or the bundle cannot be written.
        CheckpointError: `work` holds another run, or the disk is full.
    """
    from geoloc.bundle import directory as bundles
    from training.data.enrich import enrich_file
    from training.embed.encoders import load_encoder
    from training.embed.table import embed_table
    from training.engine.loop import left_out_lines
    from training.recipes.assemble import assemble

    report = report or NullReporter()
    bundles.check_target(out)
    work.mkdir(parents=True, exist_ok=True)
    report.stage("joining attributes")
    enriched = enrich_file(photos, work / "photos.parquet", report.problem)
    table = read_parquet(enriched)
    _check_splits(table, photos)

    report.stage("building geocells")
    cells = _cells(table, recipe.cells, work)

    report.stage("pretraining")
    model = _pretrain(recipe.pretrain, enriched, work / "pretrain", processes)
    for line in left_out_lines(work / "pretrain"):
        report.problem(line)

    report.stage("embedding photos", len(table))
    encoder = load_encoder(f"{recipe.embedding}:local-dir:{model}", work)
    spec = encoder.network.spec
    embedded = embed_table(
        table, work, spec, encoder.file.parent, work / "embeddings",
        ray=ray, progress=report.advance,
    )  # fmt: skip
    for line in embedded.problems:
        report.problem(line)
    made_by = type(recipe).__name__.removesuffix("Recipe").lower()
    return assemble(
        embedded, cells, encoder, out, recipe.heads, made_by=made_by, stage=report.stage,
        published=made_by if recipe.style == "published" else None,
    )  # fmt: skip


def for_rehearsal(recipe: PigeonRecipe) -> PigeonRecipe:
    """Return the recipe scaled down to some thousand small photos and minutes on a CPU."""
    pretrain = replace(
        recipe.pretrain, model=str(REHEARSAL_TOWERS), pretrained="", epochs=8, batch=128,
        accumulate=1, learning_rate=1e-3, workers=0, measure_every=50,
    )  # fmt: skip
    # cells of a few places are about 1,000 km wide
    heads = replace(recipe.heads, epochs=200, batch=256, learning_rate=2e-3, tau_km=1000.0)
    return replace(recipe, cells=CellConfig.of_size(24), pretrain=pretrain, heads=heads)


def check_unfinished(out: Path, work: Path) -> None:
    """Raise BundleError if `out` is a finished bundle whose stages are no longer in `work`."""
    if (out / "bundle.json").is_file() and not work.is_dir():
        raise BundleError(
            f"{out}: is finished, and its stages are not kept, so training would start anew; give"
            " another name to -o, or delete the bundle first"
        )


def _check_splits(table: pa.Table, photos: Path) -> None:
    """Raise TableError unless each of the three splits has a photo."""
    found = set(table["split"].unique().to_pylist()) if "split" in table.column_names else set()
    missing = [split for split in ("train", "val", "test") if split not in found]
    if missing:
        raise TableError(
            f"{photos}: no photo of the split {', '.join(missing)}; make splits with"
            " geoloc-train split"
        )


def _cells(table: pa.Table, config: CellConfig, work: Path) -> CellTable:
    """Build geocells from the places of the training photos, or read those of an earlier call."""
    train = table.filter(pc.equal(table["split"], "train"))
    latlon = np.stack([train[name].to_numpy() for name in ("lat", "lon")], axis=1)
    latlon = np.unique(latlon, axis=0)  # all views of a panorama are one place
    fingerprint = hashlib.sha256(latlon.tobytes() + repr(config).encode()).hexdigest()
    path, stamp = work / "cells.parquet", work / "cells.json"
    if stamp.is_file() and json.loads(stamp.read_text(encoding="utf-8")) == fingerprint:
        return CellTable.read(path)
    cells = build_cells(latlon, config)
    with atomic_file(path) as file:
        cells.write(file)
    atomic_write_text(stamp, json.dumps(fingerprint))
    return cells


def _pretrain(config: PretrainConfig, enriched: Path, run: Path, processes: int) -> Path:
    """Pretrain in this process, or under torchrun; return the folder of the model."""
    if processes == 1:
        from training.pretrain.pretraining import pretrain

        return pretrain(read_parquet(enriched), enriched.parent, run, config)
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
        *(f"--nproc-per-node={processes}", "-m", "training", "pretrain", str(enriched)),
        *("-o", str(run)),
        *_flags(config),
    ]
    if subprocess.run(command, check=False).returncode:
        raise TableError(
            f"{run}: pretraining failed, see above; run the same command again to resume it"
        )
    return run / "model"


def _flags(config: PretrainConfig) -> list[str]:
    """Return the settings as options of `geoloc-train pretrain`."""
    flags: list[str] = []
    for name, value in asdict(config).items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            flags.append(f"--{option}" if value else f"--no-{option}")
        elif isinstance(value, tuple | list):
            flags += [f"--{option}", *map(str, value)]
        elif value is not None:
            flags.append(f"--{option}={value}")
    return flags
