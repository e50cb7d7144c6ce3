"""The command `geoloc-demo`: web page and API on one port."""

import importlib.util
import logging
import os
import shutil
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter, validators

from demo.api.limits import Limits
from demo.security import sandbox
from geoloc.cli.console import Quiet, fail, run
from geoloc.errors import GeolocError, MissingExtraError
from geoloc.io import machine

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

    from demo.map.routes import OwnTiles
    from demo.security.access import Access
    from geoloc.geolocator import Geolocator

KEY_VARIABLE = "GEOLOC_API_KEY"

CLOSE_S = 5
"""Seconds after which the connections of open pages are cut when the server stops."""

ARENAS = 2
"""Heaps of all threads together. With those of glibc's default, each visit left a megabyte."""

app = App(name="geoloc-demo", help_format="markdown")

WARNING = (
    "geoloc-demo: everybody who reaches this machine can use this server; set"
    f" {KEY_VARIABLE} to ask for a key, and see --max-precision-km and --rate-limit"
)

NotNegative = Parameter(validator=validators.Number(gte=0))


@app.default
def serve(
    *,
    bundle: Annotated[Sequence[str], Parameter(negative=(), show_default=False)] = (),
    host: str = "127.0.0.1",
    port: Annotated[int, Parameter(validator=validators.Number(gte=0, lte=65535))] = 7860,
    page: bool = True,
    rate_limit: Annotated[int, NotNegative] = 0,
    max_precision_km: Annotated[float, NotNegative] = 0.0,
    upload_mb: Annotated[int, Parameter(validator=validators.Number(gte=1))] = Limits.upload_mb,
    allow_origin: Annotated[Sequence[str], Parameter(negative=(), show_default=False)] = (),
    proxy: Annotated[Sequence[str], Parameter(negative=(), show_default=False)] = (),
    root_path: str = "",
    tiles: str = "",
    tiles_credit: str = "",
    game: Path | None = None,
    library: Path | None = None,
    quiet: Quiet = False,
) -> int:
    """Serve the web page at / and the HTTP API under /v1.

    If the environment variable GEOLOC_API_KEY is set, API requests must send the same value in the
    header X-API-Key, and the page asks for it once. On Ctrl-C or SIGTERM, the server finishes
    accepted work before it stops; a second one stops it at once.

    Args:
        bundle: name from `geoloc bundle list`, or a path; repeat it to offer several bundles.
            Default: the world model if it is installed, else the starter.
        host: address to listen on; 0.0.0.0 accepts connections from other machines.
        port: port to listen on; 0 chooses a free one.
        page: serve the web page beside the API.
        rate_limit: POST requests per minute and client, page and API together; 0: no limit.
        max_precision_km: give no place more precisely than this; for public servers. 0: no limit.
        upload_mb: largest request, in megabytes.
        allow_origin: another web site, as https://example.org, whose pages may call the API and
            show this page in a frame; repeat it for several.
        proxy: address or network of a proxy in front of this server, whose X-Forwarded-For tells
            the address of the client; repeat it for several. Default: none is trusted.
        root_path: path of this server behind such a proxy, as /geoloc, if the proxy takes it away.
        tiles: address of map tiles with {z}, {x} and {y}, of streets or a satellite, which the
            browsers of your visitors load. Default: borders and names alone, from this server.
        tiles_credit: who is to be named on the map for the tiles.
        game: photos for the game, which your visitors do not know: a folder of photos with GPS
            positions, or a table with the columns file, lat and lon.
        library: folder of your photos, to place and review in the tab "Library"; everybody who
            opens the page can see them, so it is offered on this machine only.
        quiet: print the address and errors only; no line for each request.
    """
    logging.basicConfig(format="%(asctime)s %(message)s")
    logging.getLogger("geoloc.service").setLevel(logging.WARNING if quiet else logging.INFO)
    # as an exception, so that temporary files are removed
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    machine.limit_arenas(ARENAS)
    machine.limit_blas()
    limits = Limits(upload_mb=upload_mb, posts_per_minute=rate_limit)
    try:
        _require_extra()
        from demo.map.routes import OwnTiles

        _check_library(library, host)
        access = _access(allow_origin, root_path, max_precision_km)
        access = replace(access, behind_proxy=bool(proxy), local_only=library is not None)
        own_tiles = OwnTiles(tiles, tiles_credit) if tiles else None
        if access.api_key is None and _is_public(host):
            print(WARNING, file=sys.stderr)
        with _listen(host, port) as listener, sandbox.private_temp_folder(limits.keep_s) as folder:
            geolocators = _load(bundle, limits, max_precision_km)
            service = _application(geolocators, limits, access, page, own_tiles, game, library)
            sandbox.block_connections()
            config = _config(service, proxy, access.root_path)
            _run_server(config, listener, folder)
    except GeolocError as error:
        return fail("geoloc-demo", error)
    return 0


