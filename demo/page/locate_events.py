"""What the first tab does when a visitor does something. Wiring only; `desk` answers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from demo.page import constraint_form, view
from demo.page.controller import EXPORTS, Desk, Shown
from demo.page.game import photos
from demo.page.session import Session
from geoloc.errors import GeolocError

Parts = dict[str, Any]
"""Components by name."""

SHOWN = (
    "session", "strip", "picture", "answer", "world", "window", "places", "neighbours", "exif",
    "attributes", "heat",
)  # fmt: skip
"""Parts that take a value of the same name from the desk."""

FORM = ("kind", "place", "lat", "lon", "radius_km", "south", "west", "north", "east")

CORNERS = FORM[5:]

QUIET: dict[str, Any] = {
    "api_visibility": "private",
    "show_progress": "hidden",
    "trigger_mode": "always_last",
}
"""No API, no spinners; of what happens while the page is busy, the last counts."""


def wire(parts: Parts, desk: Desk) -> None:
    """Connect the components of `locate_tab` to the desk."""
    _wire_photos(parts, desk)
    _wire_form(parts, desk)
    _wire_saving(parts, desk)


def _wire_photos(parts: Parts, desk: Desk) -> None:
    """Photos that come, and which of them is shown."""

    def look(paths: list[Path], bundle: str, together: str, *form: Any) -> Iterator[Parts]:  # noqa: ANN401
        yield {
            parts["wait"]: gr.HTML(view.looking(len(paths)), visible=True),
            parts["empty"]: gr.Column(visible=False),
            parts["results"]: gr.Column(visible=False),
        }
        shown = desk.look(paths, bundle, _is_one(together), partial(_within, *form))
        yield _updates(parts, shown) | {parts["wait"]: gr.HTML(visible=False)}

    def uploaded(event: gr.EventData, *asked: Any) -> Iterator[Parts]:  # noqa: ANN401
        yield from look(own_uploads(event.paths), *asked)

    def example(event: gr.EventData, *asked: Any) -> Iterator[Parts]:  # noqa: ANN401
        files = [item.file for item in photos.read(photos.EXAMPLES)]
        yield from look([files[event.index % len(files)]], *asked)

    def other_bundle(session: Session | None, *asked: Any) -> Iterator[Parts]:  # noqa: ANN401
        if session is None:
            yield _unchanged(parts)
        else:
            yield from look([item.path for item in session.seen], *asked)

    def catch_up(session: Session | None, together: str, *form: Any) -> Parts:  # noqa: ANN401
        """The form may have been filled in while the photos were looked at."""
        filled = partial(_within, *form)
        if session is None or not desk.differs(session, filled):
            return _unchanged(parts)
        return _updates(parts, desk.again(session, _is_one(together), filled))

    def choose(session: Session | None, event: gr.EventData) -> Parts:
        return _updates(parts, desk.choose(session, event.index)) if session else _gone(parts)

    where = [parts[name] for name in ("bundle", "together", *FORM)]
    page = _page(parts)
    for looked in (
        parts["drop"].upload(uploaded, where, page, **QUIET),
        parts["examples"].select(example, where, page, **QUIET),
        parts["bundle"].change(other_bundle, [parts["session"], *where], page, **QUIET),
    ):
        caught_up = looked.then(catch_up, [parts["session"], *where[1:]], page, **QUIET)
        _explain(parts, desk, caught_up)
    _explain(parts, desk, parts["strip"].select(choose, parts["session"], page, **QUIET))


def _wire_form(parts: Parts, desk: Desk) -> None:
    """What is known of the place: asked again as soon as it changes."""

    def again(session: Session | None, together: str, *form: Any) -> Parts:  # noqa: ANN401
        if session is None:
            return _gone(parts) if form[0] != constraint_form.ANYWHERE else _unchanged(parts)
        return _updates(parts, desk.again(session, _is_one(together), partial(_within, *form)))

    def forget(session: Session | None, together: str, *form: Any) -> Parts:  # noqa: ANN401
        """Choosing "nothing" asks at once; another kind waits for its fields."""
        if form[0] != constraint_form.ANYWHERE:
            return _unchanged(parts)
        return again(session, together, *form)

    def choose_kind(kind: str) -> Parts:
        return {
            parts["place"]: gr.Dropdown(visible=kind == constraint_form.NAMED),
            parts["circle"]: gr.Row(visible=kind == constraint_form.CIRCLE),
            parts["box"]: gr.Row(visible=kind == constraint_form.BOX),
            parts["again"]: gr.Button(
                visible=kind in (constraint_form.CIRCLE, constraint_form.BOX)
            ),
            parts["notice"]: "",
        }

    def drawn(event: gr.EventData) -> list[Any]:
        return [constraint_form.BOX, *(f"{getattr(event, corner):.4f}" for corner in CORNERS)]

    fields = {parts[name] for name in ("place", "circle", "box", "again", "notice")}
    asked, page = [parts[name] for name in ("session", "together", *FORM)], _page(parts)
    parts["kind"].change(choose_kind, parts["kind"], fields, **QUIET)
    box = [parts[name] for name in ("kind", *CORNERS)]
    numbers = [parts[name].submit for name in FORM[2:]]
    changes = [parts["together"].input, parts["place"].change, parts["again"].click, *numbers]
    for answered in (
        parts["kind"].input(forget, asked, page, **QUIET),
        parts["window"].apply(drawn, None, box, **QUIET).then(again, asked, page, **QUIET),
        gr.on(changes, again, asked, page, **QUIET),
    ):
        _explain(parts, desk, answered)


def _wire_saving(parts: Parts, desk: Desk) -> None:
    """Downloads."""

    def save(kind: str, session: Session | None) -> Any:  # noqa: ANN401
        return desk.save(session, kind) if session and session.guesses else gr.skip()

    def clean(session: Session | None) -> Any:  # noqa: ANN401
        try:
            return desk.clean(session) if session else gr.skip()
        except (GeolocError, OSError):
            gr.Warning("The photo has been deleted here already; give it again.")
            return gr.skip()

    for kind in EXPORTS:
        parts[kind].click(partial(save, kind), parts["session"], parts["saver"], **QUIET)
    parts["clean"].click(clean, parts["session"], parts["saver"], **QUIET)


def _explain(parts: Parts, desk: Desk, answered: Any) -> None:  # noqa: ANN401
    """After an answer, why; it takes longer, and nobody shall wait for it."""

    def explain(session: Session | None) -> Parts:
        return _updates(parts, desk.explain(session)) if session else _unchanged(parts)

    answered.then(explain, parts["session"], _page(parts), **QUIET)


def _page(parts: Parts) -> set[Any]:
    """All that an answer may change."""
    around = ("notice", "together", "details", "empty", "results", "wait")
    return {parts[name] for name in (*SHOWN, *around)}


def _updates(parts: Parts, shown: Shown) -> Parts:
    new = {parts[name]: shown[name] for name in SHOWN if name in shown}
    if "notice" in shown:
        new[parts["notice"]] = view.notice(shown["notice"])
    if "session" in shown:
        new[parts["together"]] = gr.Radio(visible=shown["several"])
        new[parts["details"]] = gr.Column(visible="places" in shown)
        new[parts["empty"]] = gr.Column(visible=False)
        new[parts["results"]] = gr.Column(visible=True)
    return new


def _unchanged(parts: Parts) -> Parts:
    """Gradio wants at least one component named."""
    return {parts["notice"]: gr.skip()}


def _gone(parts: Parts) -> Parts:
    """What is said where there is no photo, or its answer has been forgotten."""
    return {parts["notice"]: view.notice("There is no photo here: give one, and this counts.")}


def _is_one(together: str) -> bool:
    return together == view.ONE_PLACE


def _within(kind: str, place: str | None, *numbers: str) -> str | None:
    return constraint_form.within(kind, place, numbers[:3], numbers[3:])


def own_uploads(paths: list[str]) -> list[Path]:
    """Uploads by the paths that the browser names; GeolocError if one is anything else."""
    folder, found = Path(get_upload_folder()).resolve(), [Path(path).resolve() for path in paths]
    if not found or not all(path.is_relative_to(folder) for path in found):
        raise GeolocError("these are no uploads of this page; drop the photos again")
    return found
