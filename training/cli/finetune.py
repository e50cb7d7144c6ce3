"""The command `geoloc-train finetune`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from geoloc.cli.console import fail, fail_writing
from training.config import HEAD_PRESETS, FinetuneConfig

app = App(name="finetune", help="Tune the last block of a pretrained tower with the heads.")


@app.default
def finetune(
    photos: Path,
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    model: Path,
    cells: Path,
    preset: Literal["learn", "pigeon", "pigeotto"] = "pigeon",
    config: Annotated[FinetuneConfig | None, Parameter(name="*")] = None,
) -> int:
    """Tune, or go on where the run in the same folder stopped; then embed with the tuned tower.

    PIGEON itself keeps the pretrained tower as it is: in the authors' ablation tuning made the
    median 1 km worse.

    Parameters
    ----------
    photos
        An enriched photo table with the split train.
    out
        Folder of the run: checkpoints, losses.jsonl, and the model.
    model
        Folder of the pretrained model; see `geoloc-train pretrain`.
    cells
        From `geoloc-train cells`, drawn from the training photos.
    preset
        Settings of labels and attributes.
    """
    from geoloc.errors import GeolocError

    try:
        from geocells.table import CellTable
        from training.data import table as photo_table
        from training.pretrain.finetune import finetune as stage

        table = photo_table.read(photos)
        heads = HEAD_PRESETS[preset]()
        tuned = stage(table, photos.parent, model, CellTable.read(cells), out, heads, config)
    except (GeolocError, ValueError) as error:
        return fail("geoloc-train finetune", error)
    except OSError as error:
        return fail_writing("geoloc-train finetune", error, out)
    print(f"model: {tuned}")
    return 0
