"""Events of the tab "Locate": connects its components to the controller."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from demo.page import constraint_form, view
from demo.page.controller import EXPORTS, Controller, Updates
from demo.page.game import photos as photo_table
from demo.page.runs import RUNS
from demo.page.session import Asked, Cancelled, Session
from geoloc.belief.witnesses.options import WitnessOptions
from geoloc.errors import GeolocError

Components = dict[str, Any]
"""Components by name."""

PhotosOf = Callable[[Any], list[Path]]
"""Returns the photos to locate from the value of the component that asks for it."""

DIFFERENT_PLACES, SAME_PLACE = "Different places", "The same place"
"""Choices for what several photos show."""

ANSWER_PARTS = (
    "session", "strip", "photo", "answer", "world", "keep", "places", "neighbours", "exif",
    "witnesses",
)  # fmt: skip
"""Components whose values the controller gives at once, under the same names."""

EXPLANATION_PARTS = ("attributes", "attribution")
"""Components whose values follow later."""

FORM_FIELDS = ("areas", "chips", "read_text", "use_overlays", "use_metadata", "shadow", "time")

EVENT_OPTIONS: dict[str, Any] = {
    "api_visibility": "private",
    "show_progress": "hidden",
    "trigger_mode": "always_last",
    "queue": False,
}
"""No API and no spinners. An event during a running one is handled after it, with the input values
of then; several such events are handled once.

No queue: the answer comes in the response to the request. Gradio's queue sends it in a stream of
its own, and closes that stream after the last waiting event; an event that the browser sends before
it has read the closing message is never answered. Events without the queue can be neither
generators nor show `gr.Warning`.

