"""Embed the photos of a table part by part, on this machine or on a Ray cluster.

The result is a folder: `embeddings.npy` (float16, memory-mapped), `photos.parquet` with the rows of
the embedded photos, one per view, and `problems.txt` with a line for each unreadable photo.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
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
from geoloc.errors import TableError
from geoloc.io.atomic import atomic_path, atomic_write_text
from geoloc.photos import storage
from geoloc.photos.tables import resolve
from training.data.packed import load_photo
from training.types import Float16Array

PART = 4096
"""Photos that are embedded and written together: the most work lost when a machine stops."""

_COLUMNS = ["photo_id", "file", "offset", "size"]


@dataclass(frozen=True)
class EmbeddedTable:
    """A folder written by `embed_table`."""

    folder: Path

    @property
    def photos(self) -> pa.Table:
        """The photo table, in the order of the embeddings."""
        return pq.read_table(self.folder / "photos.parquet")

    @property
    def embeddings(self) -> Float16Array:
        """(N, D) unit vectors, memory-mapped."""
        mapped: Float16Array = np.load(self.folder / "embeddings.npy", mmap_mode="r")
        return mapped

    @property
    def problems(self) -> list[str]:
        """A line for each photo that could not be read."""
        return (self.folder / "problems.txt").read_text(encoding="utf-8").splitlines()


def embed_table(
    table: pa.Table,
    folder: Path,
    encoder: EncoderSpec,
    encoder_folder: Path | None,
    out: Path,
    *,
    ray: str | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> EmbeddedTable:
    """Embed every photo of a table, reusing the parts of an interrupted or finished call.

    Args:
        table: photo table.
        folder: folder that its file names are relative to.
        encoder: spec of the network.
        encoder_folder: folder of the bundle, for an encoder whose weights are stored there.
        out: the folder to write.
        ray: address of a Ray cluster whose machines share `folder` and `out`, or "local" for a
            cluster on this machine; None embeds in this process.
        progress: called with the number of photos that were completed since the last call.

    Raises:
        TableError: no photo of the table can be read.
        BundleError: the encoder cannot be loaded.
    """
    embedder = PartEmbedder(encoder, encoder_folder, folder, out / "parts")
    parts = list(_parts(table, folder, encoder.fingerprint))
    made_from = hashlib.sha256("".join(part["key"] for part in parts).encode()).hexdigest()
    if _finished(out, made_from):
        progress(len(table))
        return EmbeddedTable(out)
    (out / "parts").mkdir(parents=True, exist_ok=True)
    waiting = [part for part in parts if not (out / "parts" / f"{part['key']}.npz").is_file()]
    progress(len(table) - sum(len(part["photo_id"]) for part in waiting))
    for done in on_ray(embedder, waiting, ray) if ray else map(embedder, waiting):
        progress(done["photos"])
    _assemble(table, parts, out, made_from)
    return EmbeddedTable(out)


class PartEmbedder:
    """Embeds one part and writes it, in this process or on a machine of a cluster."""

    def __init__(
        self, encoder: EncoderSpec, encoder_folder: Path | None, folder: Path, out: Path
    ) -> None:
        """Store the arguments; the encoder is loaded with the first part."""
        self._spec, self._encoder_folder = encoder, encoder_folder
        self._folder, self._out = folder, out
        self._encoder: ImageEncoder | None = None

    def __call__(self, part: dict[str, Any]) -> dict[str, Any]:
        """Write KEY.npz: embeddings of the readable photos, their rows, and errors."""
        if self._encoder is None:
            self._encoder = build_encoder(self._spec, self._encoder_folder)
        table = pa.table({name: part[name] for name in _COLUMNS}, schema=_PART_SCHEMA)
        load = partial(load_photo, table, self._folder)
        vectors, rows = [], []
        problems: list[str] = []
        done = 0
        for encoded in encode(self._encoder, range(len(table)), load=load):
            embeddings = encoded.embeddings.astype(np.float16)
            finite = np.asarray(np.isfinite(embeddings).all(axis=1))
            vectors.append(embeddings[finite])
            rows.append(done + encoded.index[finite])
            problems += map(str, encoded.errors)
            problems += [
                f"{photo.name}: its embedding holds NaN; check the weights of the encoder"
                for photo, good in zip(encoded.photos, finite, strict=True)
                if not good
            ]
            done += len(encoded.results)
        target = self._out / f"{part['key']}.npz"
        with atomic_path(target) as temporary, temporary.open("wb") as file:
            np.savez(
                file,
                embedding=np.concatenate(vectors),
                row=np.concatenate(rows),
                problems=np.frombuffer("\n".join(problems).encode(), np.uint8),
            )
        return {"key": part["key"], "photos": len(table)}


_PART_SCHEMA = pa.schema({
    "photo_id": pa.string(), "file": pa.string(), "offset": pa.int64(), "size": pa.int64()
})  # fmt: skip


def _parts(table: pa.Table, folder: Path, fingerprint: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of each part as plain values, keyed by everything the result depends on."""
    stamp = {name: _stamp(resolve(folder, name)) for name in table["file"].unique().to_pylist()}
    for start in range(0, len(table), PART):
        rows = table.slice(start, PART).select(_COLUMNS)
        values = {name: rows[name].to_pylist() for name in _COLUMNS}
        stamps = sorted({stamp[name] for name in values["file"]})
        text = json.dumps([fingerprint, values, stamps])
        yield {"key": hashlib.sha256(text.encode()).hexdigest()[:32], **values}


