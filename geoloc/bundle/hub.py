"""Repositories of the Hugging Face Hub: their files, checksums and addresses.

Settings are those of `huggingface_hub`: HF_ENDPOINT for a mirror, HF_TOKEN for what needs a login,
HF_HUB_OFFLINE for none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from geoloc.bundle import network
from geoloc.bundle.network import reach, unreachable
from geoloc.bundle.transfer import Remote
from geoloc.errors import BundleError

HUB = "hf:"
"""Prefix of OWNER/NAME, a model repository of the Hugging Face Hub."""


@dataclass(frozen=True, eq=False)
class Repository:
    """A model repository at one revision."""

    name: str
    revision: str
    files: dict[str, tuple[int | None, str | None]]
    """Size and sha256 by name; the Hub has a sha256 of large files only."""

    @classmethod
    def find(cls, name: str, revision: str | None = None) -> Repository:
        """Ask the Hub for a repository at a revision; at its newest if that is None.

        Raises:
            BundleError: the Hub cannot be reached, or has no such repository for this user.
        """
        from huggingface_hub import HfApi

        with _asking(HUB + name, "give the folder of the files with --files"):
            info = HfApi().model_info(
                name, revision=revision, files_metadata=True, timeout=network.TIMEOUT_S
            )
            files = {each.rfilename: (each.size, _sha256(each)) for each in info.siblings or ()}
        return cls(name, str(info.sha), files)

    def remote(self, file: str, sha256: str | None = None) -> Remote:
        """Return a file of the repository, with the sha256 that is known, or else the Hub's.

        Raises:
            BundleError: the repository has no such file.
        """
        from huggingface_hub import get_token, hf_hub_url

        shown = f"{HUB}{self.name}/{file}"
        if file not in self.files:
            raise BundleError(
                f"{shown}: the repository no longer has this file; update planet-geoloc, or give"
                " the folder of an older copy with --files"
            )
        size, published = self.files[file]
        url = hf_hub_url(self.name, file, revision=self.revision)
        token = get_token()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return Remote(url, shown, sha256 or published, size, headers)


def dataset_files(name: str) -> list[str]:
    """Return the addresses of the files of a data set at its newest revision, sorted.

    They are read with fsspec, in parts, without a copy on the disk.

    Raises:
        BundleError: the Hub cannot be reached, or has no such data set for this user.
    """
    from huggingface_hub import HfApi

    with _asking(HUB + name, "give the folder of its files"):
        info = HfApi().dataset_info(name, timeout=network.TIMEOUT_S)
    names = sorted(each.rfilename for each in info.siblings or ())
    return [f"hf://datasets/{name}@{info.sha}/{each}" for each in names]


def _sha256(sibling: Any) -> str | None:  # noqa: ANN401
    """Return the sha256 of a file in a listing of the Hub; None for a small file."""
    large = getattr(sibling, "lfs", None)
    return None if large is None else str(large.sha256)


@contextmanager
def _asking(shown: str, instead: str) -> Iterator[None]:
    """Check that the Hub can be asked, and report its errors; `instead` is what works without."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise BundleError(
            f"{shown}: HF_HUB_OFFLINE is set, so nothing is fetched; unset it, or {instead}"
        )
    reach(constants.ENDPOINT, shown)
    with _reported(shown):
        yield


@contextmanager
def _reported(shown: str) -> Iterator[None]:
    """Raise errors of the Hub, which have no common base, as BundleError."""
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError as error:
        raise BundleError(
            f"{shown}: its publisher lets in only who accepted the licence; accept it on the page"
            " of the repository, then run  hf auth login"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise BundleError(
            f"{shown}: the repository no longer has the revision that was tested; update"
            " planet-geoloc, or give the folder of an older copy with --files"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise BundleError(
            f"{shown}: the Hub has no such repository, or it is private; check the name, or log in"
            " with  hf auth login"
        ) from error
    except Exception as error:
        if "JSON" in type(error).__name__ or "Expecting value" in str(error):
            raise BundleError(
                f"{shown}: a web page came instead of the answer, probably from a proxy or a login"
                " page; open the address in a browser, or set HTTPS_PROXY"
            ) from error
        raise unreachable(shown, error) from error
