"""Changes to a bundle: some files are replaced, the others linked, all or nothing."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from geoloc.bundle import directory as bundles
from geoloc.errors import BundleError
from geoloc.io.digests import sha256


@dataclass
class Change:
    """A bundle that is being changed, in a folder of its own."""

    folder: Path
    manifest: dict[str, Any]
    """Content of bundle.json; the checksums are brought up to date at the end."""
    _written: set[str] = field(default_factory=set)

    def file(self, name: str) -> Path:
        """Return the path to write a file to. Whatever is there is a link to the old bundle's."""
        path = self.folder / name
        path.unlink(missing_ok=True)
        self._written.add(name)
        return path

    def remove(self, name: str) -> None:
        """Leave a file out of the changed bundle."""
        (self.folder / name).unlink(missing_ok=True)
        self.manifest["sha256"].pop(name, None)

    def seal(self) -> None:
        """Write bundle.json, with new checksums of the files that were written."""
        known = self.manifest["sha256"]
        for name in sorted(self._written):
            known[name] = sha256(self.folder / name)
        self.manifest["sha256"] = dict(sorted(known.items()))
        text = json.dumps(self.manifest, indent=1, ensure_ascii=False) + "\n"
        self.file("bundle.json").write_text(text, encoding="utf-8")


def target_of(bundle: Path, out: Path | None) -> Path:
    """Return where a changed bundle is written: to `out`, or in its own place.

    Raises:
        BundleError: the bundle comes with the program or is read-only, or `out` is something else
            than a bundle.
    """
    if out is None:
        if bundle.resolve().is_relative_to(bundles.EMBEDDED.resolve()):
            raise BundleError(
                f"{bundle}: comes with the program and stays as it is; name a place for the changed"
                " bundle with --out"
            )
    target = bundle.resolve() if out is None else out
    bundles.check_target(target)
    return target


@contextmanager
def alone(target: Path) -> Iterator[None]:
    """Keep other commands from changing the bundle `target` within the `with` block.

    Raises:
        BundleError: another command is changing it, or its folder is not writable.
    """
    lock = FileLock(target.with_name(f".{target.name}.lock"))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise BundleError(
            f"{target}: another command is changing it; run this one after"
        ) from error
    except OSError as error:
        reason = error.strerror or error
        raise BundleError(
            f"{target}: cannot be changed ({reason}); name a place to write to with --out"
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def changing(bundle: Path, target: Path) -> Iterator[Change]:
    """Yield a `Change` of a bundle, which becomes `target` at the end of the `with` block.

    After an error, or if the process is killed, an older bundle at `target` is unchanged. Files
    that are not written again are not copied where the disk can link them.

    Raises:
        BundleError: the bundle is damaged, or the disk is full or not writable.
    """
    manifest = bundles.verify(bundle)
    in_place = target.resolve() == bundle.resolve()
    with bundles.writing(target) as folder:
        for name in manifest["sha256"]:
            _carry(bundle / name, folder / name, link=in_place)
        change = Change(folder, manifest)
        yield change
        change.seal()


def _carry(source: Path, target: Path, *, link: bool) -> None:
    """Link a file if its old name is about to vanish, else copy it."""
    if link:
        try:
            os.link(source, target)
        except OSError:  # a disk without links
            pass
        else:
            return
    shutil.copyfile(source, target)
