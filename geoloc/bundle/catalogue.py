"""The catalogue of open models: what can be had, under which licence, and how it is fetched."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal

from geoloc.bundle.hub import Repository
from geoloc.bundle.network import check_space
from geoloc.bundle.origins import Origin
from geoloc.bundle.transfer import Progress, Remote, fetch_file
from geoloc.encoders.base import Preprocessing
from geoloc.errors import BundleError
from geoloc.io.digests import sha256

Kind = Literal["world", "encoder"]
"""A world model answers alone; an encoder answers once it has photos of its own."""


@dataclass(frozen=True)
class CatalogueFile:
    """One file of an entry."""

    name: str
    """In the repository; it may lie in a folder there."""
    repository: str
    """"" for a file that is not on the Hub and has to be given."""
    sha256: str | None = None
    """None where it is not known here: the Hub's own is checked then, if it has one."""
    older: str = ""
    """Its name in other revisions of the repository."""
    revision: str = ""
    """Commit of the repository; "" where it is not known here: the newest is taken then."""

    def local(self, name: str) -> str:
        """Return a name for it in one folder with the files of all repositories of the entry."""
        return f"{self.repository}/{name}".replace("/", "--").lstrip("-")

    def given(self, folder: Path) -> Path | None:
        """Return the file in a folder of the user, with or without its repository in the name.

        Raises:
            BundleError: it has another content.
        """
        for name in filter(None, (self.name, self.older)):
            for path in (folder / self.local(name), folder / name, folder / Path(name).name):
                if path.is_file():
                    if self.sha256 not in (None, sha256(path)):
                        raise BundleError(
                            f"{path}: not the published file of this name (its checksum differs);"
                            " fetch it again"
                        )
                    return path
        return None


@dataclass(frozen=True)
class Entry:
    """One open model."""

    name: str
    title: str
    kind: Kind
    licence: str
    use: str
    """What may be done with it."""
    commercial: bool
    size_mb: int
    """Of all files, about."""
    good_at: str
    tested: str
    """How it was tested here."""
    checked: str
    """What stored copies of its publisher's pages say of licence, files and size."""
    files: tuple[CatalogueFile, ...] = ()
    accept: bool = False
    """Whether the licence has to be accepted by its name."""
    missing: str = ""
    """What is not known that would be needed to build it; "" if nothing."""
    family: str = ""
    """Of `geoloc.encoders.towers.families`, or "onnx" for a published network."""
    pixels: Preprocessing | None = None
    head: str = ""
    """Name of the linear layers on the tower's embedding; "" for none."""

    @property
    def size(self) -> str:
        """The size with its unit."""
        return f"{self.size_mb / 1000:,.1f} GB" if self.size_mb >= 1000 else f"{self.size_mb} MB"

    @property
    def needs_accepting(self) -> bool:
        """Whether the licence is one that nobody should agree to without having read it."""
        return self.accept or not self.commercial

    def fetch(
        self, folder: Path, given: Path | None, progress: Progress
    ) -> tuple[list[Path], list[Origin]]:
        """Download the files of the entry into a folder.

        Args:
            folder: for downloads; those that are complete are not fetched again.
            given: a folder with files that were fetched before, which are taken from there.
            progress: called during the downloads.

        Returns:
            All files in the order of the entry, and where those that are not given came from.

        Raises:
            BundleError: a file cannot be had or is another one, or the disk is too small.
        """
        if given is not None and not given.is_dir():
            raise BundleError(f"{given}: no such folder; check --files")
        found = {file: file.given(given) for file in self.files} if given else {}
        remotes = _remotes(self.name, [file for file in self.files if not found.get(file)])
        paths = {file: folder / file.local(name) for file, (name, _, _) in remotes.items()}
        missing = [remote for file, (_, remote, _) in remotes.items() if not paths[file].is_file()]
        check_space(folder, sum(remote.size or 0 for remote in missing))
        origins = []
        for file, (_, remote, revision) in remotes.items():
            fetch_file(remote, paths[file], progress)
            digest = remote.sha256 or sha256(paths[file])
            origins.append(Origin(remote.shown, revision, digest))
        return [found.get(file) or paths[file] for file in self.files], origins

    def check_buildable(self, *, with_photos: bool) -> None:
        """Raise BundleError if something is not known, or photos are needed that are not given."""
        if self.missing:
            raise BundleError(f"{self.name}: cannot be built yet: {self.missing}")
        if self.kind == "encoder" and not with_photos:
            raise BundleError(
                f"{self.name}: this encoder knows no places of its own; give it your geotagged"
                " photos with --photos FOLDER"
            )

    def check_licence(self, accepted: str | None) -> None:
        """Raise BundleError unless a licence that needs it is accepted by its name."""
        if self.needs_accepting and (accepted or "").casefold() != self.licence.casefold():
            raise BundleError(
                f"{self.name}: licence {self.licence} ({self.use}); if you agree, run the command"
                f' again with  --accept-licence "{self.licence}"'
            )


def _remotes(
    entry: str, files: list[CatalogueFile]
) -> dict[CatalogueFile, tuple[str, Remote, str]]:
    """Return names of files in their repositories, where they are, and revisions.

    Each repository is asked once.
    """
    repositories: dict[str, Repository] = {}
    remotes = {}
    for file in files:
        if not file.repository:
            raise BundleError(
                f"{entry}: needs the file {file.name}, which is not on the Hub; give the folder"
                " that it is in with --files"
            )
        if file.repository not in repositories:
            repositories[file.repository] = Repository.find(file.repository, file.revision or None)
        repository = repositories[file.repository]
        name = file.older if file.older in repository.files else file.name
        name = file.name if file.name in repository.files else name
        remotes[file] = name, repository.remote(name, file.sha256), repository.revision
    return remotes


@cache
def catalogue() -> Mapping[str, Entry]:
    """Return the entries of `catalogue.toml` by name, in its order."""
    text = Path(__file__).with_name("catalogue.toml").read_text(encoding="utf-8")
    return {name: _entry(name, values) for name, values in tomllib.loads(text).items()}


def _entry(name: str, values: dict[str, Any]) -> Entry:
    """Return an entry of the file; unknown keys are an error of ours."""
    values = dict(values)
    repository = values.pop("repository", "")
    files = tuple(
        CatalogueFile(**({"repository": repository} | file)) for file in values.pop("files", [])
    )
    pixels = values.pop("pixels", None)
    if pixels is not None:
        given = pixels | {"mean": tuple(pixels["mean"]), "std": tuple(pixels["std"])}
        pixels = Preprocessing(**given)
    known = {field.name for field in fields(Entry)}
    assert set(values) <= known, set(values) - known
    return Entry(name=name, files=files, pixels=pixels, **values)


def licence_lines(entry: Entry) -> list[str]:
    """Return what has to be read before a download: licence, permitted use, size."""
    lines = [f"{entry.title}: {entry.size}; licence: {entry.licence}, {entry.use}."]
    if not entry.commercial:
        lines.append("This licence forbids commercial use, also of what you build from the model.")
    return lines
