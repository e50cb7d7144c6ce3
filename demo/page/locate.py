"""The first tab: photos in, the answer on a map. What is where; `locate_events` wires it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial

import gradio as gr

from demo.page import constraint_form, view
from demo.page.controller import EXPORTS, Desk
from demo.page.game import photos as photo_table
from demo.page.locate_events import CORNERS, Parts, wire
from demo.page.pictures import data_uri
from demo.page.session import Coarse
from demo.page.theme import script
from geoloc.geolocator import Geolocator
from geoloc.photos import decode as photos

KEPT_S = 900
"""So long a visitor's answers, and small pictures, stay in memory after the last question."""

DROP = """
<div class="drop">
  <p><strong>Drop photos here</strong><br>or paste them with Ctrl+V</p>
  <button type="button" class="primary">Choose photos</button>
  <input type="file" multiple accept="image/*,.heic,.heif" aria-label="Photos" hidden>
  <p class="hint">JPEG, PNG, WebP or HEIC. Several at once are welcome.</p>
  <p class="state" role="status"></p>
</div>
"""

TOOLS = """
<div class="tools">
  <button type="button" data-tool="answer">Zoom to the answer</button>
  <button type="button" data-tool="world">Whole world</button>
  <button type="button" data-tool="box" aria-pressed="false">Draw a box it lies in</button>
  <ul class="legend" aria-label="Legend">
    <li><i class="pin"></i>answer</li><li><i class="pin other"></i>other places</li>
    <li><i class="ring"></i>8 of 10 lie inside</li>
    <li><i class="cell c50"></i><i class="cell c80"></i><i class="cell c95"></i>cells holding 50, 80
      and 95 % of the belief</li><li><i class="pin file"></i>where the file says</li>
  </ul>
</div>
"""

EMPTY = """<div class="answer"><h2>Where was this photo taken?</h2>
<p>Give it a photo. It answers from the picture alone, with a radius that says how far to trust
the answer, and says so when the picture tells it nothing. No photo at hand? Try one of these:</p>
</div>"""

SAVER = '<p class="saver" role="status"></p>'

LIVE = {"elem_classes": "live"}


def locate_tab(geolocators: Mapping[str, Geolocator], bundle: gr.Dropdown, coarse: Coarse) -> None:
    """Put the tab where the caller's context is.

    Args:
        geolocators: by the name of their bundle.
        bundle: the chooser of the page.
        coarse: takes from every guess what may not be shown.
    """
    parts: Parts = {"bundle": bundle, "session": gr.State(None, time_to_live=KEPT_S)}
    with gr.Row(elem_classes="desk"):
        with gr.Column(scale=1, min_width=300, elem_classes="side"):
            parts |= _questions()
        with gr.Column(scale=3, min_width=300):
            with gr.Column() as empty:
                gr.HTML(EMPTY)
                parts["examples"] = gr.HTML(
                    view.examples(_pictures()), js_on_load=script("choose.js")
                )
            parts["wait"] = gr.HTML(**LIVE, visible=False)
            with gr.Column(visible=False) as results:
                parts |= _answers()
    wire(parts | {"empty": empty, "results": results}, Desk(geolocators, coarse))


@cache
def _pictures() -> tuple[str, ...]:
    known_photos = photo_table.read(photo_table.EXAMPLES)
    return tuple(data_uri(photos.load(item.file).image, 320) for item in known_photos)


def _questions() -> Parts:
    """What a visitor gives: photos, and what is known of them."""
    number = partial(gr.Textbox, max_lines=1, min_width=80)
    parts: Parts = {
        "drop": gr.HTML(html_template=DROP, js_on_load=script("drop.js")),
        "picture": gr.HTML(),
        "together": gr.Radio(
            [view.SEPARATE, view.ONE_PLACE], value=view.SEPARATE, visible=False,
            label="These photos show",
        ),
    }  # fmt: skip
    with gr.Group(elem_classes="known-form"):
        parts["kind"] = gr.Radio(
            constraint_form.KINDS,
            value=constraint_form.ANYWHERE,
            label="What I know of the place already",
        )
        parts["place"] = gr.Dropdown(
            constraint_form.countries(), value=None, allow_custom_value=True, visible=False,
            label="Which country or region", info="For a region write Bavaria, Germany",
        )  # fmt: skip
        with gr.Row(visible=False) as circle:
            parts["lat"] = number(label="Latitude", placeholder="48.86")
            parts["lon"] = number(label="Longitude", placeholder="2.35")
            parts["radius_km"] = number(label="Radius, km", placeholder="50")
        with gr.Row(visible=False) as box:
            for name, example in zip(CORNERS, ("48", "2", "49.5", "3"), strict=True):
                parts[name] = number(label=name.title(), placeholder=example, min_width=120)
        parts["again"] = gr.Button("Ask again with this", variant="primary", visible=False)
        parts["notice"] = gr.HTML()
    return parts | {"circle": circle, "box": box}


def _answers() -> Parts:
    """What a visitor gets."""
    choose, copy = script("choose.js"), script("copy.js")
    parts: Parts = {"strip": gr.HTML(js_on_load=choose), "answer": gr.HTML(**LIVE)}
    with gr.Column() as details:
        parts["world"] = gr.Plot(show_label=False, elem_id="world")
        parts["window"] = gr.HTML(html_template=TOOLS, js_on_load=script("map_tools.js"))
        parts["places"] = gr.HTML(js_on_load=copy)
        with gr.Row(elem_classes="saving"):
            for kind in EXPORTS:
                parts[kind] = gr.Button(f"Save as {kind}", size="sm", min_width=100)
        parts["saver"] = gr.HTML(html_template=SAVER, js_on_load=script("save.js"))
        with gr.Row(elem_classes="cards"):
            parts["attributes"] = gr.HTML()
            parts["neighbours"] = gr.HTML()
            with gr.Column(min_width=260):
                parts["exif"] = gr.HTML()
                parts["clean"] = gr.Button("Download without metadata", size="sm")
                parts["heat"] = gr.HTML()
    return parts | {"details": details}
