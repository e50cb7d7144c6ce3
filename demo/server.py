"""The command `geoloc-demo`: page and API on one port."""

import importlib.util
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter, validators

from demo.api.limits import Limits
from demo.security import sandbox
from geoloc.cli.console import fail, run
from geoloc.errors import GeolocError, MissingExtraError

if TYPE_CHECKING:
    from fastapi import FastAPI

    from geoloc.geolocator import Geolocator

KEY_VARIABLE = "GEOLOC_API_KEY"

CLOSING_S = 5
"""Pages that are open keep a connection; it is cut after this."""

app = App(name="geoloc-demo", help_format="markdown")

NotNegative = Parameter(validator=validators.Number(gte=0))


@app.default
def serve(
    *,
    bundle: Annotated[Sequence[str], Parameter(negative=())] = (),
    host: str = "127.0.0.1",
    port: Annotated[int, Parameter(validator=validators.Number(gte=0, lte=65535))] = 7860,
    page: bool = True,
    rate_limit: Annotated[int, NotNegative] = 0,
    max_precision_km: Annotated[float, NotNegative] = 0.0,
    upload_mb: Annotated[int, Parameter(validator=validators.Number(gte=1))] = Limits.upload_mb,
    game_photos: Path | None = None,
) -> int:
    """Serve a web page at / and an HTTP API under /v1 that say where photos were taken.

    If the environment variable GEOLOC_API_KEY is set, requests to the API have to bring it along in
    the header X-API-Key. Stopping (Ctrl-C, SIGTERM) finishes what was accepted.

    Args:
        bundle: a name that `geoloc bundle list` knows, or a path; several to choose. By default
            the world model where it is installed, else the starter.
        host: address to listen on; 0.0.0.0 lets others in.
        port: port to listen on; 0 takes a free one.
        page: serve the page as well as the API.
        rate_limit: requests that one client may post per minute, page and API together; 0: any.
        max_precision_km: tell no place more precisely than this; for servers that strangers use.
        upload_mb: megabytes that one request may hold.
        game_photos: a table `file,lat,lon` of photos for the game.
    """
    logging.basicConfig(format="%(asctime)s %(message)s")
    logging.getLogger("geoloc.service").setLevel(logging.INFO)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # cleans up
    limits = Limits(upload_mb=upload_mb, posts_per_minute=rate_limit)
    try:
        _require_extra()
        with _listener(host, port) as listener, sandbox.private_folder(limits.keep_s):
            geolocators = _load(bundle, limits)
            service = _application(geolocators, limits, page, max_precision_km, game_photos)
            sandbox.refuse_connections()
            _answer(service, listener)
    except GeolocError as error:
        return fail("geoloc-demo", error)
    return 0


def _require_extra() -> None:
    for name in ("fastapi", "gradio", "plotly"):
        if importlib.util.find_spec(name) is None:
            raise MissingExtraError(name, "demo")


def _listener(host: str, port: int) -> socket.socket:
    """A socket that listens already, before the models are loaded."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        reason = os.strerror(error.errno) if (error.errno or 0) > 0 else error.strerror
        raise GeolocError(
            f"{host}, port {port}: cannot listen there ({reason}); choose another with --port"
        ) from error


def _load(names: Sequence[str], limits: Limits) -> "dict[str, Geolocator]":
    """Every bundle, by its name, and quick from the first answer on."""
    from PIL import Image

    from demo.api.inference import ServedGeolocator
    from geoloc.bundle import directory as bundles
    from geoloc.bundle import installed

    geolocators: dict[str, Geolocator] = {}
    for name in names or (installed.best(),):
        loaded = bundles.load(name)
        if loaded.name in geolocators:
            raise GeolocError(f"{name}: a second bundle {loaded.name!r}; rename one of them")
        geolocators[loaded.name] = ServedGeolocator(loaded, max_megapixels=limits.megapixels)
        geolocators[loaded.name].locate(Image.new("RGB", (64, 64)))
    return geolocators


def _application(
    geolocators: "dict[str, Geolocator]",
    limits: Limits,
    page: bool,
    max_precision_km: float,
    game_photos: Path | None,
) -> "FastAPI":
    from demo.api import routes
    from demo.page.app import build
    from demo.page.theme import appearance
    from demo.security.precision import coarse

    coarsely = partial(coarse, km=max_precision_km)
    shown = build(geolocators, coarse=coarsely, game_photos=game_photos) if page else None
    key = os.environ.get(KEY_VARIABLE)
    return routes.create(
        geolocators,
        limits=limits,
        coarse=coarsely,
        api_key=key,
        page=shown,
        appearance=appearance() if page else None,
    )


def _answer(service: "FastAPI", listener: socket.socket) -> None:
    import uvicorn

    from demo.api.draining import DrainingServer

    config = uvicorn.Config(
        service,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=CLOSING_S,
    )
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    print(f"Open http://{shown}:{port} in a browser; stop with Ctrl-C.", flush=True)
    DrainingServer(config, service.state.service).run(sockets=[listener])


def main() -> None:
    """Entry point of the `geoloc-demo` command."""
    run(app)


if __name__ == "__main__":
    main()
