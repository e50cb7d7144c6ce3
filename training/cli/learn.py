"""The command `geoloc-train learn`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from geoloc.cli.console import BAD_INPUT, fail, fail_writing
from training.cli.console import Out, progress_bars, require, show_licence

app = App(name="learn")


@app.default
def learn(
    photos: Path,
    /,
    *,
    out: Out,
    encoder: str = "starter",
    coordinates: Annotated[tuple[Path, ...], Parameter(negative=())] = (),
    cache: Path | None = None,
    held_out: Path | None = None,
) -> int:
    """Make a bundle from your own geotagged photos.

    Embeds the photos, builds geocells, trains the classifier, builds the gallery, calibrates on
    held-out photos, and writes a model card with the measured results.

    Parameters
    ----------
    photos
        Folder of photos with GPS in their EXIF, or CSV or Parquet table with the columns file, lat
        and lon, and optionally group, precision_km, source, licence and author.
    out
        Bundle to write.
    encoder
        Image encoder: a bundle, efficientnet_lite0..2, a published encoder (clip, siglip2, dinov3,
        streetclip, osv5m), open_clip:ARCHITECTURE/TAG, timm:MODEL.TAG or hf_clip:OWNER/MODEL.
    coordinates
        Parquet table of photo coordinates worldwide (lat, lon and optionally author), for geocells
        and prior. Repeat the option for several tables.
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
        show_licence(encoder)
        from training.calibrate.crossval import write_answers
        from training.recipes.learn import learn as recipe

        with progress:
            learned = recipe(
                photos, out, encoder=encoder, coordinates=coordinates, cache=cache, report=progress
            )
        if held_out:
            base = photos if photos.is_dir() else photos.parent
            write_answers(learned.manifest, learned.held_out, base, held_out)
    except GeolocError as error:
        return fail("geoloc-train learn", error)
    except OSError as error:
        return fail_writing("geoloc-train learn", error, cache or out)
    print((learned.bundle / "MODEL_CARD.md").read_text(encoding="utf-8"))
    print(f"bundle: {learned.bundle}\ntry it: geoloc locate PHOTO --bundle {learned.bundle}")
    return BAD_INPUT if progress.problems else 0
