"""The command `geoloc-train gallery`."""

from __future__ import annotations

from cyclopts import App

from geoloc.cli.console import SOME_FAILED, fail, fail_writing
from training.cli.console import Out, progress_bars, require

app = App(name="gallery")


@app.default
def gallery(photos: list[str], /, *, base: str, out: Out, ray: str | None = None) -> int:
    """Build a pack for a bundle: a gallery of millions of photos, such as those of one region.

    `geoloc bundle add BUNDLE PACK` adds it, `geoloc bundle remove BUNDLE NAME` removes it. Memory
    does not grow with photos and embeddings. After an interruption the same command goes on with
    the photos that are not embedded yet.

    Parameters
    ----------
    photos
        Parquet tables with the columns lat, lon and embedding, or lat, lon and photos (a column of
        structs with the field bytes, as in data sets of Hugging Face), and optionally source,
        licence and author; folders of such tables; hf:OWNER/NAME, a data set of the Hugging Face
        Hub; or folders that `geoloc-train embed --encoder BASE` wrote.
    base
        Bundle that the pack is for: its encoder makes, or made, the embeddings.
    out
        Folder of the pack; its name is the name of the pack.
    ray
        Address of a Ray cluster that embeds the photos, or "local". Its machines need the same
        folders.
    """
    from geoloc.errors import GeolocError

    progress = progress_bars()
    try:
        require("faiss")
        from training.bundles.galleries import build_gallery_pack

        with progress:
            made = build_gallery_pack(base, photos, out, progress, ray)
    except GeolocError as error:
        return fail("geoloc-train gallery", error)
    except OSError as error:
        return fail_writing("geoloc-train gallery", error, out)
    print(f"{made.photos:,} photos in {made.clusters:,} location clusters")
    for name, row in made.measured["accuracy near"].items():
        print(f"held-out photos of the region, {name}: {100 * row['within']['25']:.1f} % in 25 km")
    share = 100.0 * made.measured["answered by the pack, elsewhere"]
    print(f"answers elsewhere that the pack changes: {share:.1f} %")
    print(f"add it: geoloc bundle add BUNDLE {out}")
    return SOME_FAILED if progress.problems else 0
