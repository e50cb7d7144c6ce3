"""`EmbeddingCache`: embeddings and signatures on disk, by content hash and encoder."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import platformdirs

from geoloc.encoders.base import EncoderSpec
from geoloc.encoders.signatures import SIDE
from geoloc.errors import GeolocError
from geoloc.types import Float32Array, UInt8Array

TRANSACTION = 1024
"""Embeddings in one transaction, which is the most that a crash can lose."""

WAIT_S = 60.0
"""Time limit on waiting for another process that writes."""


class CacheError(GeolocError):
    """The cache cannot be read or written."""


def default_cache() -> Path:
    """Return the user's cache folder for this program; on Linux it follows XDG_CACHE_HOME."""
    return platformdirs.user_cache_path("planet-geoloc", appauthor=False)


class EmbeddingCache:
    """Embeddings of one encoder in a SQLite file, keyed by the sha256 of photo files.

    Beside each embedding stands the photo's signature, of the same decoded pixels. Embeddings are
    stored as float16; `get` returns them rounded to it, in the run that added them as well. Threads
    and processes may share a cache. Use it in a `with` block, whose end writes the remaining
    embeddings.
    """

    def __init__(self, folder: Path, spec: EncoderSpec) -> None:
        """Open or create the cache of an encoder below `folder`.

        Raises:
            CacheError: the file cannot be used.
        """
        self._file = folder / "embeddings" / f"{spec.fingerprint}.sqlite"
        self._dim = spec.dim
        self._waiting: dict[str, tuple[bytes, bytes]] = {}
        self._lock = threading.Lock()
        with self._reported():
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._table = sqlite3.connect(self._file, timeout=WAIT_S, check_same_thread=False)
            self._table.execute("PRAGMA synchronous = NORMAL")
            self._table.execute(
                "CREATE TABLE IF NOT EXISTS photo"
                " (sha256 BLOB PRIMARY KEY, vector BLOB, signature BLOB)"
            )

    def __enter__(self) -> EmbeddingCache:
        return self

    def __exit__(self, *error: Any) -> None:  # noqa: ANN401
        try:
            with self._lock:
                self._write()
        finally:
            self._table.close()

    def __contains__(self, sha256: object) -> bool:
        with self._lock:
            return self._find(str(sha256)) is not None

    def get(self, sha256: Sequence[str]) -> Float32Array:
        """Return the embeddings (N, D) of N hex digests that are in the cache."""
        joined = b"".join(vector for vector, _ in self._rows(sha256))
        return np.frombuffer(joined, np.float16).reshape(len(sha256), self._dim).astype(np.float32)

    def signatures(self, sha256: Sequence[str]) -> UInt8Array:
        """Return the signatures (N, SIDE, SIDE) of N hex digests that are in the cache."""
        joined = b"".join(small for _, small in self._rows(sha256))
        return np.frombuffer(joined, np.uint8).reshape(len(sha256), SIDE, SIDE)

    def add(
        self,
        sha256: Sequence[str],
        vectors: npt.NDArray[np.floating],
        signatures: Sequence[UInt8Array],
    ) -> None:
        """Store embeddings (N, D) and signatures (N, SIDE, SIDE) of N hex digests.

        Raises:
            CacheError: the disk is full or not writable.
        """
        rows = np.asarray(vectors, np.float16)
        records = zip(sha256, rows, signatures, strict=True)
        with self._lock:
            self._waiting.update({d: (row.tobytes(), s.tobytes()) for d, row, s in records})
            if len(self._waiting) >= TRANSACTION:
                self._write()

    def _rows(self, sha256: Sequence[str]) -> list[tuple[bytes, bytes]]:
        with self._lock:
            rows = [self._find(digest) for digest in sha256]
        return [row for row in rows if row is not None]

    def _find(self, digest: str) -> tuple[bytes, bytes] | None:
        if digest in self._waiting:
            return self._waiting[digest]
        query = "SELECT vector, signature FROM photo WHERE sha256 = ?"
        with self._reported():
            row = self._table.execute(query, (bytes.fromhex(digest),)).fetchone()
        return (bytes(row[0]), bytes(row[1])) if row else None

    def _write(self) -> None:
        if not self._waiting:
            return
        rows = [(bytes.fromhex(digest), *record) for digest, record in self._waiting.items()]
        with self._reported(), self._table:
            self._table.executemany("INSERT OR IGNORE INTO photo VALUES (?, ?, ?)", rows)
        self._waiting.clear()

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise CacheError(
                f"{self._file}: cache of embeddings cannot be used ({error}); free some space,"
                " choose another place with --cache, or delete it if it is damaged"
            ) from error
