"""The tab "Play": its components and events."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from demo.map.routes import version
from demo.page import constraint_form
from demo.page.game import photos as photo_table
from demo.page.game import rounds, view
from demo.page.game.rounds import Game, LatLon
from demo.page.locate_events import EVENT_OPTIONS
from demo.page.rendering import image_uri, render, static_file
from demo.page.session import BlurLocation
from demo.page.view import notice
from geoloc.geolocator import Geolocator
from geoloc.photos import decode

PHOTO_PX = 800

LOST = "The server keeps a game for some minutes only, and no longer has this one. Start it again."


class GameController:
    """Starts games and compares guesses, for all visitors of one page."""

    def __init__(
        self,
        geolocators: Mapping[str, Geolocator],
        blur_location: BlurLocation,
        game_photos: Path | None,
    ) -> None:
        """Take the arguments of `demo.page.app.build`.

        Raises:
            GeolocError: the photos of the game cannot be read.
        """
        self._geolocators, self._blur_location = geolocators, blur_location
        self._photos = photo_table.read(game_photos or photo_table.EXAMPLES)

    def start(self, seed: float | None) -> list[Any]:
        """Start a game and return the first round."""
        return self.show_round(rounds.new_game(self._photos, int(seed or 0)))

    def show_round(self, game: Game) -> list[Any]:
        """Return new values of the components for the current round."""
        if game.photo is None:
            return _with_task(notice(LOST))
        image = decode.load(game.photo.file, min_side=PHOTO_PX // 2).image
        return [
            game,
            view.photo(image_uri(image, PHOTO_PX)),
            view.task(game),
            view.open_map(),
            view.scores(game),
            gr.Button(visible=True),
            gr.Button(visible=False),
            gr.Row(visible=True),
        ]

    def submit(self, game: Game, bundle: str, lat: str, lon: str) -> list[Any]:
        """Compare the player's guess with the bundle's, and return the result."""
        guess = _latlon(lat, lon)
        if game.photo is None:
            return _with_task(notice(LOST))
        if guess is None:
            problem = "Click the map first, or enter latitude and longitude."
            return _with_task(view.task(game, problem))
        answer = self._blur_location(self._geolocators[bundle].locate(game.photo.file))
        after = game.with_guesses(guess, (answer.lat, answer.lon))
        return [
            after,
            gr.skip(),
            view.result(after),
            view.closed_map(after.rounds[-1]),
            view.scores(after),
            gr.Button(visible=False),
            gr.Button(visible=after.photo is not None),
            gr.Row(visible=False),
        ]


def _with_task(task: str) -> list[Any]:
    """Return new values of the components that change the task alone."""
    return [*[gr.skip()] * 2, task, *[gr.skip()] * 5]


def _latlon(lat: str, lon: str) -> LatLon | None:
    """Return the coordinates in the fields; None unless both are valid."""
    north, east = constraint_form.number(lat), constraint_form.number(lon)
    if north is None or east is None or abs(north) > 90.0 or abs(east) > 180.0:
        return None
    return north, east


def game_tab(
    geolocators: Mapping[str, Geolocator],
    bundle: gr.Dropdown,
    blur_location: BlurLocation,
    game_photos: Path | None,
) -> None:
    """Add the components of the tab to the current gradio context.

    Args:
        geolocators: by bundle name.
        bundle: the bundle selector of the page.
        blur_location: applied to every guess.
        game_photos: table `file,lat,lon`; default: the examples.
    """
    controller = GameController(geolocators, blur_location, game_photos)
    game = gr.State(Game(()))
    gr.HTML(render("game/intro.html"))
    with gr.Row(elem_classes="start"):
        seed = gr.Number(1, label="Game number", precision=0, minimum=0, min_width=120)
        start = gr.Button("Start the game", variant="primary", min_width=160)
    with gr.Row(visible=False) as board:
        with gr.Column(scale=2, min_width=300):
            task = gr.HTML(elem_classes="live")
            photo = gr.HTML()
        with gr.Column(scale=3, min_width=300):
            world_map = gr.HTML(
                html_template=render("game/map.html", files=f"map/{version()}/"),
                js_on_load=static_file("game.js"),
                elem_id="game-map",
            )
            with gr.Row() as fields:
                lat = gr.Textbox(label="Latitude", placeholder="48.86", max_lines=1, min_width=100)
                lon = gr.Textbox(label="Longitude", placeholder="2.35", max_lines=1, min_width=100)
            submit = gr.Button("This is my guess", variant="primary")
            next_round = gr.Button("Next round", variant="primary", visible=False)
            scores = gr.HTML()
    outputs = [game, photo, task, world_map, scores, submit, next_round, fields]

    def fill_in_fields(map_value: dict[str, Any]) -> tuple[str, str]:
        (pin,) = map_value["pins"]
        return f"{pin['lat']:.4f}", f"{pin['lon']:.4f}"

    clear_fields = (lambda: ("", ""), None, [lat, lon])
    started = start.click(*clear_fields, **EVENT_OPTIONS)
    started = started.then(controller.start, seed, outputs, **EVENT_OPTIONS)
    started.then(lambda: gr.Row(visible=True), None, board, **EVENT_OPTIONS)
    cleared = next_round.click(*clear_fields, **EVENT_OPTIONS)
    cleared.then(controller.show_round, game, outputs, **EVENT_OPTIONS)
    world_map.select(fill_in_fields, world_map, [lat, lon], **EVENT_OPTIONS)
    pin = [lat, lon, world_map]
    for field in (lat, lon):  # without the server, whose late answer would reopen a closed map
        field.change(None, pin, world_map, js=static_file("typed_pin.js"), **EVENT_OPTIONS)
    submit.click(controller.submit, [game, bundle, lat, lon], outputs, **EVENT_OPTIONS)
