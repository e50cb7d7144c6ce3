"""Downloads of single files: resumed, in parallel ranges, verified, and reported in one line.

Own code and not a library: it needs nothing of a server but HTTP, and continues a file where an
earlier attempt stopped, whatever program or mirror served it. Settings of proxies and certificates
come from the environment, as `httpx` reads them.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from geoloc.bundle.network import check_response, check_space, client, reported, unreachable
from geoloc.errors import BundleError
from geoloc.io.digests import sha256

RANGE_BYTES = 2**26
"""Files above this size are fetched in ranges of it, RANGES at a time."""

RANGES = 4

Progress = Callable[[int, int | None], None]
"""Called with the number of new bytes and the expected size of the current file, if known."""


@dataclass(frozen=True)
class Remote:
    """A file on a server."""

    url: str
    shown: str
    """What messages call it."""
    sha256: str | None = None
    """None: its publisher does not say, and only its length is checked."""
    size: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    """With what is needed to be let in."""


def fetch_file(remote: Remote, path: Path, progress: Progress) -> None:
    """Download a file, unless it is complete already; an interrupted download is continued.

    Raises:
        BundleError: it cannot be reached, is not what its publisher names, or the disk is full.
        OSError: it cannot be written.
    """
    if _is_complete(remote, path):
        return
    part = path.with_name(path.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    with client(remote.url, remote.shown) as connection:
        total = _Transfer(remote, part, connection, progress).run()
    size = part.stat().st_size
    if total is not None and size < total:
        raise BundleError(
            f"{remote.shown}: the connection broke after {size:,} of {total:,} bytes; run the same"
            " command again to resume"
        )
    if remote.sha256 is not None and sha256(part) != remote.sha256:
        part.unlink()
        raise wrong_checksum(remote.shown)
    if remote.size is not None and size != remote.size:
        part.unlink()
        raise wrong_checksum(remote.shown)
    part.replace(path)


def _is_complete(remote: Remote, path: Path) -> bool:
    if not path.is_file() or remote.size not in (None, path.stat().st_size):
        return False
    if remote.sha256 is not None:
        return sha256(path) == remote.sha256
    return remote.size is not None


class _Transfer:
    """One file on its way; ranges after the first lie beside it until they are joined."""

    def __init__(
        self, remote: Remote, part: Path, connection: httpx.Client, progress: Progress
    ) -> None:
        self._remote, self._part, self._connection = remote, part, connection
        self._progress, self._counting = progress, threading.Lock()
        self._stopped = threading.Event()
        self._total: int | None = None

    def run(self) -> int | None:
        """Fetch everything that is missing; return the size of the file, None if it is unknown."""
        self._forget_half_joined()
        with self._opened(self._part, 0, None) as response:
            if response is None:
                return None
            start = _first_byte(response)
            length = response.headers.get("Content-Length")
            self._total = None if length is None else start + int(length)
            ranges = self._ranges(response)
            if self._total is not None:
                there = start + sum(map(_size, ranges.values()))
                check_space(self._part.parent, self._total - there)
            with ThreadPoolExecutor(RANGES) as pool:
                jobs = [pool.submit(self._range, path, number) for number, path in ranges.items()]
                try:
                    last = RANGE_BYTES if ranges else None
                    self._receive(response, self._part, start, last)
                    for job in jobs:
                        job.result()
                finally:
                    self._stopped.set()
        self._join(list(ranges.values()))
        return self._total

    def _ranges(self, response: httpx.Response) -> dict[int, Path]:
        """Return the paths of the ranges after the first, by number; none for a small file."""
        divisible = response.status_code == 206 or response.headers.get("Accept-Ranges") == "bytes"
        if self._total is None or not divisible or _first_byte(response) > RANGE_BYTES:
            return {}
        return {n: self._beside(n) for n in range(1, -(-self._total // RANGE_BYTES))}

    def _beside(self, number: int) -> Path:
        return self._part.with_name(f"{self._part.name}{number}")

    def _range(self, path: Path, number: int) -> None:
        """Fetch one range into its own file."""
        assert self._total is not None
        first = number * RANGE_BYTES
        length = min(RANGE_BYTES, self._total - first)
        have = _size(path)
        if have == length:
            return
        if have > length:
            path.unlink()
        with self._opened(path, first, first + length) as response:
            if response is None or response.status_code != 206:
                raise BundleError(
                    f"{self._remote.shown}: changed while it was fetched; run the command again"
                )
            self._receive(response, path, _size(path), length)

    @contextmanager
    def _opened(self, path: Path, first: int, end: int | None) -> Iterator[httpx.Response | None]:
        """Yield the response with the bytes after those in a file; None if there are no more.

        Args:
            path: of the range.
            first: position of the range in the whole file.
            end: position after its last byte; None: all that follows.
        """
        have = _size(path)
        headers = {**self._remote.headers, "Accept-Encoding": "identity"}
        if have or end is not None:
            headers["Range"] = f"bytes={first + have}-{'' if end is None else end - 1}"
        with (
            reported(self._remote.shown),
            self._connection.stream("GET", self._remote.url, headers=headers) as response,
        ):
            if response.status_code == 416 and have:
                yield None
                return
            check_response(response, self._remote.shown)
            yield response

    def _receive(self, response: httpx.Response, path: Path, have: int, most: int | None) -> None:
        """Write the content of a response, up to `most` bytes in the file; see `_opened`."""
        with path.open("ab" if have else "wb") as file:
            if most is not None and have >= most:
                return
            for block in self._blocks(response):
                taken = block if most is None else block[: most - have]
                file.write(taken)
                have += len(taken)
                with self._counting:
                    self._progress(len(taken), self._total)
                if have == most or self._stopped.is_set():
                    break
            file.flush()
            os.fsync(file.fileno())

    def _blocks(self, response: httpx.Response) -> Iterator[bytes]:
        """Yield the content; a connection that breaks ends it early."""
        try:
            yield from response.iter_raw()
        except httpx.RemoteProtocolError:  # closed before the end: `fetch_file` compares the length
            return
        except httpx.HTTPError as error:
            raise unreachable(self._remote.shown, error) from error

    def _join(self, ranges: list[Path]) -> None:
        """Append the ranges to the first one, as far as they are complete."""
        for number, path in enumerate(ranges, start=1):
            if _size(self._part) != number * RANGE_BYTES:
                break
            with self._part.open("ab") as whole, path.open("rb") as file:
                shutil.copyfileobj(file, whole, 2**20)
                whole.flush()
                os.fsync(whole.fileno())
            path.unlink()

    def _forget_half_joined(self) -> None:
        """Cut the first file back to the ranges that were appended whole, after a crash."""
        for number in range(1, -(-_size(self._part) // RANGE_BYTES) + 1):
            if self._beside(number).exists() and _size(self._part) > number * RANGE_BYTES:
                os.truncate(self._part, number * RANGE_BYTES)
                return


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _first_byte(response: httpx.Response) -> int:
    """Return the position of the first byte of a response in the file."""
    if response.status_code != 206:
        return 0
    span = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    if span.isdigit():
        return int(span)
    asked = response.request.headers["Range"].removeprefix("bytes=").partition("-")[0]
    return int(asked)


def wrong_checksum(shown: str) -> BundleError:
    """Return the error for a file that is not the one its publisher names."""
    return BundleError(
        f"{shown}: its checksum differs from the published one; it was damaged on the way, or"
        " changed: run the same command again, and ask its publisher if that does not help"
    )
