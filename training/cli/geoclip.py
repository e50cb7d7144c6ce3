"""What `geoloc bundle build geoclip` does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter, validators

from geoloc.cli.console import BAD_INPUT, fail, fail_writing
from training.cli.console import progress_bars, require

if TYPE_CHECKING:
    from geoloc.io.progress import ProgressBars
    from geoloc.types import Float64Array

Count = Annotated[int, Parameter(validator=validators.Number(gte=1))]
Kilometres = Annotated[float, Parameter(validator=validators.Number(gt=0))]


def geoclip(
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    gallery: Path | None = None,
    region: str | None = None,
    step_km: Kilometres = 0.1,
    points: Count = 500_000,
    photos: Path | None = None,
    clip: str = "ViT-L-14-quickgelu/openai",
    form: Literal["int8", "whole", "torch"] | None = None,
    cache: Path | None = None,
) -> int:
    """A model of the whole world: GeoCLIP's weights (MIT) on OpenAI's CLIP (MIT).

    Parameters
    ----------
    out
        The bundle to write.
    gallery
        CSV or Parquet table of coordinates (lat, lon): photos are placed at these points, instead
        of at points on populated land.
    region
        Photos are placed inside a part of the Earth only, as `geoloc locate --within` takes it, at
        street resolution.
    step_km
        Distance between the points of a region.
    points
        How many points on populated land, at least.
    photos
        Folder or table of geotagged photos to calibrate on, some hundreds or more. Without them the
        bundle never claims to be sure.
    clip
        Architecture and weights of open_clip; the weights may be the path of a file.
    form
        How the image encoder is held: int8 or whole for a CPU, torch for a GPU. By default what
        suits this machine.
    cache
        Folder of encoders and embeddings kept between runs.
    """
    from geoloc.errors import GeolocError

    progress = progress_bars()
    try:
        require("torch", "open_clip", "onnx", "onnxruntime", "faiss", "sklearn")
        from geoloc.encoders.cache import default_cache
        from training.config import WorldConfig
        from training.recipes.geoclip.build import build_world

        with progress:
            places, known = _places(gallery, region, step_km, points, progress)
            build_world(
                out,
                places,
                known,
                cache=cache or default_cache(),
                config=WorldConfig(clip, form),
                photos=photos,
                report=progress,
            )
    except GeolocError as error:
        return fail("geoloc", error)
    except OSError as error:
        return fail_writing("geoloc", error, out)
    print((out / "MODEL_CARD.md").read_text(encoding="utf-8"))
    return BAD_INPUT if progress.problems else 0


def _places(
    gallery: Path | None, region: str | None, step_km: float, points: int, progress: ProgressBars
) -> tuple[Float64Array, Float64Array]:
    """The points of the gallery, and the places known for photos."""
    from geoloc.errors import GeolocError
    from training.recipes.geoclip import gallery as galleries
    from training.recipes.geoclip.published import Published

    if gallery is not None and region is not None:
        raise GeolocError("--gallery and --region exclude each other; give one of them")
    progress.stage("choosing places")
    if gallery is not None:
        places, problems = galleries.from_table(gallery)
        for line in problems:
            progress.problem(line)
        return places, places
    if region is not None:
        places = galleries.region(region, step_km)
        return places, places
    known = Published.find().gallery
    return galleries.everywhere(known, points), known
