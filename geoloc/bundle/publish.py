"""Publish a bundle on the Hugging Face Hub: its files, a card with licences and checksums."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

from geoloc.bundle import directory as bundles
from geoloc.bundle import packs
from geoloc.bundle.hub import HUB
from geoloc.bundle.trust import check_foreign
from geoloc.errors import BundleError
from geoloc.io.digests import sha256
from geoloc.retrieval.tables import members_file

CARD = "README.md"
"""What the Hub shows; bundles themselves have a MODEL_CARD.md."""

_KEPT = (".gitattributes", CARD)
_SHOWN = 40
"""Licences that the card lists."""


def publish(name: str, repository: str, *, public: bool = False) -> str:
    """Upload a bundle to a model repository, in one commit, and check what arrived.

    Args:
        name: of the bundle, or its path.
        repository: OWNER/NAME, with or without "hf:" before it; it is created if it is missing.
        public: whether a new repository is public.

    Returns:
        The address of the repository.

    Raises:
        BundleError: the bundle is damaged or needs files of this machine, the Hub cannot be
            reached or refuses, or a file arrived damaged.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    path = bundles.find(name)
    manifest = bundles.verify(path)
    check_foreign(path, manifest)
    repository = repository.removeprefix(HUB)
    text = card(path, manifest, repository)
    files = ["bundle.json", *manifest["sha256"]]
    api = HfApi()
    try:
        address = str(api.create_repo(repository, private=not public, exist_ok=True))
        old = set(api.list_repo_files(repository)) - {*files, *_KEPT}
        added = [CommitOperationAdd(each, str(path / each)) for each in files]
        added.append(CommitOperationAdd(CARD, io.BytesIO(text.encode())))
        deleted = [CommitOperationDelete(each) for each in sorted(old)]
        message = f"Bundle {manifest['name']}"
        with warnings.catch_warnings(action="ignore"):  # of Parquet files in a model repository
            api.create_commit(repository, [*added, *deleted], commit_message=message)
        found = api.model_info(repository, files_metadata=True).siblings or []
    except Exception as error:  # the errors of huggingface_hub have no common base
        raise _refused(repository, error) from error
    _check_arrived(path, files, {each.rfilename: each for each in found}, repository)
    return address


def card(path: Path, manifest: dict[str, Any], repository: str) -> str:
    """Return the text of README.md: front matter, model card, licences, checksums, use."""
    licences = licences_of(path, manifest)
    (only,) = licences if len(licences) == 1 else ("other",)
    lines = ["---", f"license: {_yaml(only)}", "library_name: planet-geoloc"]
    lines += ["tags:", "- image-geolocation", "pipeline_tag: image-classification", "---", ""]
    lines += [(path / "MODEL_CARD.md").read_text(encoding="utf-8").rstrip(), "", "## Use", ""]
    lines += ["```bash", f"geoloc bundle get {HUB}{repository}", "```", "", "## Licences", ""]
    file = members_file(path).name
    lines += [f"Author, licence and source of each photo are in `{file}`.", ""]
    lines += ["| licence | items |", "|---|---:|"]
    lines += [f"| {name} | {count:,} |" for name, count in list(licences.items())[:_SHOWN]]
    if len(licences) > _SHOWN:
        lines.append(f"| {len(licences) - _SHOWN:,} more | |")
    lines += ["", "## Checksums", "", "| file | sha256 |", "|---|---|"]
    lines += [f"| {name} | `{digest}` |" for name, digest in manifest["sha256"].items()]
    return "\n".join(lines) + "\n"


def licences_of(path: Path, manifest: dict[str, Any]) -> dict[str, int]:
    """Return the number of items of a bundle and its packs under each licence, most first."""
    total = dict(manifest["licences"])
    for name in packs.names(manifest["sha256"]):
        for licence, count in packs.settings(path, name).get("licences", {}).items():
            total[licence] = total.get(licence, 0) + count
    return dict(sorted(total.items(), key=lambda item: -item[1]))


def _yaml(licence: str) -> str:
    """Return a licence as the Hub names it: in lower case; "other" if it is none of its names."""
    plain = licence.lower().replace(" ", "-")
    return plain if plain.replace("-", "").replace(".", "").isalnum() else "other"


def _check_arrived(path: Path, files: list[str], found: dict[str, Any], repository: str) -> None:
    """Raise BundleError if a file is not on the Hub as it is here."""
    for name in files:
        there = found.get(name)
        stored = getattr(getattr(there, "lfs", None), "sha256", None)
        same_size = there is not None and there.size in (None, (path / name).stat().st_size)
        if not same_size or (stored is not None and stored != sha256(path / name)):
            raise BundleError(
                f"{HUB}{repository}/{name}: arrived damaged; run the same command again"
            )


def _refused(repository: str, error: Exception) -> BundleError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[0] if lines else type(error).__name__
    status = getattr(getattr(error, "response", None), "status_code", None)
    remedy = "check the name and the connection and run the same command again"
    if status in (401, 403) or "token" in reason.lower():
        remedy = "log in with  hf auth login  as somebody who may write there"
    return BundleError(f"{HUB}{repository}: cannot be published ({reason}); {remedy}")
