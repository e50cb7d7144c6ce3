"""Download of published bundles: with progress, resumed, and every file verified."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from filelock import FileLock, Timeout

from geoloc.bundle import directory as bundles
from geoloc.bundle.hub import HUB, Repository
from geoloc.bundle.network import check_space
from geoloc.bundle.transfer import Progress, Remote, fetch_file
from geoloc.bundle.trust import FILE_NAME, check_foreign
from geoloc.errors import BundleError

_REPOSITORY = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", re.ASCII)

MANIFEST = bundles.MANIFEST


def fetch(address: str, target: Path, progress: Progress = lambda received, expected: None) -> Path:
    """Download a bundle and install it; an interrupted download is resumed.

    Args:
        address: "https://…/NAME/" with the files of a bundle below it, or "hf:OWNER/NAME".
        target: the folder it becomes; it appears only when the bundle is complete and verified.
        progress: called during the download.

    Raises:
        BundleError: the address cannot be reached or holds no bundle, a checksum differs, the disk
            is full, or another process downloads the same bundle.
    """
    bundles.check_target(target)
    base = _base(address)
    with unfinished(target) as partial:
        if base is None:
            files = _from_hub(address.removeprefix(HUB), partial, progress)
        else:
            files = _from_address(base, partial, progress)
        check_foreign(partial, bundles.verify(partial))
        with bundles.writing(target) as folder:
            for name in (MANIFEST, *files):  # not the files of an earlier version
                (partial / name).rename(folder / name)
    return target


@contextmanager
def unfinished(target: Path) -> Iterator[Path]:
    """Yield the folder of an unfinished download, kept after an error and deleted at the end.

    Raises:
        BundleError: the disk is full or not writable, or another process uses the folder.
    """
    partial = target.with_name(f".{target.name}.download")
    try:
        partial.mkdir(parents=True, exist_ok=True)
        lock = FileLock(partial / ".lock", timeout=0)
        with lock:
            try:
                yield partial
            except BaseException:
                with suppress(OSError):
                    (partial / ".lock").unlink()
                    partial.rmdir()  # not empty: kept to be resumed
                raise
            shutil.rmtree(partial, ignore_errors=True)
    except Timeout as error:
        raise BundleError(
            f"{target.name}: another process is downloading it; wait for that one to end"
        ) from error
    except OSError as error:
        raise BundleError(
            f"{target}: cannot be written ({error.strerror or error}); free some space, then run"
            " the same command again to resume"
        ) from error


def _from_address(base: str, partial: Path, progress: Progress) -> list[str]:
    """Download a bundle below a URL into a folder, file by file; return the names of its files."""
    manifest = partial / MANIFEST
    manifest.unlink(missing_ok=True)  # another version may have been published since
    address = urljoin(base, MANIFEST)
    fetch_file(Remote(address, address), manifest, progress)
    files = _files(manifest, base)
    for name, digest in files.items():
        address = urljoin(base, name)
        fetch_file(Remote(address, address, digest), partial / name, progress)
    return list(files)


def _from_hub(name: str, partial: Path, progress: Progress) -> list[str]:
    """Download a bundle from the Hugging Face Hub into a folder; return the names of its files."""
    repository = Repository.find(name)
    (partial / MANIFEST).unlink(missing_ok=True)
    fetch_file(repository.remote(MANIFEST), partial / MANIFEST, progress)
    files = _files(partial / MANIFEST, HUB + name)
    remotes = {each: repository.remote(each, digest) for each, digest in files.items()}
    missing = [remotes[each] for each in files if not (partial / each).is_file()]
    check_space(partial, sum(remote.size or 0 for remote in missing))
    for each, remote in remotes.items():
        fetch_file(remote, partial / each, progress)
    return list(files)


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
