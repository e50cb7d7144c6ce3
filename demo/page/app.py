"""The web page: photos in, answers on a map, and a game. Wiring only; `view` says what is shown."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from geoloc.guess import Guess

if TYPE_CHECKING:
    import gradio as gr

    from geoloc.geolocator import Geolocator

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


def build(
    geolocators: Mapping[str, "Geolocator"],
    *,
    coarse: Callable[[Guess], Guess] = lambda guess: guess,
    game_photos: Path | None = None,
) -> "gr.Blocks":
    """The page. Serve it with the arguments of `demo.page.theme.appearance`.

    Args:
        geolocators: by the name of their bundle; the first one answers unless another is chosen.
            Their encoders may be called from many threads.
        coarse: takes from every guess what may not be shown.
        game_photos: a table `file,lat,lon` of photos for the game; the examples if left out.

    Raises:
        GeolocError: the photos of the game cannot be read.
    """
    import gradio as gr

    from demo.page.game.tab import game_tab
    from demo.page.locate import locate_tab

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
