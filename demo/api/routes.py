"""The HTTP interface: photos in, guesses as JSON out; the page is mounted beside it."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, File, Form, Path, Request, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import APIKeyHeader
from starlette.exceptions import HTTPException

from demo.api.jobs import Job
from demo.api.limits import Limits
from demo.api.models import Answer, BundleInfo, Bundles, Health, Located, Problem, Progress
from demo.api.service import SOON, Question, Service, Upload
from demo.page.mount import mount
from demo.security.middleware import BodyLimit, Refusals, RequestIds, problem, request_id
from geoloc import __version__
from geoloc.errors import GeolocError
from geoloc.geolocator import Geolocator
from geoloc.guess import Guess

if TYPE_CHECKING:
    import gradio as gr

ABOUT = """Where was this photo taken? Photos in, places out, with a radius that says how far to
trust them. Photos are held in memory or in files without a name, and gone when they are answered;
batches are kept for minutes. Nothing that is sent is fetched from an address."""

LONGEST_WITHIN = 4000
LONGEST_FIELD = 64 * 1024

PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": about}
    for status, about in {
        400: "The form cannot be read, or holds too many parts.",
        401: "The key is missing or wrong.",
        408: "The upload took too long.",
        413: "The upload is too large.",
        422: "No photo can be answered, or an option is wrong.",
        429: "Too many requests of one client.",
        503: "Too much to do, or stopping: ask again later.",
    }.items()
}
GET_PROBLEMS = {401: PROBLEMS[401]}
GONE = {"model": Problem, "description": "Unknown, or deleted."}


def create(
    geolocators: Mapping[str, Geolocator],
    *,
    limits: Limits,
    coarse: Callable[[Guess], Guess] = lambda guess: guess,
    api_key: str | None = None,
    page: "gr.Blocks | None" = None,
    appearance: Mapping[str, Any] | None = None,
) -> FastAPI:
    """The whole service as an ASGI application, with the running work in `state.service`.

    Args:
        geolocators: by name, the default one first.
        limits: what a client may ask.
        coarse: what goes over every guess before it leaves; see `demo.security.precision`.
        api_key: what requests to the API (not the page) have to bring along; None lets all in.
        page: what is served at "/".
        appearance: theme and style of the page, as gradio takes them.
    """
    service = Service(geolocators, limits, coarse)

    @asynccontextmanager
    async def working(app: FastAPI) -> AsyncIterator[None]:
        expiry = asyncio.create_task(service.forget_old_batches())
        yield
        expiry.cancel()
        await asyncio.to_thread(service.close)

    app = FastAPI(openapi_url=None, redirect_slashes=False, lifespan=working)
    app.state.service = service
    app.add_exception_handler(HTTPException, _http_problem)
    app.mount("/v1", _api(service, api_key))
    if page is not None:
        mount(page, app, limits, appearance or {})
    app.add_middleware(Refusals, posts_per_minute=limits.posts_per_minute)
    app.add_middleware(BodyLimit, most_bytes=limits.upload_mb * 10**6, within_s=limits.receive_s)
    app.add_middleware(RequestIds)
    return app


def _api(service: Service, api_key: str | None) -> FastAPI:
    # no docs pages: they load their scripts from elsewhere
    api = FastAPI(
        title="planet-geoloc",
        version=__version__,
        description=ABOUT,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        form_limits={"max_fields": 8, "max_part_size": LONGEST_FIELD},
    )
    api.state.service = service
    api.add_exception_handler(HTTPException, _http_problem)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(GeolocError, _unanswerable)
    api.add_exception_handler(Exception, _broken)
    api.include_router(_public())
    guards = [Depends(_key_check(api_key))] if api_key else []
    api.include_router(_questions(service.limits), dependencies=guards)
    api.include_router(_batches(service.limits), dependencies=guards)
    return api


def _key_check(api_key: str) -> Callable[..., None]:
    header = APIKeyHeader(name="X-API-Key", auto_error=False)

    def check(given: Annotated[str | None, Depends(header)]) -> None:
        if not secrets.compare_digest((given or "").encode(), api_key.encode()):
            raise HTTPException(401, "the header X-API-Key is missing or wrong")

    return check


def _served(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _accepting(service: Annotated[Service, Depends(_served)]) -> Service:
    if service.stopping:
        raise HTTPException(503, "the service is stopping; ask again later", SOON)
    return service


def _question(
    service: Annotated[Service, Depends(_accepting)],
    top: Annotated[int, Form(ge=1, le=40, description="How many places to name.")] = 5,
    within: Annotated[
        str | None,
        Form(
            max_length=LONGEST_WITHIN,
            description="What is known: a country, a region, a circle, a box, or a polygon.",
            examples=["Portugal", "Bavaria, Germany", "48.86,2.35,50km", "36.9,-9.6,42.2,-6.1"],
        ),
    ] = None,
    together: Annotated[bool, Form(description="All photos show one place.")] = False,
    bundle: Annotated[str | None, Form(description="Which model answers; see bundles.")] = None,
) -> Question:
    return service.question(bundle, top=top, within=within or None, together=together)


Asked = Annotated[Question, Depends(_question)]


def _public() -> APIRouter:
    router = APIRouter()

    @router.get("/health", responses={503: {"model": Health, "description": "Stopping."}})
    async def health(response: Response, service: Annotated[Service, Depends(_served)]) -> Health:
        """Whether the service answers."""
        if service.stopping:
            response.status_code = 503
        status = "stopping" if service.stopping else "ok"
        return Health(status=status, version=__version__, batches=service.jobs.unfinished)

    return router


def _questions(limits: Limits) -> APIRouter:
    router = APIRouter()

    @router.get("/bundles", responses=GET_PROBLEMS)
    async def bundles(service: Annotated[Service, Depends(_served)]) -> Bundles:
        """The models that can be asked."""
        default = next(iter(service.geolocators))
        return Bundles(
            bundles=[
                BundleInfo(
                    name=name,
                    default=name == default,
                    cells=len(locator.cells),
                    photos=len(locator.bundle.ranker.gallery.members),
                    encoder=locator.bundle.encoder_spec.model,
                )
                for name, locator in service.geolocators.items()
            ]
        )

    @router.post("/locate", responses=PROBLEMS, form_limits={"max_files": limits.photos})
    async def locate(
        request: Request,
        photos: Annotated[list[UploadFile], File(description="JPEG, PNG, WebP, HEIC or TIFF.")],
        question: Asked,
        service: Annotated[Service, Depends(_accepting)],
    ) -> Located:
        """Say where photos were taken; the unreadable ones among them get a reason instead."""
        answers = await service.locate([Upload(part) for part in photos], question)
        if all(answer.guess is None for answer in answers):
            raise HTTPException(422, str(answers[0].error))
        name = question.geolocator.bundle.name
        return Located(request_id=request_id(request.scope), bundle=name, answers=answers)

    return router


def _batches(limits: Limits) -> APIRouter:
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
        question: Asked,
        service: Annotated[Service, Depends(_accepting)],
    ) -> Progress:
        """Accept many photos; ask for their answers with the id that comes back."""
        job = await service.batch([Upload(part) for part in photos], question)
        response.headers["Location"] = f"{request.scope.get('root_path', '')}/batch/{job.id}"
        return _progress(service, job)

    @router.get(
        "/batch/{id}",
        responses={**GET_PROBLEMS, 404: GONE, 422: PROBLEMS[422]},
    )
    async def batch(
        id: Annotated[str, Path()], service: Annotated[Service, Depends(_served)]
    ) -> Progress:
        """How far a batch is, and its answers so far."""
        job = service.jobs.get(id)
        if job is None:
            raise HTTPException(404, "no such batch; it may have been deleted after its time")
        job.fetched = job.over
        return _progress(service, job)

    return router


def _progress(service: Service, job: Job[Answer]) -> Progress:
    return Progress(
        id=job.id,
        state=job.state,
        bundle=job.about,
        done=len(job.results),
        total=job.total,
        error=job.error,
        deleted_in_s=service.jobs.left_s(job),
        answers=list(job.results),
    )


async def _http_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return problem(
        request.scope, error.status_code, error.detail, dict(error.headers or {}) or None
    )


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    return problem(request.scope, 422, f"{where}: {first['msg']}")


async def _unanswerable(request: Request, error: Exception) -> JSONResponse:
    return problem(request.scope, 422, str(error))


async def _broken(request: Request, error: Exception) -> JSONResponse:
    return problem(request.scope, 500, "internal error; the log has it under this request id")
