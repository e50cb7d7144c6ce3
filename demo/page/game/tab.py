"""The game's tab: five rounds on an offline map, you against the bundle. Wiring only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from demo.page import constraint_form
from demo.page.game import photos as photo_table
from demo.page.game import rounds, view
from demo.page.game.rounds import Game, LatLon
from demo.page.locate_events import QUIET
from demo.page.pictures import data_uri
from demo.page.session import Coarse
from demo.page.theme import script
from geoloc.geolocator import Geolocator
from geoloc.output.svg_map import world as world_outline
from geoloc.photos import decode as photos

OUTLINE_TOLERANCE = 0.3
"""Tolerance of the simplified outline in 1/1000 of the width of the world, 12 km."""

PHOTO_PX = 800


def world(_: object) -> str:
    """The outline of the land, fetched by the map when the first game starts; gradio asks so."""
    return world_outline(OUTLINE_TOLERANCE)


class Table:
    """Deals photos, and lets a bundle guess them."""

    def __init__(
        self, geolocators: Mapping[str, Geolocator], coarse: Coarse, game_photos: Path | None
    ) -> None:
        """Take what `demo.page.app.build` is given."""
        self._geolocators, self._coarse = geolocators, coarse
        self._photos = photo_table.read(game_photos or photo_table.EXAMPLES)

    def deal(self, seed: float | None) -> list[Any]:
        """A new game."""
        return self._next(rounds.start(self._photos, int(seed or 0)))

    def next(self, played: Game) -> list[Any]:
        """The next round."""
        return self._next(played)

    def place(self, lat: str, lon: str) -> dict[str, Any]:
        """Show the guess on the map; nothing while a coordinate is missing."""
        return view.open_map(_latlon(lat, lon))

    def settle(self, played: Game, bundle: str, lat: str, lon: str) -> list[Any]:
        """Compare the visitor's guess with the bundle's."""
        yours = _latlon(lat, lon)
        if played.photo is None or yours is None:
            gr.Warning("Click the map first, or type latitude and longitude.")
            return [gr.skip()] * 8
        its = self._coarse(self._geolocators[bundle].locate(played.photo.file))
        over = played.guessed(yours, (its.lat, its.lon))
        return [
            over,
            gr.skip(),
            view.result(over),
            view.closed_map(over.rounds[-1]),
            view.scores(over),
            gr.Button(visible=False),
            gr.Button(visible=over.photo is not None),
            gr.Row(visible=False),
        ]

    def _next(self, played: Game) -> list[Any]:
        if played.photo is None:
            return [gr.skip()] * 8
        shown = photos.load(played.photo.file, min_side=PHOTO_PX // 2).image
        return [
            played,
            view.picture(data_uri(shown, PHOTO_PX)),
            view.task(played),
            view.open_map(None),
            view.scores(played),
            gr.Button(visible=True),
            gr.Button(visible=False),
            gr.Row(visible=True),
        ]


def _latlon(lat: str, lon: str) -> LatLon | None:
    """What the fields say; None while they say no place on Earth."""
    north, east = constraint_form.number(lat), constraint_form.number(lon)
    if north is None or east is None or abs(north) > 90.0 or abs(east) > 180.0:
        return None
    return north, east


def game_tab(
    geolocators: Mapping[str, Geolocator],
    bundle: gr.Dropdown,
    coarse: Coarse,
    game_photos: Path | None,
) -> None:
    """Put the game where the caller's context is.

    Args:
        geolocators: by the name of their bundle.
        bundle: the chooser of the page.
        coarse: takes from every guess what may not be shown.
        game_photos: a table `file,lat,lon`; the shipped examples if left out.
    """
    table = Table(geolocators, coarse, game_photos)
    played = gr.State(rounds.Game(()))
    gr.HTML(view.INTRO)
    with gr.Row(elem_classes="start"):
        seed = gr.Number(1, label="Game number", precision=0, minimum=0, min_width=120)
        start = gr.Button("Start the game", variant="primary", min_width=160)
    with gr.Row(visible=False) as board:
        with gr.Column(scale=2, min_width=300):
            task = gr.HTML(elem_classes="live")
            picture = gr.HTML()
        with gr.Column(scale=3, min_width=300):
            world_map = gr.HTML(
                html_template=view.MAP,
                js_on_load=script("game.js"),
                server_functions=[world],
                elem_id="game-map",
            )
            with gr.Row() as typed:
                lat = gr.Textbox(label="Latitude", placeholder="48.86", max_lines=1, min_width=100)
                lon = gr.Textbox(label="Longitude", placeholder="2.35", max_lines=1, min_width=100)
            settle = gr.Button("This is my guess", variant="primary")
            following = gr.Button("Next round", variant="primary", visible=False)
            scores = gr.HTML()
    shown = [played, picture, task, world_map, scores, settle, following, typed]

    def clicked(event: gr.EventData) -> tuple[str, str]:
        return f"{event.lat:.4f}", f"{event.lon:.4f}"

    empty = (lambda: ("", ""), None, [lat, lon])
    start.click(*empty, **QUIET).then(table.deal, seed, shown, **QUIET).then(
        lambda: gr.Row(visible=True), None, board, **QUIET
    )
    following.click(*empty, **QUIET).then(table.next, played, shown, **QUIET)
    world_map.select(clicked, None, [lat, lon], **QUIET)
    for field in (lat, lon):
        field.change(table.place, [lat, lon], world_map, **QUIET)
    settle.click(table.settle, [played, bundle, lat, lon], shown, **QUIET)
