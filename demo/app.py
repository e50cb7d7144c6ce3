"""The web page: photos in, answers on a map, and a game. Wiring only; `view` says what is shown."""

import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App

from geoloc.errors import GeolocError, MissingExtraError
from geoloc.guess import Guess

if TYPE_CHECKING:
    import gradio as gr

    from geoloc.locator import Geolocator

HEADER = """<header class="top"><h1>planet-geoloc</h1>
<p>Where was this photo taken, and how sure can we be?</p></header>"""

FOOTER = """<footer class="foot">
<p><strong>Privacy.</strong> Photos go to the machine that serves this page and nowhere else. They
are not logged, and are deleted within minutes.</p>
<p><strong>Fair use.</strong> An answer is an estimate, not evidence. Do not use it to find, follow
or expose people; ask before you place a photo that shows somebody, or somebody's home.</p>
<p>Made with Natural Earth; places by GeoNames (CC BY 4.0). Links to other maps open only when you
follow them.</p></footer>"""

DELETED_AFTER_S = 300
LARGEST_UPLOAD = "50mb"

app = App(name="geoloc-demo", help_format="markdown")


def build(
    geolocators: Mapping[str, "Geolocator"],
    *,
    coarse: Callable[[Guess], Guess] = lambda guess: guess,
    game_photos: Path | None = None,
) -> "gr.Blocks":
    """The page. Serve it with the arguments of `demo.theme.appearance`.

    Args:
        geolocators: by the name of their bundle; the first one answers unless another is chosen.
            Their encoders may be called from many threads.
        coarse: takes from every guess what may not be shown.
        game_photos: a table `file,lat,lon` of photos for the game; the examples if left out.

    Raises:
        GeolocError: the photos of the game cannot be read.
    """
    import gradio as gr

    from demo.game_tab import game_tab
    from demo.locate_tab import locate_tab

    names = list(geolocators)
    with gr.Blocks(
        title="Where was this photo taken?",
        analytics_enabled=False,
        delete_cache=(60, DELETED_AFTER_S),
    ) as page:
        with gr.Row(elem_classes="masthead"):
            gr.HTML(HEADER)
            bundle = gr.Dropdown(
                names, value=names[0], label="Answers come from", visible=len(names) > 1
            )
        with gr.Tab("Locate"):
            locate_tab(geolocators, bundle, coarse)
        with gr.Tab("Play"):
            game_tab(geolocators, bundle, coarse, game_photos)
        gr.HTML(FOOTER)
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

    page = build({bundle: Geolocator.from_bundle(bundle)})
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
    from demo.theme import appearance

    try:
        page.launch(
            **appearance(),
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
