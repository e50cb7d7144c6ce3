"""Request and response bodies of the API; a guess is `geoloc.guess.Guess` as JSON."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from geoloc.guess import (
    Attribute,
    Candidate,
    Evidence,
    Exif,
    Guess,
    Neighbour,
    Place,
    RegionCell,
)
from geoloc.output.formats import to_json

API_VERSION: Literal[1] = 1
"""Schema version of the responses; guesses carry their own."""

PARIS = Place("FR", "France", "Île-de-France", "Paris", 1.9)
_GUESS = Guess(
    photo="tower.jpg",
    lat=48.8584,
    lon=2.2945,
    radius_50_km=90.0,
    radius_80_km=1500.0,
    radius_95_km=9000.0,
    confidence="not sure",
    chance_200km=0.41,
    probability=0.37,
    place=PARIS,
    candidates=(Candidate(48.8584, 2.2945, 0.37, "FR-75-1", PARIS),),
    region=(RegionCell("FR-75-1", 0.37, 0.5),),
    neighbours=(Neighbour(48.8583, 2.2947, 0.71, "Commons: Tour Eiffel", "CC0", "somebody"),),
    evidence=Evidence(
        ("FR", "Île-de-France", "FR-75-1"),
        (Attribute("driving side", "right", 0.93),),
        0.1,
        0.4,
        0.5,
    ),
    exif=Exif(),
    exif_distance_km=None,
    bundle="starter",
    photos=("tower.jpg",),
)
EXAMPLE = json.loads(to_json(_GUESS))


def example(**values: Any) -> ConfigDict:  # noqa: ANN401
    """Return model settings with an example for the OpenAPI document."""
    return ConfigDict(json_schema_extra={"examples": [values]})


class Answer(BaseModel):
    """The guess for one photo, or for several photos of one place; or the error."""

    model_config = example(photo="tower.jpg", guess=EXAMPLE, error=None)

    photo: Annotated[str, Field(description="File name of the upload.")]
    guess: Guess | None = None
    error: str | None = None


class Located(BaseModel):
    """Answers in the order of the photos.

    With `together` a single one for all readable photos, and one with the error of each other one.
    """

    model_config = example(
        schema_version=API_VERSION,
        request_id="6f1f…",
        bundle="starter",
        answers=[{"photo": "tower.jpg", "guess": EXAMPLE, "error": None}],
    )

    schema_version: Literal[1] = API_VERSION
    request_id: str
    bundle: str
    answers: list[Answer]


class Progress(BaseModel):
    """State of a batch, with the answers so far in the order of the photos."""

    model_config = example(
        schema_version=API_VERSION,
        id="Yx3…",
        state="running",
        bundle="starter",
        done=32,
        total=200,
        error=None,
        deleted_in_s=None,
        answers=[],
    )

    schema_version: Literal[1] = API_VERSION
    id: Annotated[str, Field(description="Gives access to the answers: keep it secret.")]
    state: Literal["waiting", "running", "finished", "failed"]
    bundle: str
    done: int
    total: int
    error: str | None = None
    deleted_in_s: Annotated[
        float | None, Field(description="Seconds until a finished batch is deleted.")
    ] = None
    answers: list[Answer] = []


class Health(BaseModel):
    """State of the service."""

    model_config = example(status="ok", version="0.1.0", schema_version=API_VERSION, batches=0)

    status: Annotated[
        Literal["ok", "stopping"],
        Field(description="stopping: accepted work is being finished."),
    ]
    version: str
    schema_version: Literal[1] = API_VERSION
    batches: Annotated[int, Field(description="Number of unfinished batches.")]


class BundleInfo(BaseModel):
    """A bundle that this service offers."""

    model_config = example(name="starter", default=True, cells=1490, photos=7128, encoder="onnx")

    name: str
    default: bool
    cells: Annotated[int, Field(description="Number of geocells.")]
    photos: Annotated[int, Field(description="Number of photos in the gallery.")]
    encoder: str


class Bundles(BaseModel):
    """All bundles of this service."""

    schema_version: Literal[1] = API_VERSION
    bundles: list[BundleInfo]


class Problem(BaseModel):
    """Why a request failed, in one line, and what to do."""

    model_config = example(
        error="holiday.txt: not a picture this program can read; give a JPEG, PNG, WebP, HEIC or"
        " TIFF photo",
        request_id="6f1f…",
    )

    error: str
    request_id: str


def response_schema() -> dict[str, Any]:
    """Return the JSON schema of all response bodies, as schema-v1.json beside this file."""
    bodies = (Answer, Located, Progress, Health, Bundles, Problem)
    modes: Any = [(body, "serialization") for body in bodies]
    _, schema = models_json_schema(
        modes, title=f"planet-geoloc, answers of API version {API_VERSION}"
    )
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
