"""Download of published bundles: with progress, resumed, and every file verified."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from geoloc.bundle import directory as bundles
from geoloc.errors import BundleError
from geoloc.io.digests import sha256

TIMEOUT_S = 30.0
BLOCK = 2**16
MARGIN_BYTES = 2**26
"""Disk space that stays free."""

HUB = "hf:"
"""Prefix of OWNER/NAME, a model repository of the Hugging Face Hub."""

_DISK_ERRORS = (errno.EACCES, errno.EDQUOT, errno.EIO, errno.ENOSPC, errno.EPERM, errno.EROFS)

_REPOSITORY = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", re.ASCII)

FILE_NAME = re.compile(r"\w[\w.-]{0,99}", re.ASCII)
"""Allowed names of files in a bundle: no paths and no hidden files."""

Progress = Callable[[int, int | None], None]
"""Called with the number of new bytes and the expected size of the current file, if known."""


def fetch(address: str, target: Path, progress: Progress = lambda received, expected: None) -> Path:
    """Download a bundle and install it; an interrupted download is resumed.

    Args:
        address: "https://…/NAME/" with the files of a bundle below it, or "hf:OWNER/NAME".
        target: the folder it becomes; it appears only when the bundle is complete and verified.
        progress: called during an https download; huggingface_hub shows its own progress bar.

    Raises:
        BundleError: the address cannot be reached or holds no bundle, a checksum differs, or the
            disk is full.
    """
    bundles.check_target(target)
    base = _base(address)
    partial = target.with_name(f".{target.name}.download")
    try:
        partial.mkdir(parents=True, exist_ok=True)
        if base is None:
            files = _from_hub(address.removeprefix(HUB), partial)
        else:
            files = _from_address(base, partial, progress)
        bundles.verify(partial)
        with bundles.writing(target) as folder:
            for name in ("bundle.json", *files):  # not the files of an earlier version
                (partial / name).rename(folder / name)
    except OSError as error:
        raise BundleError(
            f"{target}: cannot be written ({error.strerror or error}); free some space, then run"
            " the same command again to resume"
        ) from error
    finally:
        with suppress(OSError):  # not empty: kept to be resumed
            partial.rmdir()
    shutil.rmtree(partial, ignore_errors=True)
    return target


def _from_address(base: str, partial: Path, progress: Progress) -> list[str]:
    """Download a bundle below a URL into a folder, file by file; return the names of its files.

    Own code and not a library: it resumes each file with a Range request, and checks it against the
    sha256 in bundle.json, which needs no server but a static one.
    """
    manifest = partial / "bundle.json"
    manifest.unlink(missing_ok=True)  # another version may have been published since
    _download(urljoin(base, "bundle.json"), manifest, progress)
    files = _files(manifest, base)
    for name, digest in files.items():
        _fetch_file(urljoin(base, name), partial / name, digest, progress)
    return list(files)


def _from_hub(repository: str, partial: Path) -> list[str]:
    """Download a bundle from the Hugging Face Hub into a folder; return the names of its files."""
    from huggingface_hub import HfApi, snapshot_download

    with _hub_errors(repository):
        info = HfApi().model_info(repository, files_metadata=True, timeout=TIMEOUT_S)
    sizes = {each.rfilename: each.size or 0 for each in info.siblings or ()}

    def download(names: Sequence[str]) -> None:
        with _hub_errors(repository), _no_bars_in_logs():
            snapshot_download(
                repository, revision=info.sha, allow_patterns=list(names), local_dir=partial
            )

    download(["bundle.json"])
    files = _files(partial / "bundle.json", HUB + repository)
    missing = [name for name in files if not (partial / name).is_file()]
    _check_space(partial / "bundle.json", sum(sizes.get(name, 0) for name in missing))
    download(list(files))
    for name, digest in files.items():
        path = partial / name
        if path.is_file() and sha256(path) != digest:
            path.unlink()
            raise _wrong_checksum(f"{HUB}{repository}/{name}")
    return list(files)


@contextmanager
def _hub_errors(repository: str) -> Iterator[None]:
    """Raise errors of the Hub, which have no common base, as BundleError; let disk errors pass."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
            raise
        raise _unreachable(HUB + repository, error) from error


