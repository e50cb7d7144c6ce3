"""The command line for making models: geoloc-train learn PHOTOS -o my.bundle."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from geoloc import __version__
from geoloc.console import BAD_INPUT, fail, run
from training.cells_cli import app as cells_app
from training.enrich_cli import app as enrich_app
from training.pretrain_cli import app as pretrain_app

if TYPE_CHECKING:
    from rich.progress import TaskID

app = App(
    name="geoloc-train",
    version=__version__,
    help="Make bundles: from photos whose places are known to a model that places others.",
)

app.command(cells_app)
app.command(enrich_app)
app.command(pretrain_app)

SHOWN_PROBLEMS = 20


@app.command
def learn(
    photos: Path,
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    encoder: str = "starter",
    coordinates: Annotated[tuple[Path, ...], Parameter(negative=())] = (),
    cache: Path | None = None,
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
        Whose image encoder to use: a bundle, efficientnet_lite0..2, open_clip:ARCHITECTURE/TAG or
        timm:MODEL.TAG.
    coordinates
        Parquet table of photo coordinates of the world (lat, lon, perhaps author), from which cells
        and prior are drawn beside those of the photos; may be given several times.
    cache
        Folder of embeddings kept between runs.
    """
    from geoloc.errors import GeolocError

    progress = _Progress()
    try:
        _require("torch", "onnx", "faiss", "onnxruntime")
        from training.recipes import learn as recipe

        with progress:
            learned = recipe(
                photos, out, encoder=encoder, coordinates=coordinates, cache=cache, report=progress
            )
    except GeolocError as error:
        return fail("geoloc-train", error)
    except OSError as error:
        reason = f"{error.filename or cache or out}: {error.strerror or error}"
        return fail("geoloc-train", f"{reason}; free some space or choose another place")
    print((learned.bundle / "MODEL_CARD.md").read_text(encoding="utf-8"))
    print(f"bundle: {learned.bundle}\ntry it: geoloc locate PHOTO --bundle {learned.bundle}")
    return BAD_INPUT if progress.problems else 0


def _require(*packages: str) -> None:
    """Say at once, rather than after the photos were read, that an extra is missing."""
    from importlib.util import find_spec

    from geoloc.errors import MissingExtraError

    for package in packages:
        if find_spec(package) is None:
            raise MissingExtraError(package, "train")


class _Progress:
    """A bar for each stage, on standard error."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
        )

        self.problems = 0
        self._console = Console(stderr=True)
        self._bars = Progress(
            TextColumn("{task.description:28}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
        )
        self._current: TaskID | None = None

    def __enter__(self) -> None:
        self._bars.start()

    def __exit__(self, *error: Any) -> None:  # noqa: ANN401
        self._finish()
        self._bars.stop()
        if self.problems > SHOWN_PROBLEMS:
            print(f"… and {self.problems - SHOWN_PROBLEMS} more", file=sys.stderr)

    def stage(self, name: str, total: int | None = None) -> None:
        """See `training.recipes.Reporter`."""
        self._finish()
        self._current = self._bars.add_task(name, total=total or 1)
        self._counted = total is not None

    def advance(self, steps: int = 1) -> None:
        """See `training.recipes.Reporter`."""
        if self._current is not None:
            self._bars.advance(self._current, steps)

    def problem(self, line: str) -> None:
        """See `training.recipes.Reporter`."""
        self.problems += 1
        if self.problems <= SHOWN_PROBLEMS:
            self._console.print(f"left out: {line}", markup=False, highlight=False, soft_wrap=True)

    def _finish(self) -> None:
        if self._current is not None and not self._counted:
            self._bars.advance(self._current)
        self._current = None


def main() -> None:
    """Entry point of the `geoloc-train` command."""
    run(app)


if __name__ == "__main__":
    main()
