"""Bundles in one file, for machines without a network: a tar of the bundle's folder."""

from __future__ import annotations

import tarfile
from pathlib import Path

from geoloc.bundle import directory as bundles
from geoloc.bundle.download import MANIFEST
from geoloc.bundle.network import check_space
from geoloc.bundle.trust import FILE_NAME
from geoloc.errors import BundleError
from geoloc.io.atomic import atomic_path


def pack(folder: Path, out: Path) -> int:
    """Write a verified bundle into a tar file; return its size in bytes.

    Raises:
        BundleError: the bundle is damaged, or the file cannot be written.
    """
    names = [MANIFEST, *bundles.verify(folder)["sha256"]]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        check_space(out.parent, sum((folder / name).stat().st_size for name in names))
        with atomic_path(out) as temporary, tarfile.open(temporary, "w") as archive:
            for name in names:
                archive.add(folder / name, name, recursive=False)
        return out.stat().st_size
    except OSError as error:
        raise BundleError(
            f"{out}: cannot be written ({error.strerror or error}); free some space or choose"
            " another place"
        ) from error


def unpack(file: Path, target: Path) -> Path:
    """Install the bundle in a tar file that `pack` wrote, once it is verified.

    Raises:
        BundleError: the file is no packed bundle, is cut off or damaged, or names files that a
            bundle does not have.
    """
    try:
        with tarfile.open(file, "r:") as archive, bundles.writing(target) as folder:
            check_space(folder, file.stat().st_size)
            for member in archive:
                if not (member.isfile() and FILE_NAME.fullmatch(member.name)):
                    raise BundleError(
                        f"{file}: holds {member.name!r}, which is not a file of a bundle; do not"
                        " trust it"
                    )
                archive.extract(member, folder, filter="data")
            bundles.verify(folder)
    except (tarfile.TarError, OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BundleError(
            f"{file}: not a packed bundle ({reason}); make it again with  geoloc bundle pack"
        ) from error
    return target
