"""The tab "Locate": its components. `locate_events` connects them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial

import gradio as gr

from demo.map.place_search import search
from demo.map.routes import version
from demo.page import constraint_form, view
from demo.page.controller import EXPORTS, Controller
from demo.page.events import Areas, Choice, Shadow, Uploads, part
from demo.page.game import photos as photo_table
from demo.page.knowledge import knowledge
from demo.page.locate_events import DIFFERENT_PLACES, SAME_PLACE, Components, connect
from demo.page.rendering import image_uri, render, static_file
from demo.page.session import BlurLocation
from geoloc.geolocator import Geolocator
from geoloc.photos import decode

SESSION_S = 900
"""Seconds that answers stay in memory after a visitor's last action."""

EXAMPLE_PX, EXAMPLE_QUALITY = 240, 70

LIVE = {"elem_classes": "live"}


def locate_tab(
    geolocators: Mapping[str, Geolocator],
    bundle: gr.Dropdown,
    blur_location: BlurLocation,
    exact: bool = True,
) -> None:
    """Add the components of the tab to the current gradio context.

    Args:
        geolocators: by bundle name.
        bundle: the bundle selector of the page.
        blur_location: applied to every guess.
        exact: whether precision has no limit; else no evidence beside the picture is taken.
    """
    components: Components = {
        "bundle": bundle,
        "session": gr.State(None, time_to_live=SESSION_S),
    }
    with gr.Row(elem_classes="locate"):
        with gr.Column(scale=1, min_width=300, elem_classes="side"):
            components |= _inputs(exact)
        with gr.Column(scale=3, min_width=300, elem_classes="main"):
            with gr.Column(elem_classes="welcome") as welcome:
                gr.HTML(render("welcome.html", sentences=knowledge(geolocators)))
                with chooser() as components["example"]:
                    gr.HTML(view.examples(_example_thumbnails()))
            components["progress"] = gr.HTML(**LIVE, visible=False)
            with gr.Column(visible=False, elem_classes="results") as results:
                components |= _results()
            gr.HTML(
                html_template=render("history.html", files=f"map/{version()}/"),
                js_on_load=static_file("history.js"), elem_classes="history",
            )  # fmt: skip
    components |= {"welcome": welcome, "results": results}
    connect(components, Controller(geolocators, blur_location))


@cache
def _example_thumbnails() -> tuple[str, ...]:
    images = [decode.load(file).image for file in photo_table.examples()]
    return tuple(image_uri(image, EXAMPLE_PX, EXAMPLE_QUALITY) for image in images)


def chooser() -> gr.HTML:
    """Return a container of buttons whose value is the index of the last one clicked."""
    return part(
        Choice, html_template="@children", js_on_load=static_file("choose.js"),
        elem_classes="chooser",
    )  # fmt: skip


def where(tab: str) -> gr.HTML:
    """Return the field for places to search in, whose value is {areas}.

    Args:
        tab: name of the tab, for ids that are unique.
    """
    return part(
        Areas | None, html_template=render("where.html", tab=tab),
        js_on_load=static_file("where.js"),
        server_functions=[search, constraint_form.named], elem_classes="where-part",
    )  # fmt: skip


def _inputs(exact: bool) -> Components:
    """Add the drop zone and the constraint form."""
    components: Components = {
        "drop": part(
            Uploads, html_template=render("drop_zone.html"), js_on_load=static_file("drop.js"),
            elem_classes="drop-part",
        ),
        "photo": gr.HTML(
            html_template="${value}", js_on_load=static_file("photo.js"), elem_classes="photo-part"
        ),
        "together": gr.Radio(
            [DIFFERENT_PLACES, SAME_PLACE], value=DIFFERENT_PLACES, visible=False,
            label="These photos show", elem_classes="form-part",
        ),
    }  # fmt: skip
    with gr.Group(elem_classes="known-form form-part"):
        components["areas"] = where("locate")
        components["chips"] = gr.CheckboxGroup(
            list(constraint_form.CHIPS), label="And it is a place with"
        )
    with gr.Accordion("More clues", open=False, visible=exact, elem_classes="form-part"):
        components |= _evidence()
    components["notice"] = gr.HTML(elem_classes="notice-part")
    return components


def _evidence() -> Components:
    """Add the fields for the metadata of the file and for a measured shadow."""
    field = partial(gr.Textbox, max_lines=1, min_width=120)
    components: Components = {
        "read_text": gr.Checkbox(
            label="Read signs and other text in the photo",
            info="Takes about a second for each photo",
        ),
        "use_overlays": gr.Checkbox(
            label="Use a position that a camera wrote on the photo",
            info="Only if you trust it: anybody can write one",
            elem_classes="use-overlays",
        ),
        "use_metadata": gr.Checkbox(
            label="Use the clock, height, camera and captions of the file",
            info="Its GPS position is never used",
        ),
    }
    components["measure"] = part(
        Shadow, html_template=render("measure.html"), js_on_load=static_file("measure.js")
    )
    with gr.Row():
        components["shadow"] = field(
            label="Object : shadow, or the sun's elevation", placeholder="1.8:2.4±5%"
        )
        components["time"] = field(label="Taken at", placeholder="2024-06-01T10:30Z")
    components["measured"] = gr.Button("Use this shadow", size="sm")
    return components


def _results() -> Components:
    """Add the answer, the map, the table and the cards."""
    components: Components = {}
    with chooser() as components["selected"]:
        components["strip"] = gr.HTML()
    components["answer"] = gr.HTML(
        html_template="${value}", js_on_load=static_file("answer.js"),
        elem_classes=["live", "answer-part"],
    )  # fmt: skip
    with gr.Column() as details:
        components["world"] = gr.HTML(
            html_template=render("map.html", files=f"map/{version()}/"),
            js_on_load=static_file("draw_tools.js") + static_file("answer_map.js"), elem_id="world",
        )  # fmt: skip
        components["keep"] = gr.HTML(
            html_template=render("keep.html"), js_on_load=static_file("keep.js"),
            elem_classes="keep",
        )  # fmt: skip
        components["places"] = gr.HTML(js_on_load=static_file("copy.js"))
        with gr.Row(elem_classes="saving"):
            for kind in EXPORTS:
                components[kind] = gr.Button(f"Save as {kind}", size="sm", min_width=100)
        components["download"] = gr.HTML(
            html_template=render("download.html"), js_on_load=static_file("save.js")
        )
        with gr.Row(elem_classes="cards"):
            components["witnesses"] = gr.HTML(js_on_load=static_file("overlays.js"))
            components["attributes"] = gr.HTML()
            components["neighbours"] = gr.HTML()
            with gr.Column(min_width=260):
                components["exif"] = gr.HTML()
                components["clean"] = gr.Button("Download without metadata", size="sm")
                components["attribution"] = gr.HTML()
    return components | {"details": details}
