"""The web page: a photo in, the answer on a map. Wiring only; what is shown comes from `view`."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoloc.errors import GeolocError
from geoloc.guess import Guess

if TYPE_CHECKING:
    import gradio as gr

    from geoloc.locator import Geolocator

INTRO = """# Where was this photo taken?
Drop a photo. The answer comes from the picture alone, with a radius that says how far to trust it;
where the picture says nothing, so does the answer. Photos stay on this machine and are deleted
within minutes."""

DELETED_AFTER_S = 300

Answer = tuple[str, Any, list[list[str]], str]
"""Sentence, map, table rows, note on the file."""


def answer(geolocator: "Geolocator", coarse: Callable[[Guess], Guess], path: Path) -> Answer:
    """What the page shows for one uploaded photo; for an unreadable one, the reason."""
    from demo import view

    upload = io.BytesIO(path.read_bytes())
    upload.name = path.name  # messages name the file as its owner knows it
    try:
        guess = coarse(geolocator.locate(upload))
    except GeolocError as error:
        return f"### This photo cannot be answered\n{error}", None, [], ""
    return (
        view.sentence(guess),
        view.map_figure(guess, geolocator.cells),
        view.rows(guess),
        view.exif_note(guess.exif, guess.exif_distance_km),
    )


def build(
    geolocators: "Mapping[str, Geolocator]",
    *,
    coarse: Callable[[Guess], Guess] = lambda guess: guess,
    game_photos: Path | None = None,
) -> "gr.Blocks":
    """The page around geolocators."""
    import gradio as gr

    from demo import view

    geolocator = next(iter(geolocators.values()))

    def show(photos: list[tuple[str, str | None]] | None, index: int = -1) -> Answer:
        if not photos:
            return "", None, [], ""
        return answer(geolocator, coarse, Path(photos[index][0]))

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
