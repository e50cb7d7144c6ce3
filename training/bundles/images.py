"""Tables with photos in them, embedded part by part, here or on a Ray cluster.

A part becomes a Parquet file of coordinates, attribution and embeddings, which
`training.bundles.embeddings` reads. Photos pass from the table through the encoder, a batch at a
time; none is copied to the disk. A part that is there already is not embedded again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from geoloc.encoders.base import EncoderSpec, ImageEncoder
from geoloc.encoders.pipeline import encode
from geoloc.encoders.registry import build_encoder
from geoloc.errors import PhotoError
from geoloc.io.atomic import atomic_path
from geoloc.io.progress import Reporter
from geoloc.photos import decode, storage
from geoloc.photos.columns import column, read_degrees, text_column
from geoloc.photos.position import is_position
from geoloc.photos.tables import photo_problems, position_problems
from geoloc.types import Float64Array
from training.bundles.embeddings import ATTRIBUTION, COLUMN, placing_columns
from training.bundles.finding import opened
from training.bundles.stored import fixed
from training.data.packed import bytes_of, photo_column
from training.embed.table import on_ray

PART = 4096
"""Photos that are embedded and written together, about: whole row groups of the table."""

NEEDS = "the columns lat and lon beside the photos"

_ROWS_AT_ONCE = 64


def embed_images(
    tables: Sequence[str],
    encoder: EncoderSpec,
    encoder_folder: Path,
    work: Path,
    report: Reporter,
    ray: str | None = None,
) -> list[Path]:
    """Embed the photos of Parquet tables.

    Args:
        tables: paths or addresses.
        encoder: spec of the network.
        encoder_folder: of the bundle that it is in.
        work: the folder to write, which machines of a cluster share.
        report: receives the progress, and a line for each kind of photos that are left out.
        ray: address of a Ray cluster, or "local"; None embeds in this process.

    Returns:
        Tables of embeddings, in the order of the photos.

    Raises:
        TableError: a table cannot be read.
    """
    work.mkdir(parents=True, exist_ok=True)
    parts = [part for table in tables for part in _parts(table, encoder.fingerprint)]
    report.stage("embedding photos", sum(part["rows"] for part in parts))
    files = [work / f"{part['key']}.parquet" for part in parts]
    waiting = [part for part, file in zip(parts, files, strict=True) if not file.is_file()]
    report.advance(sum(part["rows"] for part in parts) - sum(part["rows"] for part in waiting))
    embedder = ImageEmbedder(encoder, encoder_folder, work)
    for done in on_ray(embedder, waiting, ray) if ray else map(embedder, waiting):
        report.advance(done["photos"])
    for file in files:
        for line in json.loads(pq.read_schema(file).metadata[b"problems"]):
            report.problem(line)
    return [file for file in files if pq.read_metadata(file).num_rows]


def _parts(table: str, fingerprint: str) -> Iterator[dict[str, Any]]:
    """Yield the parts of a table as plain values, keyed by everything the result depends on."""
    with opened(table) as content:
        metadata = content.metadata
        sizes = [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]
        stamp = storage.stamp(table)
    first, groups, rows = 0, [], 0
    for number, size in enumerate(sizes):
        groups.append(number)
        rows += size
        if rows >= PART or number == len(sizes) - 1:
            text = json.dumps([fingerprint, os.path.basename(table), *stamp, groups])
            key = hashlib.sha256(text.encode()).hexdigest()[:32]
            yield {"key": key, "table": table, "groups": groups, "first": first, "rows": rows}
            first, groups, rows = first + rows, [], 0


@dataclass
class ImageEmbedder:
    """Embeds parts, in this process or on a machine of a cluster."""

    spec: EncoderSpec
    encoder_folder: Path
    out: Path
    _encoder: ImageEncoder | None = None

    def __call__(self, part: dict[str, Any]) -> dict[str, Any]:
        """Write KEY.parquet with the readable photos of a part that have coordinates."""
        if self._encoder is None:
            self._encoder = build_encoder(self.spec, self.encoder_folder)
        table, groups = part["table"], part["groups"]
        with opened(table) as content:
            names = placing_columns(content.schema_arrow.names)
            about = content.read_row_groups(groups, names)
            latlon = read_degrees(about, table, NEEDS)
            photos = _photos(content, part, np.flatnonzero(is_position(latlon)))
            rows, vectors, errors = _embed(self._encoder, photos)
        problems = photo_problems(table, errors, len(about))
        if not is_position(latlon).all():
            numbers = [f"row {part['first'] + row + 1}" for row in range(len(about))]
            problems = [*position_problems(table, numbers, latlon), *problems]
        _write(self.out / f"{part['key']}.parquet", about, latlon, rows, vectors, problems)
        return {"key": part["key"], "photos": len(about)}


def _photos(
    content: pq.ParquetFile, part: dict[str, Any], wanted: np.ndarray
) -> Iterator[tuple[int, str, bytes | None]]:
    """Yield row in the part, name and bytes of wanted photos, some rows in memory at a time."""
    name = photo_column(content.schema_arrow)
    kept, row = set(wanted.tolist()), 0
    batches = content.iter_batches(_ROWS_AT_ONCE, row_groups=part["groups"], columns=[name])
    for batch in batches:
        for value in batch.column(0):
            if row in kept:
                shown = f"{part['table']}, row {part['first'] + row + 1}"
                yield row, shown, bytes_of(value.as_py())
            row += 1


def _embed(
    encoder: ImageEncoder, photos: Iterator[tuple[int, str, bytes | None]]
) -> tuple[list[int], np.ndarray, list[PhotoError]]:
    """Return rows (M,) and embeddings (M, D) of the readable photos, and errors of the others."""
    numbers: list[int] = []

    def numbered() -> Iterator[tuple[int, str, bytes | None]]:
        for photo in photos:
            numbers.append(photo[0])
            yield photo

    rows: list[int] = []
    vectors = [np.empty((0, encoder.spec.dim), np.float16)]
    errors: list[PhotoError] = []
    done = 0
    for encoded in encode(encoder, numbered(), load=_load):
        finite = np.isfinite(encoded.embeddings).all(axis=1)
        vectors.append(encoded.embeddings[finite].astype(np.float16))
        rows += [numbers[done + at] for at in encoded.index[finite]]
        errors += encoded.errors
        done += len(encoded.results)
    return rows, np.concatenate(vectors), errors


def _load(photo: tuple[int, str, bytes | None], /, **options: Any) -> decode.Photo:  # noqa: ANN401
    _, name, content = photo
    if not content:
        raise PhotoError(f"{name}: holds no photo")
    return partial(decode.load, content, name=name)(**options)


def _write(
    path: Path,
    about: pa.Table,
    latlon: Float64Array,
    rows: list[int],
    vectors: np.ndarray,
    problems: list[str],
) -> None:
    columns: dict[str, Any] = {"lat": pa.array(latlon[rows, 0]), "lon": pa.array(latlon[rows, 1])}
    for name in ATTRIBUTION:
        found = column(about, name)
        if found is not None:
            columns[name] = text_column(found).take(pa.array(rows, pa.int64()))
    columns[COLUMN] = fixed(vectors, vectors.shape[1] * vectors.itemsize)
    table = pa.table(columns).replace_schema_metadata({"problems": json.dumps(problems)})
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
