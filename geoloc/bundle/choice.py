"""Which bundle answers where none was asked for."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from pathlib import Path

from geoloc.bundle import installed

KNOWS_LITTLE = (
    "geoloc: answering with the starter bundle, which knows greater Sydney and some landmarks;"
    " for the whole world run  geoloc bundle get geoclip"
)

_QUESTION = (
    "geoloc: no model of the whole world is installed yet. Get one now? GeoCLIP's weights and"
    " OpenAI's CLIP, both MIT, about 1.7 GB to download and some minutes to build [y/N] "
)

_NETWORK_S = 2.0


def choose() -> str:
    """Name of the best installed bundle; the first time, where it can be had, a better one.

    Says so on standard error where the answer is the starter.
    """
    if installed.best() == installed.WORLD:
        return installed.WORLD
    if _can_offer() and _accepted():
        builder, *_ = entry_points(group="geoloc.bundles", name=installed.WORLD)
        if builder.load()(out=installed.target(installed.WORLD)) == 0:
            return installed.WORLD
    print(KNOWS_LITTLE, file=sys.stderr)
    return installed.STARTER


def _can_offer() -> bool:
    """Whether there is a person to ask, who was not asked before, and a network."""
    return (
        sys.stdin is not None
        and sys.stdin.isatty()
        and sys.stderr.isatty()
        and not _asked().exists()
        and bool(entry_points(group="geoloc.bundles", name=installed.WORLD))
        and _online()
    )


def _accepted() -> bool:
    """Ask, and remember that it was asked."""
    print(_QUESTION, end="", file=sys.stderr, flush=True)
    yes = sys.stdin.readline().strip().lower() in ("y", "yes")
    try:
        _asked().parent.mkdir(parents=True, exist_ok=True)
        _asked().touch()
    except OSError:  # asked again next time
        pass
    return yes


def _asked() -> Path:
    return installed.folder() / ".asked"


def _online() -> bool:
    """Whether the place the weights come from can be reached; False without its library."""
    import socket
    from urllib.parse import urlsplit

    try:
        from huggingface_hub import constants

        if constants.HF_HUB_OFFLINE:
            return False
        place = urlsplit(constants.ENDPOINT)
        address = (place.hostname or "", place.port or 443)
        socket.create_connection(address, _NETWORK_S).close()
    except (ImportError, OSError):
        return False
    return True
