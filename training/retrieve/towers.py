"""Photos embedded once by several frozen towers, and the towers as files of the bundle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from geoloc.encoders.base import EncoderSpec
from geoloc.encoders.several import file_name, joined_spec
from geoloc.errors import TableError
from geoloc.io.atomic import atomic_path, atomic_write_text
from geoloc.io.progress import Reporter
from training.embed.encoders import load_encoder
from training.embed.table import EmbeddedTable, embed_table

_ROWS_AT_ONCE = 65_536


@dataclass(frozen=True, eq=False)
class Towers:
    """Joined embeddings, and the encoder that made them."""

    embedded: EmbeddedTable
    spec: EncoderSpec
    files: dict[str, Path]
    """Files of the encoder by their names in the bundle."""


def embed_all(
    table: pa.Table,
    folder: Path,
    encoders: Sequence[str],
    work: Path,
    report: Reporter,
    *,
    cache: Path | None = None,
    ray: str | None = None,
) -> Towers:
    """Embed the photos of a table with each encoder, and join the embeddings.

    The embeddings of each encoder are kept in `work`, so a run with one more encoder embeds with
    that one only.

    Args:
        table: photo table.
        folder: folder that its file names are relative to.
        encoders: names for `training.embed.encoders.load_encoder`, all different.
        work: folder of the stages.
        report: receives the progress, and a line for each unreadable photo.
        cache: folder of exported encoders; `work` by default.
        ray: address of a Ray cluster; see `embed_table`.

    Raises:
        BundleError: an encoder cannot be loaded, or is not what its weights need.
        TableError: no photo can be read.
    """
    report.stage("loading the encoders")  # all of them, as one may be refused
    loaded = [load_encoder(name, cache or work) for name in encoders]
    parts = []
    for name, each in zip(encoders, loaded, strict=True):
        spec = each.network.spec
        report.stage(f"embedding photos with {name}", len(table))
        parts.append(
            embed_table(
                table, folder, spec, each.file.parent, work / f"embeddings-{spec.fingerprint}",
                ray=ray, progress=report.advance,
            )
        )  # fmt: skip
    for line in dict.fromkeys(line for part in parts for line in part.problems):
        report.problem(line)
    if len(parts) == 1:
        return Towers(parts[0], loaded[0].spec, {"encoder.onnx": loaded[0].file})
    names = {file_name(number): each.file for number, each in enumerate(loaded)}
    spec = joined_spec([each.spec for each in loaded])
    return Towers(_join(parts, work / "embeddings"), spec, names)


def _join(parts: Sequence[EmbeddedTable], out: Path) -> EmbeddedTable:
    """Write the embeddings of all towers side by side, of the photos that all of them have."""
    made_from = hashlib.sha256(
        "".join((part.folder / "done.json").read_text(encoding="utf-8") for part in parts).encode()
    ).hexdigest()
    stamp = out / "joined.json"
    if stamp.is_file() and json.loads(stamp.read_text(encoding="utf-8")) == made_from:
        return EmbeddedTable(out)
    out.mkdir(exist_ok=True)
    stamp.unlink(missing_ok=True)
    photos = parts[0].photos
    keys = [part.photos["photo_id"].to_numpy(zero_copy_only=False).astype(str) for part in parts]
    common = set(keys[0]).intersection(*keys[1:])
    rows = [np.flatnonzero([key in common for key in each]) for each in keys]
    if not common or any(len(each) != len(rows[0]) for each in rows):
        raise TableError(f"{out}: the encoders read different photos; are names repeated?")
    vectors = [part.embeddings for part in parts]
    dim = sum(each.shape[1] for each in vectors)
    with atomic_path(out / "embeddings.npy") as temporary:
        joined = np.lib.format.open_memmap(temporary, "w+", np.float16, (len(rows[0]), dim))
        for start in range(0, len(joined), _ROWS_AT_ONCE):
            block = slice(start, start + _ROWS_AT_ONCE)
            side_by_side = [each[row[block]] for each, row in zip(vectors, rows, strict=True)]
            joined[block] = np.hstack(side_by_side) / np.sqrt(len(vectors))
        joined.flush()
    pq.write_table(photos.take(rows[0]), out / "photos.parquet", compression="zstd")
    (out / "problems.txt").write_text("", encoding="utf-8")
    atomic_write_text(stamp, json.dumps(made_from))
    return EmbeddedTable(out)
