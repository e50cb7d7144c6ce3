"""The command line for making models: geoloc-train learn PHOTOS -o my.bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from geoloc import __version__
from geoloc.cli.console import BAD_INPUT, fail, fail_writing, run
from training.cli.ablation import app as ablation_app
from training.cli.cells import app as cells_app
from training.cli.console import progress_bars, require, show_licence
from training.cli.embed import assemble_app, embed_app
from training.cli.enrich import app as enrich_app
from training.cli.finetune import app as finetune_app
from training.cli.manifest import audit_app, manifest_app, split_app
from training.cli.plan import app as plan_app
from training.cli.planet import app as planet_app
from training.cli.pretrain import app as pretrain_app
from training.cli.recipes import pigeon_app, pigeotto_app

app = App(
    name="geoloc-train",
    version=__version__,
    help="Make bundles: from photos whose places are known to a model that places others.",
)

app.command(manifest_app)
app.command(split_app)
app.command(audit_app)
app.command(cells_app)
app.command(enrich_app)
app.command(pretrain_app)
app.command(finetune_app)
app.command(embed_app)
app.command(assemble_app)
app.command(pigeon_app)
app.command(pigeotto_app)
app.command(planet_app)
app.command(plan_app)
app.command(ablation_app)


@app.command
def learn(
    photos: Path,
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    encoder: str = "starter",
    coordinates: Annotated[tuple[Path, ...], Parameter(negative=())] = (),
    cache: Path | None = None,
    held_out: Path | None = None,
) -> int:
    """Learn from geotagged photos: cells, classifier, retrieval, calibration, in one bundle.

    Parameters
    ----------
    photos
        A folder of photos with GPS in their EXIF, or a CSV or Parquet table with the columns
        file,lat,lon and perhaps group, precision_km, source, licence, author.
    out
        The bundle to write.
    encoder
        Whose image encoder to use: a bundle, efficientnet_lite0..2, a published one (clip, siglip2,
        dinov3, streetclip, osv5m), open_clip:ARCHITECTURE/TAG, timm:MODEL.TAG or
        hf_clip:OWNER/MODEL.
    coordinates
        Parquet table of photo coordinates of the world (lat, lon, perhaps author), from which cells
        and prior are drawn beside those of the photos; may be given several times.
    cache
        Folder of embeddings kept between runs.
    held_out
        Also write what was answered for every photo by a model that never saw its group, as a table
        for `geoloc play` and `geoloc evaluate`.
    """
    from geoloc.errors import GeolocError

    progress = progress_bars()
    try:
        require("torch", "onnx", "faiss", "onnxruntime")
        show_licence(encoder)
        from training.recipes.learn import learn as recipe

        with progress:
            learned = recipe(
                photos, out, encoder=encoder, coordinates=coordinates, cache=cache, report=progress
            )
        if held_out:
            from training.calibrate.held_out import write_answers

            base = photos if photos.is_dir() else photos.parent
            write_answers(learned.manifest, learned.held_out, base, held_out)
    except GeolocError as error:
        return fail("geoloc-train", error)
    except OSError as error:
        return fail_writing("geoloc-train", error, cache or out)
    print((learned.bundle / "MODEL_CARD.md").read_text(encoding="utf-8"))
    print(f"bundle: {learned.bundle}\ntry it: geoloc locate PHOTO --bundle {learned.bundle}")
    return BAD_INPUT if progress.problems else 0


def main() -> None:
    """Entry point of the `geoloc-train` command."""
    run(app)


if __name__ == "__main__":
    main()
