"""The tab "Library": a whole journey is placed and reviewed; nothing is kept."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from demo.page.events import Uploads, part
from demo.page.locate_events import EVENT_OPTIONS
from demo.page.rendering import render, static_file
from demo.page.view import notice
from geoloc.errors import GeolocError
from geoloc.geolocator import Geolocator
from geoloc.photos.discover import is_photo
from geoloc.trips.library import locate_library
from geoloc.trips.review.page import page_parts

MAX_PHOTOS = 300

WAIT = "Placing the photos; this takes about a second for three photos."


def library_tab(
    geolocators: Mapping[str, Geolocator], bundle: gr.Dropdown, folder: Path | None
) -> None:
    """Add the components of the tab to the current gradio context.

    Args:
        geolocators: by bundle name.
        bundle: the bundle selector of the page.
        folder: a library of the owner of the server, offered beside uploads; None for none.
    """
    gr.HTML(render("library/intro.html"))
    with gr.Row(elem_classes="start"):
        chosen = part(
            Uploads,
            html_template=render("library/choose.html"),
            js_on_load=static_file("library.js"),
        )
        name = folder.resolve().name if folder is not None else ""
        own = gr.Button(f"Place {name}", visible=folder is not None, min_width=160)
    state = gr.HTML(elem_classes="live")
    review = gr.HTML()

    def place_uploads(value: dict[str, list[str]], name: str) -> list[Any]:
        paths = [Path(path) for path in value["paths"]]
        return _answered(lambda: review_uploads(paths, geolocators[name]))

    def place_folder(name: str) -> list[Any]:
        return _answered(lambda: review_folder(Path(str(folder)), geolocators[name]))

    ways: list[tuple[Any, Callable[..., list[Any]], list[Any]]]
    ways = [(chosen.upload, place_uploads, [chosen, bundle])]
    if folder is not None:
        ways.append((own.click, place_folder, [bundle]))
    for event, place, inputs in ways:
        waiting = event(lambda: [notice(WAIT), ""], None, [state, review], **EVENT_OPTIONS)
        waiting.then(place, inputs, [state, review], **EVENT_OPTIONS)


def review_uploads(paths: Sequence[Path], geolocator: Geolocator) -> str:
    """Place uploaded photos with uploaded tracks, and return the page of their review.

    The uploads are copied to a folder that is deleted before this returns, so that the decisions
    name the photos as the visitor does.

    Raises:
        GeolocError: there are too many photos, none, or a track cannot be read.
    """
    photos = [path for path in paths if is_photo(path.name)]
    tracks = [path for path in paths if not is_photo(path.name)]
    if len(photos) > MAX_PHOTOS:
        raise GeolocError(f"these are {len(photos):,} photos; choose at most {MAX_PHOTOS}")
    if not photos:
        raise GeolocError("no photo is among these files; choose photos, and tracks beside them")
    with tempfile.TemporaryDirectory() as name:
        for path in photos:
            shutil.copy(path, _free(Path(name) / path.name))
        trip = locate_library(name, tracks, bundle=geolocator)
        # the decisions are applied in the folder of the photos, which only the visitor knows
        return "".join(page_parts(replace(trip, library="."), Path(name)))


def review_folder(folder: Path, geolocator: Geolocator) -> str:
    """Place a library of the owner of the server, and return the page of its review.

    Raises:
        GeolocError: there are no readable photos in it.
    """
    return "".join(page_parts(locate_library(folder, bundle=geolocator), folder))


def _free(path: Path) -> Path:
    """Return the path, or one beside it that no file has."""
    number = 1
    free = path
    while free.exists():
        number += 1
        free = path.with_stem(f"{path.stem}-{number}")
    return free


def _answered(page: Callable[[], str]) -> list[Any]:
    """Return new values of the components: a page in a frame of its own, or what went wrong."""
    try:
        return ["", render("library/review.html", page=page())]
    except (GeolocError, OSError) as error:
        return [notice(str(error)), ""]
