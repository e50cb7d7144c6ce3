"""The commands `geoloc-train pigeon` and `geoloc-train pigeotto`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from geoloc.cli.console import BAD_INPUT, fail, fail_writing
from training.cli.console import progress_bars, require
from training.config import PigeonRecipe, PigeottoRecipe, for_dry_run

pigeon_app = App(name="pigeon", help="PIGEON: from street views with splits to a bundle.")
pigeotto_app = App(name="pigeotto", help="PIGEOTTO: from photos with splits to a bundle.")

DRY_PLACES, DRY_VIEWS, DRY_SIZE = 700, 4, 64


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Options:
    """Of both recipes."""

    out: Annotated[Path, Parameter(name=["--out", "-o"])]
    """The bundle to write."""
    work: Path | None = None
    """Folder of what the stages write; by default beside the bundle, OUT.work."""
    dry_run: Annotated[bool, Parameter(negative=())] = False
    """Make everything from a synthetic planet with tiny towers, in minutes on a CPU: to see that
    all of it works before a GPU is paid for."""
    processes: int = 1
    """For pretraining: one for each GPU."""
    ray: str | None = None
    """Address of a Ray cluster that embeds the photos, or "local"."""


@pigeon_app.default
def pigeon(
    photos: Path | None = None,
    /,
    *,
    options: Options,
    config: Annotated[PigeonRecipe | None, Parameter(name="*")] = None,
) -> int:
    """Join, draw geocells, pretrain, embed, train heads, cluster, calibrate: one bundle.

    Finished stages are not repeated: after a crash start the same command again.

    Parameters
    ----------
    photos
        A photo table with splits; see `geoloc-train manifest` and `split`.
    """
    return _make(config or PigeonRecipe(), photos, options)


@pigeotto_app.default
def pigeotto(
    photos: Path | None = None,
    /,
    *,
    options: Options,
    config: Annotated[PigeottoRecipe | None, Parameter(name="*")] = None,
) -> int:
    """The stages of `pigeon`, with the constants for photos of all kinds instead of street views.

    Parameters
    ----------
    photos
        A photo table with splits; see `geoloc-train manifest` and `split`.
    """
    return _make(config or PigeottoRecipe(), photos, options)


def _make(recipe: PigeonRecipe, photos: Path | None, options: Options) -> int:
    from geoloc.errors import GeolocError

    progress = progress_bars()
    out = options.out
    room = options.work or out.with_name(f"{out.name}.work")
    try:
        require("torch", "onnx", "faiss", "onnxruntime")
        from geoloc.errors import TableError
        from training.recipes.pigeon import make_bundle

        with progress:
            if options.dry_run:
                from training.synthetic.planet import write_planet

                progress.stage("drawing a synthetic planet")
                photos = write_planet(room / "planet", DRY_PLACES, DRY_VIEWS, DRY_SIZE)
                recipe = for_dry_run(recipe)
            if photos is None:
                raise TableError("no photos: give a photo table, or --dry-run")
            make_bundle(
                recipe, photos, out, room,
                processes=options.processes, ray=options.ray, report=progress,
            )  # fmt: skip
    except (GeolocError, ValueError) as error:
        return fail("geoloc-train", error)
    except OSError as error:
        return fail_writing("geoloc-train", error, out)
    print((out / "MODEL_CARD.md").read_text(encoding="utf-8"))
    print(f"bundle: {out}\ntry it: geoloc locate PHOTO --bundle {out}")
    return BAD_INPUT if progress.problems else 0
