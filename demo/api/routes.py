"""The HTTP API under /v1, as a FastAPI application with the web page mounted at /."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, File, Path, Request, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import APIKeyHeader
from starlette.exceptions import HTTPException

from demo.api.form import Options, accepting_service, service_of
from demo.api.jobs import Job
from demo.api.limits import Limits
from demo.api.models import Answer, BundleInfo, Bundles, Health, Located, Problem, Progress
from demo.api.service import Service, Upload
from demo.page.app import mount, release_memory
from demo.security.middleware import (
    BodyLimit,
    PageLimit,
    RequestFilter,
    RequestIds,
    error_response,
    request_id,
)
from geoloc import __version__
from geoloc.errors import GeolocError
from geoloc.geolocator import Geolocator
from geoloc.guess import Guess

if TYPE_CHECKING:
    import gradio as gr

ABOUT = """Estimates where photos were taken, with a calibrated error radius. Photos are held in
memory or in unnamed temporary files and deleted once they are answered. Results of batches are kept
for minutes. The service never downloads anything: send the photos themselves, not addresses."""

MAX_FIELD_BYTES = 64 * 1024

PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": about}
    for status, about in {
        400: "The form cannot be parsed, or has too many parts.",
        401: "The API key is missing or wrong.",
        408: "The upload took too long.",
        413: "The upload is too large.",
        422: "No photo can be read, or an option is invalid.",
        429: "Too many requests from one client.",
        503: "Busy or stopping: try again later.",
    }.items()
}
GET_PROBLEMS = {401: PROBLEMS[401]}
NOT_FOUND = {"model": Problem, "description": "Unknown or expired."}


def create(
    geolocators: Mapping[str, Geolocator],
    *,
    limits: Limits,
    blur_location: Callable[[Guess], Guess] = lambda guess: guess,
    api_key: str | None = None,
    page: "gr.Blocks | None" = None,
    appearance: Mapping[str, Any] | None = None,
) -> FastAPI:
    """Return the whole service as an ASGI application, with its `Service` in `state.service`.

    Args:
        geolocators: by bundle name, the default one first.
        limits: limits of requests.
        blur_location: applied to every guess; see `demo.security.precision`.
        api_key: required in the header X-API-Key of API requests, not of the page; None: no key.
        page: served at "/".
        appearance: theme and style sheet of the page, as gradio's arguments.
    """
    service = Service(geolocators, limits, blur_location)

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
    app.add_exception_handler(HTTPException, _http_problem)
    app.mount("/v1", _api(service, api_key))
    if page is not None:
        mount(page, app, limits, appearance or {})
    app.add_middleware(PageLimit, max_requests=limits.page_requests)
    app.add_middleware(RequestFilter, posts_per_minute=limits.posts_per_minute)
    app.add_middleware(BodyLimit, max_bytes=limits.upload_mb * 10**6, timeout_s=limits.receive_s)
    app.add_middleware(RequestIds)
    return app


def _api(service: Service, api_key: str | None) -> FastAPI:
    # no docs pages: they load scripts from another host
    api = FastAPI(
        title="planet-geoloc",
        version=__version__,
        description=ABOUT,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        form_limits={"max_fields": 12, "max_part_size": MAX_FIELD_BYTES},
    )
    api.state.service = service
    api.add_exception_handler(HTTPException, _http_problem)
    api.add_exception_handler(RequestValidationError, _validation_problem)
    api.add_exception_handler(GeolocError, _geoloc_problem)
    api.add_exception_handler(Exception, _internal_problem)
    api.include_router(_health_routes())
    guards = [Depends(_key_check(api_key))] if api_key else []
    api.include_router(_locate_routes(service.limits), dependencies=guards)
    api.include_router(_batch_routes(service.limits), dependencies=guards)
    return api


def _key_check(api_key: str) -> Callable[..., None]:
    header = APIKeyHeader(name="X-API-Key", auto_error=False)

    def check(key: Annotated[str | None, Depends(header)]) -> None:
        if not secrets.compare_digest((key or "").encode(), api_key.encode()):
            raise HTTPException(401, "the header X-API-Key is missing or wrong")

    return check


def _health_routes() -> APIRouter:
    router = APIRouter()

    @router.get("/health", responses={503: {"model": Health, "description": "Stopping."}})
    async def health(
        response: Response, service: Annotated[Service, Depends(service_of)]
    ) -> Health:
        """State of the service; needs no API key."""
        if service.stopping:
            response.status_code = 503
        status = "stopping" if service.stopping else "ok"
        return Health(status=status, version=__version__, batches=service.jobs.unfinished)

    return router


def _locate_routes(limits: Limits) -> APIRouter:
    router = APIRouter()

    @router.get("/bundles", responses=GET_PROBLEMS)
    async def bundles(service: Annotated[Service, Depends(service_of)]) -> Bundles:
        """List the bundles of this service."""
        default = next(iter(service.geolocators))
        return Bundles(
            bundles=[
                BundleInfo(
                    name=name,
                    default=name == default,
                    cells=len(geolocator.cells),
                    photos=len(geolocator.bundle.ranker.gallery.members),
                    encoder=geolocator.bundle.encoder_spec.model,
                )
                for name, geolocator in service.geolocators.items()
            ]
        )

    @router.post("/locate", responses=PROBLEMS, form_limits={"max_files": limits.photos})
    async def locate(
        request: Request,
        photos: Annotated[list[UploadFile], File(description="JPEG, PNG, WebP, HEIC or TIFF.")],
        options: Options,
        service: Annotated[Service, Depends(accepting_service)],
    ) -> Located:
        """Estimate where photos were taken. Unreadable photos get an error instead of a guess."""
        answers = await service.locate([Upload(part) for part in photos], options)
        if all(answer.guess is None for answer in answers):
            raise HTTPException(422, str(answers[0].error))
        name = options.geolocator.bundle.name
        return Located(request_id=request_id(request.scope), bundle=name, answers=answers)

    return router


def _batch_routes(limits: Limits) -> APIRouter:
    router = APIRouter()

    @router.post(
        "/batch",
        status_code=202,
        responses=PROBLEMS,
        form_limits={"max_files": limits.batch_photos},
    )
    async def accept_batch(
        request: Request,
        response: Response,
        photos: Annotated[list[UploadFile], File(description="JPEG, PNG, WebP, HEIC or TIFF.")],
        options: Options,
        service: Annotated[Service, Depends(accepting_service)],
    ) -> Progress:
        """Queue many photos. Fetch the results with the id of the response."""
        job = await service.batch([Upload(part) for part in photos], options)
        response.headers["Location"] = f"{request.scope.get('root_path', '')}/batch/{job.id}"
        return _progress(service, job)

    @router.get(
        "/batch/{id}",
        responses={**GET_PROBLEMS, 404: NOT_FOUND, 422: PROBLEMS[422]},
    )
    async def batch(
        id: Annotated[str, Path()], service: Annotated[Service, Depends(service_of)]
    ) -> Progress:
        """State of a batch, with its answers so far."""
        job = service.jobs.get(id)
        if job is None:
            raise HTTPException(404, "no such batch; it may have expired: send the photos again")
        job.fetched = job.done
        return _progress(service, job)

    return router


def _progress(service: Service, job: Job[Answer]) -> Progress:
    return Progress(
        id=job.id,
        state=job.state,
        bundle=job.bundle,
        done=len(job.results),
        total=job.total,
        error=job.error,
        deleted_in_s=service.jobs.remaining_s(job),
        answers=list(job.results),
    )


async def _http_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return error_response(
        request.scope, error.status_code, error.detail, dict(error.headers or {}) or None
    )


async def _validation_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"][1:])
    return error_response(request.scope, 422, f"{field}: {first['msg']}")


async def _geoloc_problem(request: Request, error: Exception) -> JSONResponse:
    return error_response(request.scope, 422, str(error))


async def _internal_problem(request: Request, error: Exception) -> JSONResponse:
    return error_response(request.scope, 500, "internal error; look up the request id in the log")