def _stamp(path: str) -> tuple[str, int, int]:
    """Return name, size and modification time of a file, to detect changes."""
    name = os.path.basename(path)
    try:
        return name, *storage.stamp(path)
    except OSError:
        return name, -1, -1


def on_ray(
    embedder: Callable[[dict[str, Any]], dict[str, Any]],
    parts: list[dict[str, Any]],
    address: str,
) -> Iterator[dict[str, Any]]:
    """Embed parts on a Ray cluster; Ray repeats those of a machine that is lost.

    Args:
        embedder: embeds a part, plain values, and returns plain values.
        parts: not yet embedded.
        address: of the cluster, or "local".
    """
    import ray

    ray.init(None if address == "local" else address, ignore_reinit_error=True)
    gpus = 1 if ray.cluster_resources().get("GPU") else 0
    workers = max(1, int(ray.cluster_resources().get("GPU" if gpus else "CPU", 1)))
    dataset = ray.data.from_items([{"part": json.dumps(part)} for part in parts])
    dataset = dataset.repartition(max(1, len(parts)))
    done = dataset.map(
        _RayActor,
        fn_constructor_args=(embedder,),
        concurrency=(1, min(workers, max(1, len(parts)))),
        num_gpus=gpus,
    )
    yield from done.iter_rows()


class _RayActor:
    """A Ray actor that holds the encoder."""

    def __init__(self, embedder: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        self._embedder = embedder

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return self._embedder(json.loads(row["part"]))


def _finished(out: Path, made_from: str) -> bool:
    try:
        state = json.loads((out / "done.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(state.get("made_from") == made_from)


def _assemble(table: pa.Table, parts: list[dict[str, Any]], out: Path, made_from: str) -> None:
    """Join all parts into one file; done.json, written last, marks the result as complete."""
    (out / "done.json").unlink(missing_ok=True)
    loaded = [np.load(out / "parts" / f"{part['key']}.npz") for part in parts]
    kept = [part["row"] + number * PART for number, part in enumerate(loaded)]
    rows = np.concatenate(kept) if kept else np.empty(0, np.int64)
    problems = [bytes(part["problems"]).decode() for part in loaded]
    lines = list(dict.fromkeys(line for text in problems for line in text.splitlines()))
    if not len(rows):
        reason = f": {lines[0]}" if lines else ""
        raise TableError(f"none of {len(table)} photos can be read{reason}")
    dim = loaded[0]["embedding"].shape[1]
    with atomic_path(out / "embeddings.npy") as temporary:
        joined = np.lib.format.open_memmap(temporary, "w+", np.float16, (len(rows), dim))
        start = 0
        for part in loaded:
            block = part["embedding"]
            joined[start : start + len(block)] = block
            start += len(block)
        joined.flush()
    pq.write_table(table.take(rows), out / "photos.parquet", compression="zstd")
    (out / "problems.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    atomic_write_text(out / "done.json", json.dumps({"made_from": made_from}))
    shutil.rmtree(out / "parts")
