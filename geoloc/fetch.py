"""A published bundle onto this machine: with progress, resumed, and checked file by file."""

from __future__ import annotations

import json
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

from geoloc import bundle as bundles
from geoloc.errors import BundleError

TIMEOUT_S = 30.0
BLOCK = 2**20
MARGIN_BYTES = 2**26
"""Kept free on the disk."""

HUB = "hf:"
"""Before OWNER/NAME: a model repository of the Hugging Face Hub."""

Tell = Callable[[int, int | None], None]
"""Told how many bytes came, and how many are expected of this file."""


def fetch(address: str, target: Path, tell: Tell = lambda came, expected: None) -> Path:
    """Fetch a bundle and install it; what came before an interruption is not fetched again.

    Args:
        address: "https://…/NAME/" with the files of a bundle below it, or "hf:OWNER/NAME".
        target: the folder it becomes, whole or not at all.
        tell: told of progress.

    Raises:
        BundleError: it cannot be reached, is no bundle, or differs from its checksums; or the disk
            is full.
    """
    bundles.check_target(target)
    base = _base(address)
    partial = target.with_name(f".{target.name}.download")
    try:
        partial.mkdir(parents=True, exist_ok=True)
        manifest = partial / "bundle.json"
        manifest.unlink(missing_ok=True)  # another version may have been published meanwhile
        _download(urljoin(base, "bundle.json"), manifest, tell)
        for name, digest in _files(manifest).items():
            _one(urljoin(base, quote(name)), partial / name, digest, tell)
        bundles.verify(partial)
        with bundles.writing(target) as folder:
            for path in partial.iterdir():
                path.rename(folder / path.name)
    except OSError as error:
        raise BundleError(
            f"{target}: cannot be written ({error.strerror or error}); free some space, then run"
            " the same command again: it goes on where it stopped"
        ) from error
    shutil.rmtree(partial, ignore_errors=True)
    return target


def _base(address: str) -> str:
    if address.startswith(HUB):
        try:
            from huggingface_hub import constants
        except ImportError as error:
            from geoloc.errors import MissingExtraError

            raise MissingExtraError("huggingface_hub", "train") from error
        return f"{constants.ENDPOINT}/{address.removeprefix(HUB)}/resolve/main/"
    if urlsplit(address).scheme not in ("http", "https"):
        raise BundleError(f"{address}: not an address; give https://…/NAME/ or hf:OWNER/NAME")
    return address.rstrip("/") + "/"


def _files(manifest: Path) -> dict[str, str]:
    """Names and checksums that a bundle.json lists."""
    try:
        files = dict(json.loads(manifest.read_text(encoding="utf-8"))["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{manifest.name}: what was found there is no bundle") from error
    for name in files:
        if name != Path(name).name or name.startswith("."):
            raise BundleError(f"{name!r}: a bundle has no such file; do not trust this address")
    return files


def _one(address: str, path: Path, digest: str, tell: Tell) -> None:
    """A file of the bundle, unless it is there already."""
    if path.is_file() and bundles.sha256(path) == digest:
        return
    part = path.with_name(path.name + ".part")
    _download(address, part, tell)
    if bundles.sha256(part) != digest:
        part.unlink()
        raise BundleError(
            f"{address}: its checksum differs from bundle.json; it was damaged on the way, or"
            " changed: run the same command again, and ask its publisher if that does not help"
        )
    part.replace(path)


def _download(address: str, path: Path, tell: Tell) -> None:
    """Append to a file what is missing of it."""
    have = path.stat().st_size if path.exists() else 0
    request = urllib.request.Request(address)
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            resumed = answer.status == 206
            length = answer.headers.get("Content-Length")
            expected = None if length is None else int(length) + (have if resumed else 0)
            _check_space(path, int(length or 0))
            with path.open("ab" if resumed else "wb") as file:
                while block := answer.read(BLOCK):
                    file.write(block)
                    tell(len(block), expected)
                file.flush()
                os.fsync(file.fileno())
                size = file.tell()
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # all of it had come
            return
        raise BundleError(f"{address}: {error.code} {error.reason}; check the address") from error
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or error
        raise BundleError(
            f"{address}: cannot be reached ({reason}); check the connection and run the same"
            " command again, or copy the bundle from another machine and give its path"
        ) from error
    if expected is not None and size < expected:
        raise BundleError(
            f"{address}: the connection broke after {size:,} of {expected:,} bytes; run the same"
            " command again: it goes on from there"
        )


def _check_space(path: Path, needed: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if needed + MARGIN_BYTES > free:
        raise BundleError(
            f"{path.parent}: {needed / 1e6:,.0f} MB are needed and {free / 1e6:,.0f} MB are free;"
            " free some space and run the same command again"
        )