Event data is not passed on: with "always_last", gradio repeats the data of the first event. The
scripts write what was chosen into the value of their component, whose type `events` checks.
"""


def connect(components: Components, controller: Controller) -> None:
    """Connect the components of `locate_tab` to the controller."""
    _connect_photos(components, controller)
    _connect_bundle(components, controller)
    _connect_cancel(components)
    _connect_thumbnails(components, controller)
    _connect_form(components, controller)
    _connect_downloads(components, controller)


def _connect_photos(components: Components, controller: Controller) -> None:
    """Handle new photos."""

    def show_progress(photos_of: PhotosOf, value: Any) -> Updates:  # noqa: ANN401
        paths = photos_of(value)
        if not paths:
            return _unchanged(components)
        return {
            components["progress"]: gr.HTML(view.progress(len(paths)), visible=True),
            components["welcome"]: gr.Column(visible=False),
            components["results"]: gr.Column(visible=False),
        }

    def locate(photos_of: PhotosOf, value: Any, *inputs: Any) -> Updates:  # noqa: ANN401
        bundle, together, *form = inputs
        paths = photos_of(value)
        if not paths:
            return _unchanged(components)
        read_form = partial(_read_form, *form)
        run = str(value.get("run", "")) if isinstance(value, dict) else ""
        try:
            updates = controller.locate(paths, bundle, together == SAME_PLACE, read_form, run)
        except Cancelled:
            return _unchanged(components)
        return _outputs(components, updates) | {components["progress"]: gr.HTML(visible=False)}

    def apply_late_form(session: Session | None, together: str, *form: Any) -> Updates:  # noqa: ANN401
        """Apply what was entered in the form while the photos were encoded."""
        read_form = partial(_read_form, *form)
        if session is None or not controller.form_changed(session, read_form):
            return _unchanged(components)
        updates = controller.rerank(session, together == SAME_PLACE, read_form)
        return _outputs(components, updates)

    inputs = [components[name] for name in ("bundle", "together", *FORM_FIELDS)]
    outputs = _all_outputs(components)
    progress_outputs = {components[name] for name in ("progress", "welcome", "results", "notice")}
    late_inputs = [components["session"], *inputs[1:]]
    for event, photos_of, name in (
        (components["drop"].upload, _uploaded, "drop"),
        (components["example"].select, _example, "example"),
    ):
        value = components[name]
        show = partial(show_progress, photos_of)
        shown = event(show, value, progress_outputs, **EVENT_OPTIONS)
        located = shown.success(
            partial(locate, photos_of), [value, *inputs], outputs, **EVENT_OPTIONS
        )
        applied = located.then(apply_late_form, late_inputs, outputs, **EVENT_OPTIONS)
        _explain_after(applied, components, controller)


def _connect_bundle(components: Components, controller: Controller) -> None:
    """Answer the photos of the visit with another bundle."""

    def show_progress(session: Session | None) -> Updates:
        if session is None:
            return _unchanged(components)
        message = view.progress(len(session.uploads))
        return {components["progress"]: gr.HTML(message, visible=True)}

    def switch(session: Session | None, bundle: str, together: str, *form: Any) -> Updates:  # noqa: ANN401
        if session is None:
            return _unchanged(components)
        read_form = partial(_read_form, *form)
        updates = controller.switch(session, bundle, together == SAME_PLACE, read_form)
        return _outputs(components, updates) | {components["progress"]: gr.HTML(visible=False)}

    inputs = [components[name] for name in ("session", "bundle", "together", *FORM_FIELDS)]
    progress = {components["progress"], components["notice"]}
    shown = components["bundle"].change(
        show_progress, components["session"], progress, **EVENT_OPTIONS
    )
    switched = shown.success(switch, inputs, _all_outputs(components), **EVENT_OPTIONS)
    _explain_after(switched, components, controller)


def _connect_cancel(components: Components) -> None:
    """Handle the button that gives up waiting."""

    def cancel(drop: dict[str, Any]) -> Updates:
        RUNS.cancel(str(drop.get("run", "")))
        return {
            components["progress"]: gr.HTML(visible=False),
            components["welcome"]: gr.Column(visible=True),
        }

    outputs = {components["progress"], components["welcome"]}
    components["drop"].clear(cancel, components["drop"], outputs, **EVENT_OPTIONS)


def _uploaded(drop: dict[str, list[str]]) -> list[Path]:
    return [Path(path) for path in drop["paths"]]


def _example(index: int) -> list[Path]:
    files = photo_table.examples()
    return [files[index % len(files)]]


def _connect_thumbnails(components: Components, controller: Controller) -> None:
    """Handle the selection of another photo."""

    def select(session: Session | None, index: int) -> Updates:
        if session is None:
            return _no_photo(components)
        return _outputs(components, controller.select(session, index))

    inputs = [components["session"], components["selected"]]
    outputs = _all_outputs(components)
    selected = components["selected"].select(select, inputs, outputs, **EVENT_OPTIONS)
    _explain_after(selected, components, controller)


def _connect_form(components: Components, controller: Controller) -> None:
    """Rank again when the constraint changes."""

    def rerank(session: Session | None, together: str, *form: Any) -> Updates:  # noqa: ANN401
        if session is None:  # what is known before the first photo applies to it
            return _unchanged(components)
        read_form = partial(_read_form, *form)
        return _outputs(components, controller.rerank(session, together == SAME_PLACE, read_form))

    def fill_in_shadow(measured: dict[str, str]) -> str:
        return measured["shadow"]

    inputs = [components[name] for name in ("session", "together", *FORM_FIELDS)]
    outputs = _all_outputs(components)
    measure = components["measure"]
    measure.apply(fill_in_shadow, measure, components["shadow"], **EVENT_OPTIONS)
    submits = [components[name].submit for name in ("shadow", "time")]
    chosen = ("together", "chips", "read_text", "use_overlays", "use_metadata")
    inputs_changed = [components[name].input for name in chosen]
    clicks = [components["areas"].apply, components["measured"].click]
    changes = [*inputs_changed, *clicks, *submits]
    ranked = gr.on(changes, rerank, inputs, outputs, **EVENT_OPTIONS)
    _explain_after(ranked, components, controller)


def _connect_downloads(components: Components, controller: Controller) -> None:
    """Handle the download buttons."""

    def export(kind: str, session: Session | None) -> Any:  # noqa: ANN401
        if session is None or not session.guesses:
            return gr.skip()
        return controller.export(session, kind)

    def strip_metadata(session: Session | None) -> list[Any]:
        try:
            return [controller.strip_metadata(session) if session else gr.skip(), view.notice("")]
        except (GeolocError, OSError):
            message = "The photo has already been deleted from the server; upload it again."
            return [gr.skip(), view.notice(message)]

    session, download = components["session"], components["download"]
    for kind in EXPORTS:
        components[kind].click(partial(export, kind), session, download, **EVENT_OPTIONS)
    noticed = [download, components["notice"]]
    components["clean"].click(strip_metadata, session, noticed, **EVENT_OPTIONS)


def _explain_after(answered: Any, components: Components, controller: Controller) -> None:  # noqa: ANN401
    """Add the explanation after an answer, because it takes longer.

    Only its own components are outputs: others would be rendered again, and the map would move back
    or a button lose the keyboard focus while it is used.
    """
    parts = {name: components[name] for name in EXPLANATION_PARTS}

    def explain(session: Session | None) -> Any:  # noqa: ANN401
        if session is None:
            return [gr.skip()] * len(parts)
        explained = controller.explain(session)
        return [explained[name] for name in parts]

    answered.then(explain, components["session"], list(parts.values()), **EVENT_OPTIONS)


def _all_outputs(components: Components) -> set[Any]:
    """Return all components that an answer may change."""
    others = ("notice", "together", "details", "welcome", "results", "progress")
    return {components[name] for name in (*ANSWER_PARTS, *others)}


def _outputs(components: Components, updates: Updates) -> dict[Any, Any]:
    """Return gradio's updates for the values of the controller."""
    outputs = {components[name]: updates[name] for name in ANSWER_PARTS if name in updates}
    if "notice" in updates:
        outputs[components["notice"]] = view.notice(updates["notice"])
    if "session" in updates:
        outputs[components["together"]] = gr.Radio(visible=updates["several"])
        outputs[components["details"]] = gr.Column(visible="places" in updates)
        outputs[components["welcome"]] = gr.Column(visible=False)
        outputs[components["results"]] = gr.Column(visible=True)
    return outputs


def _unchanged(components: Components) -> Updates:
    """Return an update without effect; gradio requires at least one component."""
    return {components["notice"]: gr.skip()}


def _no_photo(components: Components) -> Updates:
    """Return the notice for an expired session."""
    message = "The server keeps an answer for some minutes only. Choose the photo again."
    return {components["notice"]: view.notice(message)}


def _read_form(areas: dict[str, Any] | None, chips: list[str] | None, *fields: Any) -> Asked:  # noqa: ANN401
    """Return what the fields FORM_FIELDS say; raises ConstraintError or WitnessError."""
    read_text, use_overlays, use_metadata, shadow, time = fields
    within = constraint_form.within((areas or {}).get("areas"), chips or ())
    shadow, time = ((text or "").strip() or None for text in (shadow, time))
    evidence = WitnessOptions(bool(use_metadata), shadow, time, bool(read_text), bool(use_overlays))
    evidence.sun()
    return Asked(within, evidence)