def _access(origins: Sequence[str], root_path: str, max_precision_km: float) -> "Access":
    """Return who may use the server.

    Raises:
        GeolocError: an origin or the path is written in another way than browsers send it.
    """
    from demo.security.access import ORIGIN, Access

    for origin in origins:
        if not ORIGIN.fullmatch(origin):
            raise GeolocError(f"--allow-origin {origin}: write it as https://example.org")
    path = root_path.rstrip("/")
    if path and not path.startswith("/"):
        raise GeolocError(f"--root-path {root_path}: begin it with /, as /geoloc")
    return Access(os.environ.get(KEY_VARIABLE) or None, tuple(origins), path, max_precision_km)


def _is_public(host: str) -> bool:
    """Return whether other machines can reach an address to listen on."""
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


def _require_extra() -> None:
    """Check that the packages of the extra `demo` are installed."""
    for name in ("fastapi", "gradio"):
        if importlib.util.find_spec(name) is None:
            raise MissingExtraError(name, "demo")


def _check_library(library: Path | None, host: str) -> None:
    """Refuse to show the photos of the owner to other machines."""
    if library is None:
        return
    if host not in ("127.0.0.1", "::1", "localhost"):
        raise GeolocError(f"--library shows your photos to {host}; leave out --host")
    if not library.is_dir():
        raise GeolocError(f"--library {library}: no such folder")


def _listen(host: str, port: int) -> socket.socket:
    """Return a listening socket. It is opened before the slow loading of the models."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise GeolocError(
            f"cannot listen on {host}, port {port} ({reason}); choose another port with --port"
        ) from error


def _load(names: Sequence[str], limits: Limits, max_precision_km: float) -> "dict[str, Geolocator]":
    """Load the bundles and answer one photo with each, because the first answer is slow."""
    from PIL import Image

    from demo.api.inference import ConcurrentGeolocator
    from geoloc.bundle import directory as bundles
    from geoloc.bundle import installed

    geolocators: dict[str, Geolocator] = {}
    for name in names or (installed.default_name(),):
        bundle = bundles.load(name)
        if bundle.name in geolocators:
            raise GeolocError(f"{name}: a second bundle {bundle.name!r}; rename one of them")
        geolocators[bundle.name] = ConcurrentGeolocator(
            bundle,
            max_megapixels=limits.megapixels,
            max_precision_km=max_precision_km,
            decode_mb=limits.decode_mb,
        )
        geolocators[bundle.name].locate(Image.new("RGB", (64, 64)))
    return geolocators


def _application(
    geolocators: "dict[str, Geolocator]",
    limits: Limits,
    access: "Access",
    page: bool,
    tiles: "OwnTiles | None",
    game: Path | None,
    library: Path | None,
) -> "FastAPI":
    from demo.api import application
    from demo.page.app import build
    from demo.page.theme import appearance
    from demo.security.precision import blur_location

    blocks = None
    if page:
        blocks = build(
            geolocators,
            blur_location=partial(blur_location, km=access.max_precision_km),
            game_photos=game,
            exact=access.max_precision_km == 0.0,
            library=library,
            limits=limits,
        )
    return application.create(
        geolocators,
        limits=limits,
        access=access,
        page=blocks,
        appearance=appearance() if page else None,
        tiles=tiles,
    )


def _config(service: "FastAPI", proxies: Sequence[str], root_path: str) -> "uvicorn.Config":
    """Return the settings of the web server."""
    import uvicorn

    from demo.security.connections import ClientConnection

    return uvicorn.Config(
        service,
        http=ClientConnection,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        root_path=root_path,
        timeout_graceful_shutdown=CLOSE_S,
    )


def _run_server(config: "uvicorn.Config", listener: socket.socket, temporary: Path) -> None:
    """Serve until a signal; a second one ends the process, without its temporary folder."""
    from demo.api.draining import DrainingServer

    host, port = listener.getsockname()[:2]
    url_host = f"[{host}]" if ":" in host else host
    print(f"Open http://{url_host}:{port} in a browser; stop with Ctrl-C.", flush=True)

    def stop_at_once(sig: int) -> None:
        shutil.rmtree(temporary, ignore_errors=True)
        os._exit(128 + sig)

    service: Any = config.app
    DrainingServer(config, service.state.service, stop_at_once).run(sockets=[listener])


def main() -> None:
    """Run the `geoloc-demo` command."""
    run(app)


if __name__ == "__main__":
    main()
