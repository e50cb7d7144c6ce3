"""A published bundle onto this machine: with progress, resumed, and checked file by file."""

from __future__ import annotations

import json
import os
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from geoloc.bundle import directory as bundles
from geoloc.errors import BundleError

TIMEOUT_S = 30.0
BLOCK = 2**16
MARGIN_BYTES = 2**26
"""Kept free on the disk."""

HUB = "hf:"
"""Before OWNER/NAME: a model repository of the Hugging Face Hub."""

FILE_NAME = re.compile(r"\w[\w.-]{0,99}", re.ASCII)
"""What a file of a bundle may be called: never a path, never hidden."""

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
        files = _files(manifest, base)
        for name, digest in files.items():
            _one(urljoin(base, name), partial / name, digest, tell)
        bundles.verify(partial)
        with bundles.writing(target) as folder:
            for name in (manifest.name, *files):  # and nothing left of an earlier version
                (partial / name).rename(folder / name)
    except OSError as error:
        raise BundleError(
            f"{target}: cannot be written ({error.strerror or error}); free some space, then run"
            " the same command again: it goes on where it stopped"
        ) from error
    finally:
        with suppress(OSError):  # stays where something of it came
            partial.rmdir()
    shutil.rmtree(partial, ignore_errors=True)
    return target


def _base(address: str) -> str:
    """The URL that the files of a bundle lie below."""
    base = address
    if address.startswith(HUB):
        try:
            from huggingface_hub import constants
        except ImportError as error:
            from geoloc.errors import MissingExtraError

            raise MissingExtraError("huggingface_hub", "train") from error
        base = f"{constants.ENDPOINT}/{address.removeprefix(HUB)}/resolve/main"
    try:
        parts = urlsplit(base)
    except ValueError:  # brackets that do not match
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or not base.isascii():
        raise BundleError(f"{address}: not an address; give https://…/NAME/ or hf:OWNER/NAME")
    return base.rstrip("/") + "/"


def _files(manifest: Path, base: str) -> dict[str, str]:
    """Names and checksums that a bundle.json lists."""
    try:
        files = dict(json.loads(manifest.read_text(encoding="utf-8"))["sha256"].items())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{base}: no bundle is there; check the address") from error
    for name in files:
        if not FILE_NAME.fullmatch(name):
            raise BundleError(f"{base}: a bundle has no file {name!r}; do not trust this address")
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
    answer = _ask(address, have)
    if answer is None:
        return
    with answer:
        resumed = answer.status == 206
        expected = None if answer.length is None else answer.length + (have if resumed else 0)
        _check_space(path, answer.length or 0)
        with path.open("ab" if resumed else "wb") as file:
            for block in _blocks(answer, address):
                file.write(block)
                tell(len(block), expected)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
    if expected is not None and size < expected:
        raise BundleError(
            f"{address}: the connection broke after {size:,} of {expected:,} bytes; run the same"
            " command again: it goes on from there"
        )


def _ask(address: str, have: int) -> HTTPResponse | None:
    """A server's answer with what follows the bytes we have; None where nothing does."""
    request = urllib.request.Request(address)
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        answer: HTTPResponse = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:
            return None
        raise BundleError(
            f"{address}: {error.code} {error.reason}; check the address, or try again later"
        ) from error
    except (OSError, HTTPException) as error:
        raise _unreachable(address, error) from error
    return answer


def _blocks(answer: HTTPResponse, address: str) -> Iterator[bytes]:
    """What comes; errors of the network are told from those of the disk here."""
    try:
        while block := answer.read(BLOCK):
            yield block
    except (OSError, HTTPException) as error:
        raise _unreachable(address, error) from error


def _unreachable(address: str, error: Exception) -> BundleError:
    return BundleError(
        f"{address}: cannot be reached ({getattr(error, 'reason', None) or error}); check the"
        " connection and run the same command again, or copy the bundle from another machine and"
        " give its path"
    )


def _check_space(path: Path, needed: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if needed + MARGIN_BYTES > free:
        raise BundleError(
            f"{path.parent}: {needed / 1e6:,.0f} MB are needed and {free / 1e6:,.0f} MB are free;"
            " free some space and run the same command again"
        )
