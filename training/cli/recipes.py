"""The commands `geoloc-train pigeon`, `geoloc-train pigeotto` and `geoloc-train retrieve`."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from geoloc.cli.console import SOME_FAILED, fail, fail_writing
from training.cli.console import Out, progress_bars, require, show_licence
from training.config import PigeonRecipe, PigeottoRecipe
from training.retrieve.settings import RetrieveRecipe

pigeon_app = App(name="pigeon", usage="Usage: geoloc-train pigeon --out PATH [OPTIONS] [PHOTOS]")
pigeotto_app = App(
    name="pigeotto", usage="Usage: geoloc-train pigeotto --out PATH [OPTIONS] [PHOTOS]"
)

retrieve_app = App(
    name="retrieve", usage="Usage: geoloc-train retrieve --out PATH [OPTIONS] [PHOTOS...]"
)

REHEARSAL_PLANET = 700, 4, 64
"""The synthetic planet of a rehearsal: places, views of each, and side of the photos in pixels."""

RETRIEVE_PLANET = 900, 1, 48
"""The same for `retrieve`."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of every recipe."""

    out: Out
    """Bundle to write."""
    work: Path | None = None
    """Folder for the outputs of the stages, which is kept; by default OUT.work beside the bundle,
    which is deleted once the bundle is complete."""
    keep_work: Annotated[bool, Parameter(negative=())] = False
    """Keep OUT.work: models or fitted heads, logs and embeddings."""
    rehearse: Annotated[bool, Parameter(negative=())] = False
    """Train and write a bundle in all stages on a synthetic planet, with tiny towers, in minutes on
    a CPU."""
    ray: str | None = None
    """Address of a Ray cluster that embeds the photos, or "local"."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class PretrainingOptions(Options):
    """Options of the recipes that pretrain a tower."""

    dry_run: Annotated[bool, Parameter(negative=(), show=False)] = False
    """Former name of --rehearse."""
    processes: int = 1
    """Pretraining processes: one for each GPU."""


@pigeon_app.default
def pigeon(
    photos: Path | None = None,
    /,
    *,
    options: PretrainingOptions,
    config: Annotated[PigeonRecipe | None, Parameter(name="*")] = None,
) -> int:
    """PIGEON: make a bundle from street views.

    Joins attributes, builds geocells, pretrains, embeds, trains the heads, clusters the places and
    calibrates. After an interruption run the same command again: finished stages are skipped.

    Parameters
    ----------
    photos
        Photo table with splits; see `geoloc-train manifest` and `split`.
    """
    return _make(config or PigeonRecipe(), photos, options)


@pigeotto_app.default
def pigeotto(
    photos: Path | None = None,
    /,
    *,
    options: PretrainingOptions,
    config: Annotated[PigeottoRecipe | None, Parameter(name="*")] = None,
) -> int:
    """PIGEOTTO: make a bundle from photos of all kinds.

    The stages are those of `geoloc-train pigeon`, with PIGEOTTO's settings.

    Parameters
    ----------
    photos
        Photo table with splits; see `geoloc-train manifest` and `split`.
    """
    return _make(config or PigeottoRecipe(), photos, options)


def _make(recipe: PigeonRecipe, photos: Path | None, options: PretrainingOptions) -> int:
    """Run a recipe and print the model card; return the exit code."""
    from geoloc.errors import GeolocError

    progress = progress_bars()
    out = options.out
    work = options.work or out.with_name(f"{out.name}.work")
    rehearse = options.rehearse or options.dry_run
    if options.dry_run:
        print("geoloc-train: --dry-run trains and writes; it is now --rehearse", file=sys.stderr)
    try:
        require("torch", "onnx", "faiss", "onnxruntime")
        from geoloc.errors import TableError
        from training.recipes.pigeon import check_unfinished, for_rehearsal, make_bundle

        check_unfinished(out, work)
        with progress:
            if rehearse:
                from training.synthetic.planet import write_planet

                progress.stage("drawing a synthetic planet")
                photos = write_planet(work / "planet", *REHEARSAL_PLANET)
                recipe = for_rehearsal(recipe)
            if photos is None:
                raise TableError("no photos: give a photo table or --rehearse")
            make_bundle(
                recipe, photos, out, work,
                processes=options.processes, ray=options.ray, report=progress,
            )  # fmt: skip
    except (GeolocError, ValueError) as error:
        return fail("geoloc-train", error)
    except OSError as error:
        return fail_writing("geoloc-train", error, out)
    if not (options.work or options.keep_work):
        shutil.rmtree(work, ignore_errors=True)
    print((out / "MODEL_CARD.md").read_text(encoding="utf-8"))
    print(f"bundle: {out}\ntry it: geoloc locate PHOTO --bundle {out}")
    return SOME_FAILED if progress.problems else 0


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RetrieveOptions(Options):
    """Options of the recipe `retrieve`."""

    cache: Path | None = None
    """Folder of exported encoders, reused by later runs; by default the user's cache folder."""


@retrieve_app.default
def retrieve(
    *photos: Path,
    options: RetrieveOptions,
    config: Annotated[RetrieveRecipe | None, Parameter(name="*")] = None,
) -> int:
    """Make a bundle for retrieval with frozen published encoders; less than 200 USD of GPU time.

    Embeds the photos once with every encoder, trains heads for the distances of streets, cities and
    regions and a location encoder, builds the gallery, fits a re-ranker and calibrates. After an
    interruption run the same command again: finished stages are skipped.

    Parameters
    ----------
    photos
        Photo tables; see `geoloc-train manifest`. Those without splits are split by author and
        place.
    """
    from geoloc.errors import GeolocError

    progress, out = progress_bars(), options.out
    work = options.work or out.with_name(f"{out.name}.work")
    recipe, tables, cache = config or RetrieveRecipe(), list(photos), options.cache
    try:
        require("torch", "onnx", "faiss", "onnxruntime")
        from geoloc.encoders.cache import default_cache
        from training.recipes import retrieve as recipes
        from training.recipes.pigeon import check_unfinished

        check_unfinished(out, work)
        with progress:
            if options.rehearse:
                from training.synthetic.planet import write_planet

                progress.stage("drawing a synthetic planet")
                tables = [write_planet(work / "planet", *RETRIEVE_PLANET)]
                recipe, cache = recipes.for_rehearsal(recipe, work), work
            for encoder in recipe.encoders:
                show_licence(encoder)
            recipes.retrieve(
                recipe, tables, out, work,
                cache=cache or default_cache(), ray=options.ray, report=progress,
            )  # fmt: skip
    except (GeolocError, ValueError) as error:
        return fail("geoloc-train", error)
    except OSError as error:
        return fail_writing("geoloc-train", error, out)
    if not (options.work or options.keep_work):
        shutil.rmtree(work, ignore_errors=True)
    print((out / "MODEL_CARD.md").read_text(encoding="utf-8"))
    print(f"bundle: {out}\ntry it: geoloc locate PHOTO --bundle {out}")
    return SOME_FAILED if progress.problems else 0
