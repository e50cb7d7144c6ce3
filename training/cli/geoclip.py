"""The command `geoloc bundle build geoclip`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter, validators

from geoloc.cli.console import SOME_FAILED, fail, fail_writing
from training.cli.console import Out, progress_bars, require, with_quiet

if TYPE_CHECKING:
    from geoloc.io.progress import ProgressBars
    from geoloc.types import Float64Array

Count = Annotated[int, Parameter(validator=validators.Number(gte=1))]
Kilometres = Annotated[float, Parameter(validator=validators.Number(gt=0))]


@with_quiet
def geoclip(
    *,
    out: Out,
    gallery: Path | None = None,
    region: str | None = None,
    step_km: Kilometres = 0.1,
    points: Count = 500_000,
    photos: Path | None = None,
    clip: str = "ViT-L-14-quickgelu/openai",
    form: Literal["int8", "whole", "torch"] | None = None,
    cache: Path | None = None,
) -> int:
    """Build a model of the whole world from GeoCLIP's weights (MIT) and OpenAI's CLIP (MIT).

    Parameters
    ----------
    out
        Bundle to write.
    gallery
        CSV or Parquet table of coordinates (lat, lon) that answers are chosen from; by default
        points on populated land.
    region
        Region that answers are chosen from, at street resolution, in the syntax of
        `geoloc locate --within`.
    step_km
        Distance between the points of a region in km.
    points
        Minimum number of points on populated land.
    photos
        Folder or table of at least 200 geotagged photos to calibrate on. Without them the bundle
        never claims to be sure.
    clip
        Image tower: architecture and weights of open_clip; the weights can be the path of a file.
    form
        Format of the image encoder: int8 (in both forms, if they answer alike) or whole (not
        quantised) for a CPU, torch for a GPU; by default the one that suits this machine.
    cache
        Folder for encoders and embeddings, reused by later runs; by default the user's cache
        folder.
    """
    from geoloc.errors import GeolocError

    progress = progress_bars()
    try:
        require("torch", "open_clip", "onnx", "onnxruntime", "faiss", "sklearn")
        from geoloc.encoders.cache import default_cache
        from training.recipes.geoclip.build import build_world
        from training.recipes.geoclip.models import from_torch

        cache = cache or default_cache()
        with progress:
            gallery_points, photo_places = _points(gallery, region, step_km, points, progress)
            progress.stage("loading the image encoder")
            model = from_torch(cache, clip, form)
            build_world(
                out,
                model,
                gallery_points,
                photo_places,
                cache=cache,
                photos=photos,
                report=progress,
            )
    except GeolocError as error:
        return fail("geoloc", error)
    except OSError as error:
        return fail_writing("geoloc", error, out)
    print((out / "MODEL_CARD.md").read_text(encoding="utf-8"))
    return SOME_FAILED if progress.problems else 0


def _points(
    gallery: Path | None, region: str | None, step_km: float, points: int, progress: ProgressBars
) -> tuple[Float64Array, Float64Array]:
    """Return the points of the gallery, and the photo places that cells and prior follow."""
    from geoloc.errors import GeolocError
    from training.recipes.geoclip import gallery as galleries
    from training.recipes.geoclip.published import Published

    if gallery is not None and region is not None:
        raise GeolocError("--gallery and --region cannot be combined; give one of them")
    progress.stage("choosing points")
    if gallery is not None:
        places, problems = galleries.from_table(gallery)
        for line in problems:
            progress.problem(line)
        return places, places
    if region is not None:
        places = galleries.region(region, step_km)
        return places, places
    photo_places = Published.find().gallery
    return galleries.everywhere(photo_places, points), photo_places
