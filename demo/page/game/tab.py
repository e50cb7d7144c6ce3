"""The tab "Play": its components and events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from demo.map.routes import version
from demo.page import constraint_form
from demo.page.events import Pins, part
from demo.page.game import photos as photo_table
from demo.page.game import rounds, view
from demo.page.game.photos import LocatedPhoto
from demo.page.game.rounds import Game, LatLon
from demo.page.locate import chooser
from demo.page.locate_events import EVENT_OPTIONS
from demo.page.rendering import image_uri, render, static_file
from demo.page.session import BlurLocation
from demo.page.view import notice
from geoloc.errors import PhotoError
from geoloc.geolocator import Geolocator
from geoloc.guess import Guess
from geoloc.photos import decode

PHOTO_PX = 800

LOST = "The server keeps a game for some minutes only, and no longer has this one. Start it again."
ALL_KNOWN = (
    "The model was made from these photos, or none can be read. Choose other photos, or a model."
)

POINTS, STREAK = "Five rounds for points", "Countries until the first wrong one"
"""The choices of the game's mode."""


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
        self.photos = photo_table.read(game_photos or photo_table.EXAMPLES)

    def start(self, seed: float | None, mode: str, bundle: str) -> list[Any]:
        """Start a game and return the first round."""
        game = rounds.new_game(self.photos, int(seed or 0), mode == STREAK)
        game = self._with_fair_photo(game, bundle)
        return self.show_round(game) if game.photo else _with_task(notice(ALL_KNOWN))

    def show_round(self, game: Game) -> list[Any]:
        """Return new values of the components for the current round."""
        if game.photo is None:
            return _with_task(notice(LOST))
        return [
            game,
            _photo(game.photo.file),
            view.task(game),
            view.open_map(),
            view.scores(game),
            gr.Button(visible=True),
            gr.Button(visible=False),
            gr.Button(visible=False),
            gr.Row(visible=True),
        ]

    def submit(self, game: Game, bundle: str, lat: str, lon: str) -> list[Any]:
        """Compare the player's guess with the bundle's, and return the result.

        The bundle answers the photo of the next round already, which shows whether there is one.
        """
        guess = _latlon(lat, lon)
        if game.photo is None or game.answer is None:
            return _with_task(notice(LOST))
        if guess is None:
            problem = "Click the map first, or enter latitude and longitude."
            return _with_task(view.task(game, problem))
        after = game.with_guesses(guess, (game.answer.lat, game.answer.lon))
        after = self._with_fair_photo(after, bundle)
        ended = after.photo is None
        return [
            after,
            gr.skip(),
            view.result(after),
            view.closed_map(after.rounds if ended else after.rounds[-1:]),
            view.scores(after),
            gr.Button(visible=False),
            gr.Button(visible=not ended),
            gr.Button(visible=ended),
            gr.Row(visible=False),
        ]

    def show_again(self, game: Game, index: int) -> list[Any]:
        """Return photo, result and map of a finished round; beyond the last, the map of all."""
        if not game.rounds:
            return [gr.skip(), notice(LOST), gr.skip()]
        if not 0 <= index < len(game.rounds):
            return [gr.skip(), view.result(game), view.closed_map(game.rounds)]
        finished = game.rounds[index]
        photo = _photo(finished.photo.file)
        return [photo, view.result(game, index), view.closed_map([finished])]

    def _with_fair_photo(self, game: Game, bundle: str) -> Game:
        """Return the game with the model's answer, for the first photo with a fair one.

        That is a photo that it was not made from, or one with a held-out answer.
        """
        while game.photo is not None:
            answer = self._fair_answer(game.photo, bundle)
            if answer is not None:
                return replace(game, answer=self._blur_location(answer))
            game = game.without_photo()
        return game

    def _fair_answer(self, photo: LocatedPhoto, bundle: str) -> Guess | None:
        """Return the answer to a photo; None if the model knows it, or it cannot be read."""
        try:
            answer = self._geolocators[bundle].locate(photo.file)
        except PhotoError:
            return None
        if photo.answer is not None:
            lat, lon = photo.answer
            return replace(answer, lat=lat, lon=lon)
        return None if answer.copy_of or answer.frame_of else answer