@contextmanager
def _no_bars_in_logs() -> Iterator[None]:
    """Disable huggingface_hub's progress bars where standard error is not a terminal."""
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    if are_progress_bars_disabled() or (sys.stderr is not None and sys.stderr.isatty()):
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


def _base(address: str) -> str | None:
    """Return the URL of a bundle with a final slash; None for a repository of the Hub.

    Raises:
        BundleError: the address is neither.
    """
    if address.startswith(HUB) and _REPOSITORY.fullmatch(address, len(HUB)):
        return None
    try:
        parts = urlsplit(address)
    except ValueError:  # unbalanced brackets
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or not address.isascii():
        raise BundleError(f"{address}: not an address; give https://…/NAME/ or hf:OWNER/NAME")
    return address.rstrip("/") + "/"


def _files(manifest: Path, base: str) -> dict[str, str]:
    """Return the names and checksums of the files that a bundle.json lists."""
    try:
        files = dict(json.loads(manifest.read_text(encoding="utf-8"))["sha256"].items())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{base}: not a bundle; check the address") from error
    for name in files:
        if not FILE_NAME.fullmatch(name):
            raise BundleError(
                f"{base}: bundle.json lists the file {name!r}, which is not a valid name; do not"
                " trust this address"
            )
    return files


def _fetch_file(address: str, path: Path, digest: str, progress: Progress) -> None:
    """Download one file of a bundle, unless it is complete already."""
    if path.is_file() and sha256(path) == digest:
        return
    part = path.with_name(path.name + ".part")
    _download(address, part, progress)
    if sha256(part) != digest:
        part.unlink()
        raise _wrong_checksum(address)
    part.replace(path)


def _wrong_checksum(address: str) -> BundleError:
    return BundleError(
        f"{address}: its checksum differs from bundle.json; it was damaged on the way, or"
        " changed: run the same command again, and ask its publisher if that does not help"
    )


def _download(address: str, path: Path, progress: Progress) -> None:
    """Download a file, appending to what an earlier attempt left of it."""
    have = path.stat().st_size if path.exists() else 0
    response = _request(address, have)
    if response is None:
        return
    with response:
        resumed = response.status == 206
        expected = None if response.length is None else response.length + (have if resumed else 0)
        _check_space(path, response.length or 0)
        with path.open("ab" if resumed else "wb") as file:
            for block in _blocks(response, address):
                file.write(block)
                progress(len(block), expected)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
    if expected is not None and size < expected:
        raise BundleError(
            f"{address}: the connection broke after {size:,} of {expected:,} bytes; run the same"
            " command again to resume"
        )


def _request(address: str, have: int) -> HTTPResponse | None:
    """Return a response with the bytes after the first `have`; None if there are no more."""
    request = urllib.request.Request(address)
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response: HTTPResponse = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:
            return None
        raise BundleError(
            f"{address}: {error.code} {error.reason}; check the address, or try again later"
        ) from error
    except (OSError, HTTPException) as error:
        raise _unreachable(address, error) from error
    return response


def _blocks(response: HTTPResponse, address: str) -> Iterator[bytes]:
    """Yield the content; errors here come from the network, not from the disk."""
    try:
        while block := response.read(BLOCK):
            yield block
    except (OSError, HTTPException) as error:
        raise _unreachable(address, error) from error


def _unreachable(address: str, error: Exception) -> BundleError:
    lines = str(getattr(error, "reason", None) or error).splitlines()
    reason = next((line for line in lines if line.strip()), type(error).__name__).strip()
    return BundleError(
        f"{address}: cannot be reached ({reason}); check the address and the connection and run"
        " the same command again, or copy the bundle from another machine and give its path"
    )


def _check_space(path: Path, needed: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if needed + MARGIN_BYTES > free:
        raise BundleError(
            f"{path.parent}: {needed / 1e6:,.0f} MB are needed and {free / 1e6:,.0f} MB are free;"
            " free some space and run the same command again"
        )
