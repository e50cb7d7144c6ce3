"""The form fields of requests that locate photos, and the service that answers them."""

import difflib
from typing import Annotated

from fastapi import Depends, Form, Request
from pydantic import StringConstraints
from starlette.exceptions import HTTPException

from demo.api.limits import RETRY_SOON
from demo.api.service import LocateOptions, Service
from geoloc.belief.witnesses.options import WitnessOptions

MAX_CONSTRAINT_CHARACTERS = 6000
MAX_CONSTRAINTS = 10
MAX_STATED_CHARACTERS = 100

FIELDS = (
    *("photos", "top", "within", "together", "bundle", "thumbnails"),
    *("use_metadata", "read_text", "use_overlays", "shadow", "time"),
)
"""Of the form."""


async def no_query(request: Request) -> None:
    """Refuse options in the address, which would be ignored: 422."""
    for name in request.query_params:
        place = "send it as a field of the form" if name in FIELDS else "leave it out"
        raise HTTPException(422, f"{name[:40]!a} in the address has no effect; {place}")


async def _known_fields(request: Request) -> None:
    """Refuse fields that are not known: 422 with the nearest known name."""
    for name in await request.form():  # parsed before, within the limits of the route
        if name not in FIELDS:
            near = difflib.get_close_matches(name.lower(), FIELDS, 1, 0.6)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(FIELDS)}"
            raise HTTPException(422, f"{name[:40]!a} is no field of this form; {hint}")


async def service_of(request: Request) -> Service:
    """Return the service of an application."""
    service: Service = request.app.state.service
    return service


async def accepting_service(service: Annotated[Service, Depends(service_of)]) -> Service:
    """Return the service unless it is stopping: 503 then."""
    if service.stopping:
        raise HTTPException(503, "the service is stopping; try again later", RETRY_SOON)
    return service


async def _witnesses(
    use_metadata: Annotated[
        bool,
        Form(description="Use time zone, height, camera and captions of the files as evidence."),
    ] = False,
    read_text: Annotated[
        bool, Form(description="Read signs and other text in the photos as evidence.")
    ] = False,
    use_overlays: Annotated[
        bool, Form(description="Take coordinates that a camera wrote on photos for their place.")
    ] = False,
    shadow: Annotated[
        str | None,
        Form(
            max_length=MAX_STATED_CHARACTERS,
            description="An object and its shadow, or the sun's elevation; needs `time`.",
            examples=["1.8:2.4±5%", "37°±1°"],
        ),
    ] = None,
    time: Annotated[
        str | None,
        Form(
            max_length=MAX_STATED_CHARACTERS,
            description="When the photo was taken, with a zone; or a window.",
            examples=["2024-06-01T10:30Z", "2024-06-01T10:00Z/11:00Z"],
        ),
    ] = None,
) -> WitnessOptions:
    return WitnessOptions(use_metadata, shadow or None, time or None, read_text, use_overlays)


async def _options(
    service: Annotated[Service, Depends(accepting_service)],
    _: Annotated[None, Depends(_known_fields)],
    asked: Annotated[WitnessOptions, Depends(_witnesses)],
    top: Annotated[int, Form(ge=1, le=40, description="Number of candidate places.")] = 5,
    within: Annotated[
        list[Annotated[str, StringConstraints(max_length=MAX_CONSTRAINT_CHARACTERS)]],
        Form(
            max_length=MAX_CONSTRAINTS,
            description=(
                "Constraint: a country, a region, a circle, a box, a polygon, or a property."
                " Repeat it to search in several places together."
            ),
            examples=[
                ["Portugal"],
                ["Bavaria, Germany"],
                ["48.86,2.35,50km", "36.9,-9.6,42.2,-6.1"],
                ["Africa; left-hand traffic"],
            ],
        ),
    ] = [],  # noqa: B006  # FastAPI copies it
    together: Annotated[bool, Form(description="All photos show the same place.")] = False,
    bundle: Annotated[str | None, Form(description="Name of the bundle; see /bundles.")] = None,
    thumbnails: Annotated[
        bool,
        Form(description="Add small pictures of similar photos; show their credit with them."),
    ] = False,
) -> LocateOptions:
    return service.options(
        bundle,
        asked,
        top=top,
        within=[each for each in within if each] or None,
        together=together,
        thumbnails=thumbnails,
    )


Options = Annotated[LocateOptions, Depends(_options)]
