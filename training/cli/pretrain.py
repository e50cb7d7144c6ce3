"""The commands `geoloc-train pretrain` and `geoloc-train finetune`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from geoloc.cli.console import SOME_FAILED, fail, fail_writing
from training.cli.console import Out, progress_bars
from training.config import HEAD_PRESETS, FinetuneConfig, PretrainConfig

if TYPE_CHECKING:
    import pyarrow as pa

pretrain_app = App(name="pretrain")
finetune_app = App(name="finetune")


@pretrain_app.default
def pretrain(
    photos: Path,
    /,
    *,
    out: Out,
    config: Annotated[PretrainConfig | None, Parameter(name="*")] = None,
) -> int:
    """Pretrain a CLIP model on captions made from the places of the photos.

    An interrupted run in the same folder is resumed. The defaults are PIGEON's. On several GPUs:
    torchrun --nproc-per-node 8 -m training pretrain PHOTOS -o RUN

    Parameters
    ----------
    photos
        Enriched photo table; see `geoloc-train manifest`, `split` and `enrich`.
    out
        Folder for checkpoints, losses.jsonl, TensorBoard events and the model.
    """
    from geoloc.errors import GeolocError

    try:
        from training.pretrain.pretraining import pretrain as stage

        model = stage(_read(photos), photos.parent, out, config)
    except (GeolocError, ValueError) as error:
        return fail("geoloc-train pretrain", error)
    except OSError as error:
        reason = f"{error.filename or out}: {error.strerror or error}"
        return fail("geoloc-train pretrain", f"{reason}; free some space and run the command again")
    print(f"model: {model}")
    return _report_left_out(out)


@finetune_app.default
def finetune(
    photos: Path,
    /,
    *,
    out: Out,
    model: Path,
    cells: Path,
    preset: Literal["learn", "pigeon", "pigeotto"] = "pigeon",
    config: Annotated[FinetuneConfig | None, Parameter(name="*")] = None,
) -> int:
    """Fine-tune the last block of a pretrained image tower together with the heads.

    An interrupted run in the same folder is resumed. PIGEON itself leaves the pretrained tower
    frozen: in the authors' ablation tuning made the median 1 km worse.

    Parameters
    ----------
    photos
        Enriched photo table with the split train.
    out
        Folder for checkpoints, losses.jsonl and the model.
    model
        Folder of the pretrained model from `geoloc-train pretrain`.
    cells
        Cell table from `geoloc-train cells`, built from the training photos.
    preset
        Settings of the labels and attributes.
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
    return _report_left_out(out)


def _report_left_out(run: Path) -> int:
    """Print lines about shards and photos that were left out; return the exit code."""
    from training.engine.loop import left_out_lines

    with progress_bars() as progress:
        for line in left_out_lines(run):
            progress.problem(line)
    return SOME_FAILED if progress.problems else 0


def _read(photos: Path) -> pa.Table:
    """Read an enriched photo table; raises TableError if a column is missing."""
    from geoloc.errors import TableError
    from training.data import table as photo_table

    table = photo_table.read(photos)
    needed = {"file", "offset", "size", "country"}
    missing = sorted(needed - {*table.column_names})
    if missing:
        raise TableError(
            f"{photos}: column {', '.join(missing)} is missing; make the table with"
            " geoloc-train manifest and geoloc-train enrich"
        )
    return table
