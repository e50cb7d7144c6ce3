"""The command `geoloc-train pretrain`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from geoloc.cli.console import fail
from training.config import PretrainConfig

if TYPE_CHECKING:
    import pyarrow as pa

app = App(name="pretrain", help="Pretrain a CLIP model on captions made from places.")


@app.default
def pretrain(
    photos: Path,
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    config: Annotated[PretrainConfig | None, Parameter(name="*")] = None,
) -> int:
    """Pretrain, or go on where the run in the same folder stopped.

    The defaults are PIGEON's. On several GPUs:
    torchrun --nproc-per-node 8 -m training pretrain PHOTOS -o RUN

    Parameters
    ----------
    photos
        An enriched photo table; see `geoloc-train manifest`, `split` and `enrich`.
    out
        Folder of the run: checkpoints, losses.jsonl, events for tensorboard, and the model.
    """
    from geoloc.errors import GeolocError

    try:
        from training.pretrain.pretraining import pretrain as stage

        model = stage(_read(photos), photos.parent, out, config)
    except (GeolocError, ValueError) as error:
        return fail("geoloc-train pretrain", error)
    except OSError as error:
        reason = f"{error.filename or out}: {error.strerror or error}"
        return fail("geoloc-train pretrain", f"{reason}; free some space and start it again")
    print(f"model: {model}")
    return 0


def _read(photos: Path) -> pa.Table:
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
