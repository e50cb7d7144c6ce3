"""The routes of the HTTP API, which is mounted under /v1."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, Path, Request, Response, UploadFile
from fastapi.responses import StreamingResponse
from starlette.exceptions import HTTPException

from demo.api.files import MEDIA_TYPES, Ending, answers_file
from demo.api.form import Options, accepting_service, no_query, service_of
from demo.api.jobs import Job
from demo.api.limits import Limits
from demo.api.models import (
    Answer,
    BundleInfo,
    Bundles,
    Health,
    Located,
    Progress,
    response_schema,
)
from demo.api.problems import GET_PROBLEMS, NOT_FOUND, PROBLEMS
from demo.api.service import Service, Upload
from demo.security.middleware import request_id
from geoloc import __version__
from geoloc.errors import GeolocError

NDJSON = "application/x-ndjson"

STREAMED: dict[int | str, dict[str, Any]] = {
    200: {"content": {NDJSON: {"schema": {"type": "string"}}}}
}

Photos = Annotated[list[UploadFile], File(description="JPEG, PNG, WebP, HEIC or TIFF.")]
Served = Annotated[Service, Depends(service_of)]
Accepting = Annotated[Service, Depends(accepting_service)]
Id = Annotated[str, Path(description="From the answer to POST /batch.")]
Ids = Annotated[str, Path(alias="id", description="One id, or several with commas between them.")]


def health_routes() -> APIRouter:
    """Return the routes that need no key."""
    router = APIRouter(dependencies=[Depends(no_query)])

    @router.get("/health", responses={503: {"model": Health, "description": "Stopping."}})
    async def health(response: Response, service: Served) -> Health:
        """State of the service; needs no API key."""
        if service.stopping:
            response.status_code = 503
        return Health(
            status="stopping" if service.stopping else "ok",
            version=__version__,
            batches=service.jobs.unfinished,
        )

    @router.get("/schema.json")
    async def schema() -> dict[str, Any]:
        """JSON schema of the answers of this version; needs no API key."""
        return response_schema()

    return router


def locate_routes(limits: Limits) -> APIRouter:
    """Return the routes that answer at once."""
    router = APIRouter(dependencies=[Depends(no_query)])

    @router.get("/bundles", responses=GET_PROBLEMS)
    async def bundles(service: Served) -> Bundles:
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

    @router.post(
        "/locate",
        response_model=Located,
        responses=PROBLEMS | STREAMED,
        form_limits={"max_files": limits.batch_photos},
    )
    async def locate(
        request: Request, photos: Photos, options: Options, service: Accepting
    ) -> Located | StreamingResponse:
        """Estimate where photos were taken. Unreadable photos get an error instead of a guess.

        With the header `Accept: application/x-ndjson`, the answers come one by one as lines of JSON
        (`Answer`) while the next ones are computed, and more photos may be sent.
        """
        uploads = [Upload(part) for part in photos]
        if NDJSON in request.headers.get("accept", ""):
            answers = service.stream(uploads, options)
            return StreamingResponse(await _lines(answers), media_type=NDJSON)
        if len(photos) > limits.photos:
            ways = f"use /v1/batch, or accept {NDJSON}"
            raise HTTPException(400, f"more than {limits.photos} photos in one request; {ways}")
        located = await service.locate(uploads, options)
        if all(answer.guess is None for answer in located):
            raise HTTPException(422, str(located[0].error))
        name = options.geolocator.bundle.name
        return Located(request_id=request_id(request.scope), bundle=name, answers=located)

    return router


async def _lines(answers: AsyncIterator[Answer]) -> AsyncIterator[str]:
    """Return the lines of a streamed answer, after the first one was made.

    An error before it is raised here, and gets a status of its own; a later one is the last line.
    """
    first = await anext(answers)

    async def lines() -> AsyncIterator[str]:
        yield f"{first.model_dump_json()}\n"
        try:
            async for answer in answers:
                yield f"{answer.model_dump_json()}\n"
        except (HTTPException, GeolocError) as error:
            problem = Answer(photo="", error=str(getattr(error, "detail", error)))
            yield f"{problem.model_dump_json()}\n"

    return lines()


def batch_routes(limits: Limits) -> APIRouter:
    """Return the routes of batches."""
    router = APIRouter(dependencies=[Depends(no_query)])
    known: dict[int | str, dict[str, Any]] = {**GET_PROBLEMS, 404: NOT_FOUND}

    @router.post(
        "/batch",
        status_code=202,
        responses=PROBLEMS,
        form_limits={"max_files": limits.batch_photos},
    )
    async def accept_batch(
        request: Request, response: Response, photos: Photos, options: Options, service: Accepting
    ) -> Progress:
        """Queue many photos. Fetch the results with the id of the response."""
        client = request.client.host if request.client else ""
        job = await service.batch([Upload(part) for part in photos], options, client)
        response.headers["Location"] = f"{request.scope.get('root_path', '')}/batch/{job.id}"
        return _progress(service, job)

    @router.get("/batch/{id}", responses=known)
    async def batch(id: Id, service: Served) -> Progress:
        """State of a batch, with its answers so far."""
        job = service.jobs.get(id)
        if job is None:
            raise HTTPException(404, "no such batch; it may have expired: send the photos again")
        job.fetched = job.done
        return _progress(service, job)

    @router.delete("/batch/{id}", status_code=204, responses=known)
    async def delete_batch(id: Id, service: Served) -> None:
        """Stop a batch, and delete its photos and answers."""
        if not service.jobs.delete(id):
            raise HTTPException(404, "no such batch; it may have expired")

    return router


def file_routes() -> APIRouter:
    """Return the routes of answers as files."""
    router = APIRouter(dependencies=[Depends(no_query)])

    @router.get(
        "/batch/{id}/answers.{ending}",
        response_class=Response,
        responses={**GET_PROBLEMS, 404: NOT_FOUND}
        | {200: {"content": {kind: {} for kind in MEDIA_TYPES.values()}}},
    )
    async def batch_file(ids: Ids, ending: Ending, service: Served) -> Response:
        """The answers of one batch or several as a file of `geoloc batch`.

        Photos without an answer are not in it.
        """
        jobs = [job for each in ids.split(",") if (job := service.jobs.get(each)) is not None]
        found = [answer.guess for job in jobs for answer in list(job.results)]
        guesses = [guess for guess in found if guess is not None]
        if len(jobs) <= ids.count(",") or not guesses:
            raise HTTPException(404, "no answers of such batches; they may have expired")
        cells = service.geolocators[jobs[0].bundle].cells
        content = await asyncio.to_thread(answers_file, guesses, cells, ending)
        headers = {"Content-Disposition": f'attachment; filename="answers.{ending}"'}
        return Response(content, headers=headers, media_type=MEDIA_TYPES[ending])

    return router


def _progress(service: Service, job: Job[Answer]) -> Progress:
    results = list(job.results)
    return Progress(
        id=job.id,
        state=job.state,
        bundle=job.bundle,
        done=len(results),
        total=max(job.total, len(results)),
        error=job.error,
        deleted_in_s=service.jobs.remaining_s(job),
        answers=results,
    )
