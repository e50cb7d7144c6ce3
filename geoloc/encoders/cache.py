"""Embeddings kept between runs, by content hash and encoder; memory stays flat for any number."""

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
from geoloc.errors import GeolocError
from geoloc.types import Float32Array

TRANSACTION = 1024
"""Embeddings written together: what is lost at most when the machine stops."""

WAIT_S = 60.0
"""How long another run may write before this one gives up."""


class CacheError(GeolocError):
    """The cache cannot be read or written."""


def default_cache() -> Path:
    """Return the user's cache folder for this program; on Linux it follows XDG_CACHE_HOME."""
    return platformdirs.user_cache_path("planet-geoloc", appauthor=False)


class EmbeddingCache:
    """Vectors of one encoder in a SQLite file, keyed by the sha256 of photo files.

    Vectors are float16: what comes back is rounded so, whether it was just added or is from an
    earlier run. Threads and processes may share a cache. It is used in a `with` block, at whose end
    what is left is written.
    """

    def __init__(self, folder: Path, spec: EncoderSpec) -> None:
        """Open or start the cache of an encoder below `folder`.

        Raises:
            CacheError: it cannot be used; says why.
        """
        self._file = folder / "embeddings" / f"{spec.fingerprint}.sqlite"
        self._dim = spec.dim
        self._waiting: dict[str, bytes] = {}
        self._lock = threading.Lock()
        with self._explained():
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._table = sqlite3.connect(self._file, timeout=WAIT_S, check_same_thread=False)
            self._table.execute("PRAGMA synchronous = NORMAL")
            self._table.execute(
                "CREATE TABLE IF NOT EXISTS embedding (sha256 BLOB PRIMARY KEY, vector BLOB)"
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
        """Vectors (N, D) of photos that are in the cache, by hex digests."""
        with self._lock:
            rows = [self._find(digest) for digest in sha256]
        joined = b"".join(row for row in rows if row is not None)
        return np.frombuffer(joined, np.float16).reshape(len(rows), self._dim).astype(np.float32)

    def add(self, sha256: Sequence[str], vectors: npt.NDArray[np.floating]) -> None:
        """Keep vectors (N, D).

        Raises:
            CacheError: the disk is full or not writable.
        """
        rows = np.asarray(vectors, np.float16)
        with self._lock:
            self._waiting.update({d: row.tobytes() for d, row in zip(sha256, rows, strict=True)})
            if len(self._waiting) >= TRANSACTION:
                self._write()

    def _find(self, digest: str) -> bytes | None:
        if digest in self._waiting:
            return self._waiting[digest]
        query = "SELECT vector FROM embedding WHERE sha256 = ?"
        with self._explained():
            row = self._table.execute(query, (bytes.fromhex(digest),)).fetchone()
        return bytes(row[0]) if row else None

    def _write(self) -> None:
        if not self._waiting:
            return
        rows = [(bytes.fromhex(digest), vector) for digest, vector in self._waiting.items()]
        with self._explained(), self._table:
            self._table.executemany("INSERT OR IGNORE INTO embedding VALUES (?, ?)", rows)
        self._waiting.clear()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise CacheError(
                f"{self._file}: cache of embeddings cannot be used ({error}); free some space,"
                " choose another place with --cache, or delete it if it is damaged"
            ) from error
