"""The command `geoloc-train learn`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from geoloc.cli.console import SOME_FAILED, fail, fail_writing
from training.cli.console import Out, progress_bars, require, show_licence

if TYPE_CHECKING:
    from geoloc.io.progress import ProgressBars
    from training.recipes.learn import LearnedBundle

app = App(name="learn")

Paths = Annotated[tuple[Path, ...], Parameter(negative=())]


@app.default
def learn(
    photos: list[Path],
    /,
    *,
    out: Out,
    base: str | None = None,
    encoder: str = "starter",
    coordinates: Paths = (),
    background: Paths = (),
    prior: Literal["collection", "world"] | None = None,
    force: Annotated[bool, Parameter(negative=())] = False,
    thumbnails: float = 0.0,
    cache: Path | None = None,
    held_out: Path | None = None,
) -> int:
    """Make a bundle from your own geotagged photos.

    Embeds the photos, builds geocells, trains the classifier, builds the gallery, calibrates on
    held-out photos, and writes a model card with the measured results.

    Parameters
    ----------
    photos
        Folders of photos with GPS in their EXIF, or CSV or Parquet tables with the columns file,
        lat and lon, and optionally group, collection, precision_km, source, licence and author.
        Results are measured on whole collections (authors, sources) that are left out, if there are
        five or more.
    out
        Bundle to write.
    base
        Bundle that keeps its world knowledge and learns these photos besides, as in
        `geoloc bundle add`: its name or path. Most other options do not apply then.
    encoder
        Image encoder: a bundle, efficientnet_lite0..2, a published encoder (clip, siglip2, dinov3,
        streetclip, osv5m), open_clip:ARCHITECTURE/TAG, timm:MODEL.TAG or hf_clip:OWNER/MODEL.
    coordinates
        Parquet table of photo coordinates worldwide (lat, lon and optionally author), for geocells
        and prior. Repeat the option for several tables. By default the starter bundle's.
    background
        Folder or table of photos from all over the world, to tell photos from elsewhere by. Repeat
        the option for several. By default the starter bundle's, if it has the same encoder.
    prior
        Where the photos come from that the bundle will be asked about: places like those of these
        photos (collection) or everywhere (world). By default collection if the photos are from
        fewer than three countries or nine in ten lie within 1,000 km, and world otherwise.
    force
        Learn from fewer than 20 photos, or from fewer than three places.
    thumbnails
        Megabytes of small pictures of the photos to put into the bundle. They are shown beside
        answers as similar photos, with credit. Only photos under CC0, CC BY, CC BY-SA or in the
        public domain are taken, whose table names their source on the web and their author.
    cache
        Folder for embeddings and exported encoders, reused by later runs. By default the user's
        cache folder.
    held_out
        CSV table to write with the cross-validated answers, for `geoloc play` and
        `geoloc evaluate`.
    """
    from geoloc.errors import GeolocError

    progress = progress_bars()
    try:
        require("torch", "onnx", "faiss", "onnxruntime")
        if base is not None:
            return _learn_with(base, photos, out, force, cache, progress)
        show_licence(encoder)
        from training.calibrate.crossval import write_answers
        from training.recipes.learn import learn as recipe

        with progress:
            learned = recipe(
                photos, out, encoder=encoder, coordinates=coordinates, background=background,
                prior=prior, force=force, thumbnails=thumbnails, cache=cache,
                report=progress,
            )  # fmt: skip
        if held_out:
            write_answers(
                learned.manifest, learned.validation.known, _common_folder(photos), held_out
            )
    except GeolocError as error:
        return fail("geoloc-train learn", error)
    except OSError as error:
        return fail_writing("geoloc-train learn", error, cache or out)
    _print_summary(learned)
    return SOME_FAILED if progress.problems else 0


def _learn_with(
    base: str, photos: list[Path], out: Path, force: bool, cache: Path | None, bars: ProgressBars
) -> int:
    """Add photos to a bundle and print what was measured."""
    from training.bundles.own import learn_with

    with bars:
        pack = learn_with(base, photos, out, force=force, cache=cache, report=bars)
    measured = pack.facts["measured"]
    print(f"{len(pack.library.manifest):,} own photos beside the world knowledge of {base}")
    for name, row in measured["accuracy near"].items():
        share = 100.0 * row["within"]["25"]
        print(f"new places near yours, {name}: {share:.1f} % within 25 km")
    share = 100.0 * measured["answered by the pack, elsewhere"]
    print(f"answers elsewhere that your photos change: {share:.1f} %")
    print(f"bundle: {out}")
    return SOME_FAILED if bars.problems else 0


def _common_folder(photos: list[Path]) -> Path:
    """Return the folder that file names of held-out answers are relative to."""
    folders = [path if path.is_dir() else path.parent for path in photos]
    return Path(os.path.commonpath([folder.absolute() for folder in folders]))


def _print_summary(learned: LearnedBundle) -> None:
    from training.recipes.learned_card import summary

    print("\n".join(summary(learned.facts, learned.metrics)))
    print(f"bundle: {learned.bundle}")
    print(f"model card: {learned.bundle / 'MODEL_CARD.md'}")
    print(f"try it: geoloc locate PHOTO --bundle {learned.bundle}")
