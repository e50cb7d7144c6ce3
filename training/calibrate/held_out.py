"""Answers for photos held out, as a table: `geoloc play` and `geoloc evaluate` take it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv

from geoloc.io.atomic import WholeFile
from training.calibrate.crossval import HeldOut
from training.data.manifest import Manifest


def write_answers(manifest: Manifest, held_out: HeldOut, base: Path, path: Path) -> Path:
    """Write what was answered for N photos by models that never saw their groups.

    Args:
        manifest: N photos.
        held_out: the answers, by method.
        base: folder that file names are relative to.
        path: CSV with the columns file, player (the method), lat, lon; appears whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    files = [Path(os.path.relpath(file, base)).as_posix() for file in manifest.file]
    methods = list(held_out.answers)
    points = np.concatenate([held_out.answers[method] for method in methods])
    table = pa.table(
        {
            "file": files * len(methods),
            "player": np.repeat(methods, len(files)).tolist(),
            "lat": points[:, 0].round(6),
            "lon": points[:, 1].round(6),
        }
    )
    with WholeFile(path) as out:
        csv.write_csv(table, out)
        out.finish()
    return out.path
