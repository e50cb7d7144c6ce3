"""What events of the page may carry: everything is checked here, before any code reads it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import gradio as gr
from gradio.utils import get_upload_folder
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    FiniteFloat,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from demo.api.problems import in_words
from geoloc.errors import GeolocError

EVENT, CALL = "/gradio_api/run/predict", "/gradio_api/component_server"
"""Paths of events, and of calls of the scripts, such as the search of places."""

FORGED = "this is no event of this page; reload the page"

MAX_TEXT, MAX_PATH, MAX_LABEL = 200, 1000, 64
MAX_UPLOADS, MAX_AREAS, MAX_CHOICES = 2000, 100, 10_000
MAX_NUMBER = 1_000_000_000

Session = Annotated[str, StringConstraints(pattern=rf"^\w{{1,{MAX_LABEL}}}$")]


def part(carries: Any, **options: Any) -> gr.HTML:  # noqa: ANN401
    """Return a part of the page whose script writes its value.

    Not a class: gradio writes a file beside the module of each of its subclasses.

    Args:
        carries: the type of its value in events, for pydantic.
        options: of `gr.HTML`.
    """
    html = gr.HTML(**options)
    vars(html)["carries"] = carries
    return html


def name_of_upload(path: str) -> str:
    """Return what the browser is told of the path of an upload: that below gradio's folder."""
    return Path(path).resolve().relative_to(_folder()).as_posix()


def own_upload(name: str) -> str:
    """Return the path of an upload from what the browser was told.

    Raises:
        ValueError: it lies outside gradio's upload folder, so the request was forged.
    """
    resolved = (_folder() / name).resolve()
    if not resolved.is_relative_to(_folder()) or resolved.is_dir():
        raise ValueError("these files were not uploaded to this page; choose them again")
    return str(resolved)


def _folder() -> Path:
    return Path(get_upload_folder()).resolve()


OwnUpload = Annotated[str, StringConstraints(max_length=MAX_PATH), AfterValidator(own_upload)]


class Uploads(BaseModel):
    """Files that the browser has sent, and its name for them."""

    paths: Annotated[list[OwnUpload], Field(max_length=MAX_UPLOADS)]
    run: Annotated[str, StringConstraints(max_length=MAX_LABEL)] = ""


class Areas(BaseModel):
    """The places to search in; `constraint_form` reads each of them."""

    areas: Annotated[list[dict[str, Any]], Field(max_length=MAX_AREAS)] = []


class Shadow(BaseModel):
    """A shadow that was measured on the photo, as the field for it takes it."""

    shadow: Annotated[str, StringConstraints(max_length=MAX_TEXT)]


class Pin(BaseModel):
    """A place on the map."""

    lat: FiniteFloat
    lon: FiniteFloat


class Pins(BaseModel):
    """The map of the game, with the player's guess."""

    pins: Annotated[list[Pin], Field(min_length=1, max_length=1)]


Choice = Annotated[int, Field(ge=0, le=MAX_CHOICES)]
"""Index of a button."""


class _Event(BaseModel):
    """The body of a request for an event; whatever else the browser sends is not passed on."""

    fn_index: int
    data: list[Any]
    session_hash: Session


class _Call(BaseModel):
    """The body of a request for a function of a script."""

    component_id: int
    fn_name: Annotated[str, StringConstraints(max_length=MAX_LABEL)]
    data: Any
    session_hash: Session


class EventCheck:
    """Checks the events of one page: their number, and the type of each of their values."""

    def __init__(self, page: gr.Blocks) -> None:
        """Take a complete page.

        Raises:
            TypeError: an event has an input whose type is not known.
        """
        self._inputs: dict[int, Sequence[Any]] = {
            number: event.inputs for number, event in page.fns.items() if event.fn is not None
        }
        self._calls = {
            (number, function.__name__)
            for number, block in page.blocks.items()
            for function in getattr(block, "server_fns", ())
        }
        components = {each._id: each for inputs in self._inputs.values() for each in inputs}
        self._types = {name: TypeAdapter(_carried(each)) for name, each in components.items()}

    def __call__(self, path: str, body: bytes) -> bytes:
        """Return the body of a request as it is passed on: with nothing that was not checked.

        Args:
            path: EVENT or CALL.
            body: JSON.

        Raises:
            GeolocError: this is no event of the page, or carries something else than it may.
        """
        try:
            if path == CALL:
                call = _Call.model_validate_json(body, strict=True)
                if (call.component_id, call.fn_name) not in self._calls:
                    raise GeolocError(FORGED)
                return call.model_dump_json().encode()
            event = _Event.model_validate_json(body, strict=True)
        except ValidationError:
            raise GeolocError(FORGED) from None
        inputs = self._inputs.get(event.fn_index)
        if inputs is None or len(inputs) != len(event.data):
            raise GeolocError(FORGED)
        event.data = [self._checked(*each) for each in zip(inputs, event.data, strict=True)]
        return event.model_dump_json().encode()

    def _checked(self, component: Any, value: Any) -> Any:  # noqa: ANN401
        """Return the value of a component, without what its type does not have."""
        carried = self._types[component._id]
        try:
            return carried.dump_python(carried.validate_python(value, strict=True), mode="json")
        except ValidationError as error:
            words = in_words(error.errors(include_url=False)[0])
            raise GeolocError(f"{component.label or 'this event'}: {words}") from None


def _carried(component: Any) -> Any:  # noqa: ANN401
    """Return the type of a component's value, for pydantic."""
    match component:
        case gr.HTML() if "carries" in vars(component):
            return vars(component)["carries"]
        case gr.State():  # kept on the server
            return Annotated[None, BeforeValidator(lambda _: None)]
        case gr.CheckboxGroup():
            return list[Annotated[str, AfterValidator(_one_of(component.choices))]]
        case gr.Dropdown() | gr.Radio():
            return Annotated[str, AfterValidator(_one_of(component.choices))]
        case gr.Checkbox():
            return bool | None
        case gr.Textbox():
            return Annotated[str, StringConstraints(max_length=MAX_TEXT)] | None
        case gr.Number():
            least, most = component.minimum, component.maximum or MAX_NUMBER
            return Annotated[FiniteFloat, Field(ge=least, le=most)] | None
    raise TypeError(f"{component!r} is no input of known type; make it a `part`")


def _one_of(choices: Sequence[tuple[Any, ...]]) -> Callable[[str], str]:
    def check(value: str) -> str:
        if value not in [each[1] for each in choices]:
            raise ValueError("choose one of the list")
        return value

    return check
