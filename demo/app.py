"""The web page: a photo in, the answer on a map. Wiring only; what is shown comes from `view`."""

import io
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import App

from geoloc.errors import GeolocError, MissingExtraError

if TYPE_CHECKING:
    import gradio as gr

    from geoloc.locator import Geolocator

INTRO = """# Where was this photo taken?
Drop a photo. The answer comes from the picture alone, with a radius that says how far to trust it;
where the picture says nothing, so does the answer. Photos stay on this machine and are deleted
within minutes."""

DELETED_AFTER_S = 300
LARGEST_UPLOAD = "50mb"

app = App(name="geoloc-demo", help_format="markdown")

Answer = tuple[str, Any, list[list[str]], str]
"""Sentence, map, table rows, note on the file."""


def answer(geolocator: "Geolocator", path: Path) -> Answer:
    """What the page shows for one uploaded photo; for an unreadable one, the reason."""
    from demo import view

    upload = io.BytesIO(path.read_bytes())
    upload.name = path.name  # messages name the file as its owner knows it
    try:
        guess = geolocator.locate(upload)
    except GeolocError as error:
        return f"### This photo cannot be answered\n{error}", None, [], ""
    return (
        view.sentence(guess),
        view.map_figure(guess, geolocator.cells),
        view.rows(guess),
        view.exif_note(guess.exif, guess.exif_distance_km),
    )


def build(geolocator: "Geolocator") -> "gr.Blocks":
    """The page around a geolocator."""
    import gradio as gr

    from demo import view

    def show(photos: list[tuple[str, str | None]] | None, index: int = -1) -> Answer:
        if not photos:
            return "", None, [], ""
        return answer(geolocator, Path(photos[index][0]))

    def select(photos: list[tuple[str, str | None]], event: gr.SelectData) -> Answer:
        return show(photos, event.index)

    with gr.Blocks(
        title="Where was this photo taken?",
        analytics_enabled=False,
        delete_cache=(60, DELETED_AFTER_S),
    ) as page:
        gr.Markdown(INTRO)
        with gr.Row():
            with gr.Column(scale=1):
                photos = gr.Gallery(
                    label="Photos",
                    type="filepath",  # the original file, with what it says about itself
                    sources=["upload", "clipboard"],
                    file_types=["image", ".heic"],
                    columns=1,
                    object_fit="contain",
                    height=420,
                )
                note = gr.Markdown()
            with gr.Column(scale=2):
                summary = gr.Markdown()
                world = gr.Plot(show_label=False)
        table = gr.Dataframe(
            headers=view.HEADERS,
            datatype=["str"] * 5 + ["markdown"],
            interactive=False,
            show_label=False,
            wrap=True,
        )
        gr.Markdown(f"Answers come from the bundle `{geolocator.bundle.name}`.")
        shown = [summary, world, table, note]
        photos.change(show, photos, shown, api_name="locate")
        photos.select(select, photos, shown, api_visibility="private")
    return page


@app.default
def serve(*, bundle: str = "starter", host: str = "127.0.0.1", port: int = 7860) -> None:
    """Serve a web page that says where photos were taken.

    Args:
        bundle: name of an embedded bundle, or the path of your own.
        host: address to listen on; 0.0.0.0 lets others in.
        port: port to listen on.
    """
    try:
        import gradio  # noqa: F401
        import plotly  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(error.name or "gradio", "demo") from error
    from geoloc.locator import Geolocator

    page = build(Geolocator.from_bundle(bundle))
    with tempfile.TemporaryDirectory(prefix="geoloc-demo-") as uploads:
        os.environ["GRADIO_TEMP_DIR"] = uploads  # readable by this user alone, gone at the end
        launch(page, host, port)
        print(f"Open {page.local_url} in a browser; stop with Ctrl-C.")
        page.block_thread()


def launch(page: "gr.Blocks", host: str, port: int | None) -> None:
    """Serve the page in the background, with nothing leaving this machine.

    Args:
        page: what to serve.
        host: address to listen on.
        port: port to listen on; None takes a free one.

    Raises:
        GeolocError: the port is taken.
    """
    try:
        page.launch(
            server_name=host,
            server_port=port,
            share=False,
            ssr_mode=False,
            footer_links=[],
            max_file_size=LARGEST_UPLOAD,
            prevent_thread_lock=True,
            quiet=True,
        )
    except OSError as error:
        raise GeolocError(f"port {port} cannot be used; choose another with --port") from error


def main(argv: Sequence[str] | None = None) -> None:
    """Run `geoloc-demo`; an error of input is one line and exit code 2."""
    try:
        app(argv)
    except GeolocError as error:
        print(f"geoloc-demo: {error}", file=sys.stderr)
        raise SystemExit(2) from None
