"""The command `geoloc bundle push`."""

from __future__ import annotations

from geoloc.cli.console import Flag, Quiet, fail, fail_writing, notice


def push(bundle: str, repository: str, /, *, public: Flag = False, quiet: Quiet = False) -> int:
    """Publish a bundle on the Hugging Face Hub, with its card, licences and checksums.

    The repository is private unless it is there already or --public is given. A bundle contains
    the coordinates of its photos, with author and source.

    Parameters
    ----------
    bundle
        Name of an installed bundle (see `geoloc bundle list`), or a path.
    repository
        OWNER/NAME, or hf:OWNER/NAME.
    public
        Make a new repository public.
    """
    from geoloc.bundle import directory, packs
    from geoloc.bundle.publish import publish
    from geoloc.errors import GeolocError

    try:
        added = packs.names(path.name for path in directory.find(bundle).iterdir())
        if added:
            named = ", ".join(added)
            notice(f"geoloc: the packs {named} are published as well, with the coordinates and"
                   " signatures of their photos", quiet=quiet)  # fmt: skip
        address = publish(bundle, repository, public=public)
    except GeolocError as error:
        return fail("geoloc", error)
    except OSError as error:
        return fail_writing("geoloc", error, bundle)
    if not quiet:
        print(f"published: {address}")
    return 0
