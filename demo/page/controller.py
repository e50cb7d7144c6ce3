"""What happens when a visitor does something: from an event to what the page then shows."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from demo.page import explanation, pictures, view
from demo.page import map as worldmap
from demo.page.session import Coarse, Session, ask, look
from geoloc.belief.constraints import ConstraintError
from geoloc.errors import PhotoError
from geoloc.geolocator import Geolocator
from geoloc.guess import Guess
from geoloc.output import formats
from geoloc.photos import decode

MOST_PHOTOS = 50

Form = Callable[[], str | None]
"""Reads what the visitor knows; raises ConstraintError."""

Shown = dict[str, Any]
"""New values by the name of what shows them; see `locate_tab`."""

EXPORTS: dict[str, tuple[str, Callable[[Sequence[Guess]], str]]] = {
    "JSON": ("json", lambda guesses: f"[{','.join(map(formats.to_json, guesses))}]\n"),
    "CSV": ("csv", formats.to_csv),
    "GeoJSON": (
        "geojson",
        lambda guesses: json.dumps(formats.to_geojson(guesses), ensure_ascii=False),
    ),
    "KML": ("kml", formats.to_kml),
}
"""Ending and text of each kind of file an answer can be taken home as."""


class Desk:
    """Answers the visitors of one page."""

    def __init__(self, geolocators: Mapping[str, Geolocator], coarse: Coarse) -> None:
        """Take what `demo.page.app.build` is given."""
        self._geolocators, self._coarse = geolocators, coarse
        self._maps: dict[str, bool] = {}  # whether a bundle's encoder has attribution maps

    def look(self, paths: Sequence[Path], bundle: str, together: bool, form: Form) -> Shown:
        """Look at photos and answer them; what is wrong with the form is told, and left out."""
        session = look(self._geolocators[bundle], bundle, paths[:MOST_PHOTOS])
        notice = ""
        if len(paths) > MOST_PHOTOS:
            notice = f"Only the first {MOST_PHOTOS} of {len(paths)} photos were looked at."
        try:
            return self._asked(session, together, form()) | {"notice": notice}
        except ConstraintError as error:
            return self._asked(session, together, None) | {"notice": str(error)}

    def again(self, session: Session, together: bool, form: Form) -> Shown:
        """Answer the same photos with what the visitor knows, without looking at them again."""
        try:
            return self._asked(session, together, form()) | {"notice": ""}
        except ConstraintError as error:
            return {"notice": str(error)}

    def differs(self, session: Session, form: Form) -> bool:
        """Whether the form says something else than when the session was asked."""
        try:
            return form() != session.within
        except ConstraintError:
            return False

    def choose(self, session: Session, index: int) -> Shown:
        """Show another of the photos."""
        return self._shown(replace(session, shown=index % len(session.seen)))

    def explain(self, session: Session) -> Shown:
        """What takes longer than the answer: maps of the Earth, and the attribution map."""
        answer = session.answer(session.shown)
        if isinstance(answer, PhotoError):
            return {"attributes": "", "heat": ""}
        return {"attributes": explanation.attributes(answer), "heat": self._heat(session)}

    def save(self, session: Session, kind: str) -> Shown:
        """All answers as one file."""
        ending, write = EXPORTS[kind]
        return _file(f"places.{ending}", write(session.guesses).encode())

    def clean(self, session: Session) -> Shown:
        """The photo shown, without what its file says.

        Raises:
            PhotoError: it has been deleted, or cannot be read.
        """
        path = session.seen[session.shown].path
        with path.open("rb") as file:
            return _file(f"{path.stem}-clean{path.suffix}", decode.strip(file))

    def _heat(self, session: Session) -> str:
        """The attribution map of the photo shown; "" where the encoder has none."""
        if session.together or not self._maps.get(session.bundle, True):
            return ""
        geolocator, path = self._geolocators[session.bundle], session.seen[session.shown].path
        pixels = geolocator.encoder.spec.preprocessing
        try:
            patches = geolocator.attribution(path)
            image = decode.load(path, min_side=pixels.min_side).image
        except PhotoError:  # its file has been deleted meanwhile
            return ""
        self._maps[session.bundle] = patches is not None
        if patches is None:
            return ""
        return explanation.heat(pictures.data_uri(pictures.heat(image, pixels, patches)))

    def _asked(self, session: Session, together: bool, within: str | None) -> Shown:
        geolocator = self._geolocators[session.bundle]
        return self._shown(ask(geolocator, session, together, within, self._coarse))

    def _shown(self, session: Session) -> Shown:
        answer = session.answer(session.shown)
        common = {
            "session": session,
            "strip": view.strip(session),
            "picture": view.picture(session),
            "several": len(session.photos) > 1,
        }
        if isinstance(answer, PhotoError):
            return common | {"answer": view.unreadable(answer)}
        figure = worldmap.map_figure(answer, self._geolocators[session.bundle].cells)
        return common | {
            "answer": view.headline(answer),
            "world": figure,
            "window": list(figure.layout.meta),
            "places": view.places(answer),
            "neighbours": explanation.neighbours(answer),
            "exif": view.exif_panel(answer.exif, answer.exif_distance_km),
        }


def _file(name: str, content: bytes) -> Shown:
    """What save.js makes a download of; the mark makes the same file twice two events."""
    text = base64.b64encode(content).decode("ascii")
    return {"name": name, "base64": text, "mark": secrets.token_hex(4)}
