"""The tab "Batch": many photos at once; the browser sends them to the API in groups.

The server keeps nothing of its own for this tab: photos and answers are batches of the API, with
its limits, and the browser holds what it shows.
"""

from __future__ import annotations

from collections.abc import Sequence

import gradio as gr

from demo.api.files import MEDIA_TYPES
from demo.api.limits import Limits
from demo.map.routes import version
from demo.page.constraint_form import outline
from demo.page.locate import where
from demo.page.locate_events import EVENT_OPTIONS
from demo.page.rendering import render, static_file

FORMATS = {
    "html": "Map page",
    "csv": "CSV",
    "jsonl": "JSON lines",
    "geojson": "GeoJSON",
    "kml": "KML",
    "parquet": "GeoParquet",
}
"""Names of the downloads by file ending, all that `geoloc batch` writes."""

FORM_BYTES = 64_000
"""Room in an upload for what is not photos."""

assert FORMATS.keys() == MEDIA_TYPES.keys()


def batch_tab(bundles: Sequence[str], bundle: gr.Dropdown, limits: Limits) -> None:
    """Add the component of the tab to the current gradio context.

    Args:
        bundles: names; the first one is selected.
        bundle: the bundle selector of the page.
        limits: of the API, by which the browser divides the photos.
    """
    with gr.Group(elem_classes="known-form batch-where"):
        where("batch")
    batch = gr.HTML(
        bundles[0],
        html_template=render(
            "batch.html",
            files=f"map/{version()}/",
            formats=FORMATS,
            photos=limits.batch_photos,
            size=limits.upload_mb * 10**6 - FORM_BYTES,
            batches=limits.batches,
            minutes=round(limits.keep_s / 60),
        ),
        js_on_load="".join(map(static_file, ("zip.js", "draw_tools.js", "batch.js"))),
        server_functions=[outline],
        elem_classes="batch-part",
    )
    bundle.change(lambda name: name, bundle, batch, **EVENT_OPTIONS)
