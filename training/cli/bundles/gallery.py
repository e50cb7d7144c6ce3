"""The command `geoloc-train gallery`."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from geoloc.cli.console import SOME_FAILED, fail, fail_writing
from training.cli.console import Out, progress_bars, require

app = App(name="gallery")


@app.default
def gallery(embeddings: list[Path], /, *, base: str, out: Out) -> int:
    """Build a pack for a bundle: a gallery of embedded photos, such as those of one region.

    `geoloc bundle add BUNDLE PACK` adds it, `geoloc bundle remove BUNDLE NAME` removes it. Memory
    does not grow with the embeddings, which may be of millions of photos.

    Parameters
    ----------
    embeddings
        Folders that `geoloc-train embed --encoder BASE` wrote, or Parquet tables with the columns
        lat, lon and embedding, and optionally source, licence and author.
    base
        Bundle that the pack is for: its encoder made the embeddings.
    out
        Folder of the pack; its name is the name of the pack.
    """
    from geoloc.errors import GeolocError

    progress = progress_bars()
    try:
        require("faiss")
        from training.bundles.galleries import build_gallery_pack

        with progress:
            made = build_gallery_pack(base, embeddings, out, progress)
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
