"""The commands `geoloc-train embed` and `geoloc-train assemble`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from cyclopts import App

from geoloc.cli.console import SOME_FAILED, fail, fail_writing
from training.cli.console import Out, progress_bars, require, show_licence
from training.config import HEAD_PRESETS, Style

embed_app = App(name="embed")
assemble_app = App(name="assemble")

Preset = Literal["learn", "pigeon", "pigeotto"]


@embed_app.default
def embed(
    photos: Path,
    /,
    *,
    out: Out,
    encoder: str,
    cache: Path | None = None,
    ray: str | None = None,
) -> int:
    """Embed the photos of a table.

    Embeddings are saved in parts; a run that was interrupted continues after the last part.

    Parameters
    ----------
    photos
        Photo table from `geoloc-train manifest`.
    out
        Folder to write.
    encoder
        Image encoder: a bundle, efficientnet_lite0..2, timm:MODEL.TAG, open_clip:ARCHITECTURE/TAG,
        or open_clip_tokens:local-dir:FOLDER for a model of `geoloc-train pretrain`.
    cache
        Folder for exported encoders, reused by later runs; by default the user's cache folder.
    ray
        Address of a Ray cluster that embeds, or "local". Its machines need the same folders.
    """
    from geoloc.errors import GeolocError

    progress = progress_bars()
    try:
        require("torch", "onnx", "onnxruntime")
        from geoloc.encoders.cache import default_cache
        from training.data import table as photo_table
        from training.embed.encoders import load_encoder
        from training.embed.table import embed_table

        table = photo_table.read(photos)
        show_licence(encoder)
        loaded = load_encoder(encoder, cache or default_cache())
        with progress:
            progress.stage("embedding photos", len(table))
            done = embed_table(
                table, photos.parent, loaded.network.spec, loaded.file.parent, out,
                ray=ray, progress=progress.advance,
            )  # fmt: skip
            for line in done.problems:
                progress.problem(line)
    except GeolocError as error:
        return fail("geoloc-train embed", error)
    except OSError as error:
        return fail_writing("geoloc-train embed", error, out)
    print(f"{out}: {len(done.embeddings):,} photos, {done.embeddings.shape[1]} numbers each")
    return SOME_FAILED if progress.problems else 0


@assemble_app.default
def assemble(
    embedded: Path,
    /,
    *,
    cells: Path,
    encoder: str,
    out: Out,
    preset: Preset = "pigeotto",
    style: Style | None = None,
    cache: Path | None = None,
) -> int:
    """Make a bundle from embedded photos.

    Trains the heads, clusters the places, calibrates on the split val and measures on the split
    test.

    Parameters
    ----------
    embedded
        Folder from `geoloc-train embed`, of an enriched photo table with splits.
    cells
        Cell table from `geoloc-train cells`, built from the training photos.
    encoder
        Image encoder that made the embeddings.
    out
        Bundle to write.
    preset
        Settings of the heads.
    style
        Retrieval as published (OPTICS clusters and refinement of pigeon or pigeotto), or improved;
        by default as published, and improved for learn.
    cache
        Folder for exported encoders, reused by later runs; by default the user's cache folder.
    """
    from geoloc.errors import GeolocError

    progress = progress_bars()
    try:
        require("torch", "onnx", "faiss", "onnxruntime")
        from geocells.table import CellTable
        from geoloc.encoders.cache import default_cache
        from training.embed.encoders import load_encoder
        from training.embed.table import EmbeddedTable
        from training.recipes.assemble import assemble as stage

        published = None if preset == "learn" or style == "improved" else preset
        if preset == "learn" and style == "published":
            raise ValueError("--style published needs --preset pigeon or pigeotto")
        table = CellTable.read(cells)
        show_licence(encoder)
        loaded = load_encoder(encoder, cache or default_cache())
        with progress:
            stage(EmbeddedTable(embedded), table, loaded, out, HEAD_PRESETS[preset](),
                  published=published, stage=progress.stage)  # fmt: skip
    except (GeolocError, ValueError) as error:
        return fail("geoloc-train assemble", error)
    except OSError as error:
        return fail_writing("geoloc-train assemble", error, out)
    print((out / "MODEL_CARD.md").read_text(encoding="utf-8"))
    return 0