def _photo(file: Path) -> str:
    image = decode.load(file, min_side=PHOTO_PX // 2).image
    return view.photo(image_uri(image, PHOTO_PX))


def _with_task(task: str) -> list[Any]:
    """Return new values of the components that change the task alone."""
    return [*[gr.skip()] * 2, task, *[gr.skip()] * 6]


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
        game_photos: folder or table of photos; default: the examples.
    """
    controller = GameController(geolocators, blur_location, game_photos)
    count = len(controller.photos)
    gr.HTML(render("game/intro.html", count=count, is_own=game_photos is not None))
    components = {"game": gr.State(Game(())), "bundle": bundle}
    with gr.Row(elem_classes=["start", "game-start"]):
        components["seed"] = gr.Number(
            1, label="Game number", precision=0, minimum=0, min_width=120
        )
        components["mode"] = gr.Radio([POINTS, STREAK], value=POINTS, label="You play")
        components["start"] = gr.Button("Start the game", variant="primary", min_width=160)
    with gr.Row(visible=False) as board:
        components |= _board()
    _connect(components | {"board": board}, controller)


def _board() -> dict[str, Any]:
    """Add photo, map, fields, buttons and scores."""
    parts: dict[str, Any] = {}
    with gr.Column(scale=2, min_width=300):
        parts["task"] = gr.HTML(
            html_template="${value}", js_on_load=static_file("task.js"),
            elem_classes=["live", "game-task"],
        )  # fmt: skip
        parts["photo"] = gr.HTML()
    with gr.Column(scale=3, min_width=300):
        parts["map"] = part(
            Pins,
            html_template=render("game/map.html", files=f"map/{version()}/"),
            js_on_load=static_file("game.js"),
            elem_id="game-map",
        )
        with gr.Row() as parts["fields"]:
            for name, label, example in (
                ("lat", "Latitude", "48.86"),
                ("lon", "Longitude", "2.35"),
            ):
                parts[name] = gr.Textbox(
                    label=label, placeholder=example, max_lines=1, min_width=100
                )
        parts["submit"] = gr.Button("This is my guess", variant="primary")
        parts["next"] = gr.Button("Next round", variant="primary", visible=False)
        parts["another"] = gr.Button("Next game", variant="primary", visible=False)
        with chooser() as parts["again"]:
            parts["scores"] = gr.HTML(js_on_load=static_file("copy.js"))
    return parts


def _connect(parts: dict[str, Any], controller: GameController) -> None:
    """Connect the components to the controller."""
    named = ("game", "photo", "task", "map", "scores", "submit", "next", "another", "fields")
    outputs = [parts[name] for name in named]
    game, bundle, lat, lon = (parts[name] for name in ("game", "bundle", "lat", "lon"))
    begin = [parts[name] for name in ("seed", "mode", "bundle")]
    clear_fields = (lambda: ("", ""), None, [lat, lon])

    def fill_in_fields(map_value: dict[str, Any]) -> tuple[str, str]:
        (pin,) = map_value["pins"]
        return f"{pin['lat']:.4f}", f"{pin['lon']:.4f}"

    counted = parts["another"].click(
        lambda seed: int(seed or 0) + 1, parts["seed"], parts["seed"], **EVENT_OPTIONS
    )
    for event in (parts["start"].click, counted.then):
        started = event(*clear_fields, **EVENT_OPTIONS)
        started = started.then(controller.start, begin, outputs, **EVENT_OPTIONS)
        started.then(lambda: gr.Row(visible=True), None, parts["board"], **EVENT_OPTIONS)
    cleared = parts["next"].click(*clear_fields, **EVENT_OPTIONS)
    cleared.then(controller.show_round, game, outputs, **EVENT_OPTIONS)
    parts["map"].select(fill_in_fields, parts["map"], [lat, lon], **EVENT_OPTIONS)
    pin = [lat, lon, parts["map"]]
    for field in (lat, lon):  # without the server, whose late answer would reopen a closed map
        field.change(None, pin, parts["map"], js=static_file("typed_pin.js"), **EVENT_OPTIONS)
    parts["submit"].click(controller.submit, [game, bundle, lat, lon], outputs, **EVENT_OPTIONS)
    shown = [parts[name] for name in ("photo", "task", "map")]
    parts["again"].select(controller.show_again, [game, parts["again"]], shown, **EVENT_OPTIONS)
