"""The whole service as one ASGI application: the API under /v1, the page at /."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Security
from fastapi.security import APIKeyHeader
from starlette.middleware.cors import CORSMiddleware

from demo.api.limits import Limits
from demo.api.problems import add_handlers
from demo.api.routes import batch_routes, file_routes, health_routes, locate_routes
from demo.api.service import Service
from demo.compression import Compression
from demo.map.routes import OwnTiles
from demo.page.app import mount, release_memory
from demo.security.access import Access, KeyGuard, LocalGuard
from demo.security.headers import HostNames, SecurityHeaders
from demo.security.middleware import (
    REQUEST_ID,
    HeadAsGet,
    PageLimit,
    RequestFilter,
    RequestIds,
)
from demo.security.uploads import BodyLimit
from geoloc import __version__
from geoloc.geolocator import Geolocator

if TYPE_CHECKING:
    import gradio as gr

ABOUT = """Estimates where photos were taken, with a calibrated error radius. Photos are held in
memory or in unnamed temporary files and deleted once they are answered. Results of batches are kept
for minutes. The service never downloads anything: send the photos themselves, not addresses."""

MAX_FIELD_BYTES = 64 * 1024


def create(
    geolocators: Mapping[str, Geolocator],
    *,
    limits: Limits,
    access: Access | None = None,
    page: gr.Blocks | None = None,
    appearance: Mapping[str, Any] | None = None,
    tiles: OwnTiles | None = None,
) -> FastAPI:
    """Return the whole service as an ASGI application, with its `Service` in `state.service`.

    Args:
        geolocators: by bundle name, the default one first.
        limits: limits of requests.
        access: who may use the service; everybody by default.
        page: served at "/".
        appearance: theme and style sheet of the page, as gradio's arguments.
        tiles: shown on the map of the page above the borders; None: nothing from other servers.
    """
    access = access or Access()
    service = Service(geolocators, limits, access.max_precision_km)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(service.expire_batches())]
        if page is not None:
            tasks.append(asyncio.create_task(release_memory(page)))
        yield
        for task in tasks:
            task.cancel()
        await asyncio.to_thread(service.close)

    app = FastAPI(openapi_url=None, redirect_slashes=False, lifespan=lifespan)
    app.state.service = service
    add_handlers(app)
    app.mount("/v1", _api(service, access.api_key is not None))
    if page is not None:
        mount(page, app, limits, appearance or {}, tiles, access.root_path)
    _protect(app, limits, access, [tiles.origin] if tiles else [])
    return app


def _protect(app: FastAPI, limits: Limits, access: Access, tiles: Sequence[str]) -> None:
    """Put the middleware around an application; what is added last sees a request first."""
    app.add_middleware(Compression)
    app.add_middleware(PageLimit, max_requests=limits.page_requests)
    app.add_middleware(RequestFilter, posts_per_minute=limits.posts_per_minute)
    if access.api_key:
        app.add_middleware(KeyGuard, api_key=access.api_key)
    if access.local_only:
        app.add_middleware(LocalGuard)
    app.add_middleware(BodyLimit, limits=limits)
    app.add_middleware(HeadAsGet)
    app.add_middleware(HostNames, behind_proxy=access.behind_proxy)
    app.add_middleware(SecurityHeaders, origins=access.origins, tiles=tiles)
    if access.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=access.origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["X-API-Key", REQUEST_ID],
            expose_headers=[REQUEST_ID, "Location", "Retry-After"],
        )
    app.add_middleware(RequestIds)


def _api(service: Service, needs_key: bool) -> FastAPI:
    # no docs pages: they load scripts from another host
    api = FastAPI(
        title="planet-geoloc",
        version=__version__,
        description=ABOUT,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        form_limits={"max_fields": 24, "max_part_size": MAX_FIELD_BYTES},
    )
    api.state.service = service
    add_handlers(api)
    api.include_router(health_routes())
    # for the document: `KeyGuard` has checked the key before the request was read
    key = [Security(APIKeyHeader(name="X-API-Key", auto_error=False))] if needs_key else []
    api.include_router(locate_routes(service.limits), dependencies=key)
    api.include_router(batch_routes(service.limits), dependencies=key)
    api.include_router(file_routes(), dependencies=key)
    return api
