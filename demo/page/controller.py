"""Actions of a visitor: from an event to new values for the page. Independent of gradio."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from demo.page import explanation, rendering, view
from demo.page.session import Asked, BlurLocation, Session, encode_uploads, rank
from geoloc.errors import GeolocError, PhotoError
from geoloc.geolocator import Geolocator
from geoloc.guess import Guess
from geoloc.output import formats
from geoloc.output.map.shown import Pin, file_pin, map_data, photo_pin, searched
from geoloc.output.similar import with_thumbnails
from geoloc.photos import decode
from geoloc.photos.exif import gps_position

MAX_PHOTOS = 50

DELETED = "The server keeps a photo for some minutes only. Choose it again for the other model."

UNREAD = "The server keeps a photo for some minutes only. Choose it again to have its text read."

Form = Callable[[], Asked]
"""Reads the form; raises GeolocError if it is incomplete or invalid."""

Updates = dict[str, Any]
"""New values by component name; see `locate_tab`."""

EXPORTS: dict[str, tuple[str, Callable[[Sequence[Guess]], str]]] = {
    "JSON": ("json", lambda guesses: f"[{','.join(map(formats.to_json, guesses))}]\n"),
    "CSV": ("csv", formats.to_csv),
    "GeoJSON": (
        "geojson",
        lambda guesses: json.dumps(formats.to_geojson(guesses), ensure_ascii=False),
    ),
    "KML": ("kml", formats.to_kml),
}
"""File ending and writer of each export format."""


class Controller:
    """Handles the actions of all visitors of one page."""

    def __init__(self, geolocators: Mapping[str, Geolocator], blur_location: BlurLocation) -> None:
        """Take the arguments of `demo.page.app.build`."""
        self._geolocators, self._blur_location = geolocators, blur_location

    def locate(
        self, paths: Sequence[Path], bundle: str, together: bool, form: Form, run: str = ""
    ) -> Updates:
        """Encode and locate photos. If the form is invalid, say so and ignore it.

        Args:
            paths: the photos, at least one.
            bundle: name of the bundle that answers.
            together: whether they show the same place.
            form: reads the form.
            run: name of these uploads in the browser of the visitor; see `RUNS`.

        Raises:
            Cancelled: the run was cancelled.
        """
        session = encode_uploads(
            self._geolocators[bundle],
            bundle,
            paths[:MAX_PHOTOS],
            run,
        )
        notice = ""
        if len(paths) > MAX_PHOTOS:
            notice = f"Only the first {MAX_PHOTOS} of {len(paths)} photos were analysed."
        return self._answered(session, together, form, notice)

    def switch(self, session: Session, bundle: str, together: bool, form: Form) -> Updates:
        """Answer the same photos with another bundle.

        Their embeddings are used again if both bundles have the same encoder. Else the photos are
        encoded again; if they have been deleted, the answer stays, and the visitor is told.
        """
        before, after = (self._geolocators[name].encoder.spec for name in (session.bundle, bundle))
        if before.fingerprint == after.fingerprint:
            return self._answered(replace(session, bundle=bundle), together, form)
        paths = [upload.path for upload in session.uploads]
        if not all(path.is_file() for path in paths):
            return {"notice": DELETED}
        return self.locate(paths, bundle, together, form, session.run)

    def rerank(self, session: Session, together: bool, form: Form) -> Updates:
        """Rank the same photos with the constraint of the form, without encoding them again."""
        try:
            asked = form()
            return self._ranked(session, together, asked) | {"notice": _unread(session, asked)}
        except GeolocError as error:
            return {"notice": str(error)}

    def form_changed(self, session: Session, form: Form) -> bool:
        """Return whether the form is valid and says something else than the session."""
        try:
            return form() != Asked(session.within, session.evidence)
        except GeolocError:
            return False

    def select(self, session: Session, index: int) -> Updates:
        """Show another of the photos."""
        return self._updates(replace(session, selected=index % len(session.uploads)))

    def explain(self, session: Session) -> Updates:
        """Return the slow parts of an answer: facts about the place and the attribution."""
        answer = session.answer(session.selected)
        if isinstance(answer, PhotoError):
            return {"attributes": "", "attribution": ""}
        return {
            "attributes": explanation.attributes(answer),
            "attribution": self._attribution(session),
        }

    def export(self, session: Session, kind: str) -> Updates:
        """Return all answers as a file in one of the EXPORTS formats."""
        ending, write = EXPORTS[kind]
        return _download(f"places.{ending}", write(session.guesses).encode())

    def strip_metadata(self, session: Session) -> Updates:
        """Return the selected photo as a file without metadata.

        Raises:
            PhotoError: the photo cannot be read.
            OSError: the upload has been deleted.
        """
        path = session.uploads[session.selected].path
        with path.open("rb") as file:
            return _download(f"{path.stem}-clean{path.suffix}", decode.strip(file))

    def _attribution(self, session: Session) -> str:
        """Return the attribution card of the selected photo; "" if there is no map of it."""
        if session.together:
            return ""
        geolocator = self._geolocators[session.bundle]
        path = session.uploads[session.selected].path
        preprocessing = geolocator.encoder.spec.preprocessing
        try:
            patches = geolocator.attribution(path, session.within)
            if patches is None:
                return ""
            image = geolocator.load(path, min_side=preprocessing.min_side).image
        except PhotoError:  # the upload has been deleted in the meantime
            return ""
        overlay = rendering.attribution_overlay(image, preprocessing, patches)
        return explanation.attribution(rendering.image_uri(overlay))

    def _answered(self, session: Session, together: bool, form: Form, notice: str = "") -> Updates:
        """Rank photos. If the form is invalid, say so and ignore it."""
        try:
            return self._ranked(session, together, form()) | {"notice": notice}
        except GeolocError as error:
            return self._ranked(session, together, Asked()) | {"notice": str(error)}

    def _ranked(self, session: Session, together: bool, asked: Asked) -> Updates:
        geolocator = self._geolocators[session.bundle]
        return self._updates(rank(geolocator, session, together, asked, self._blur_location))

    def _updates(self, session: Session) -> Updates:
        answer = session.answer(session.selected)
        common = {
            "session": session,
            "strip": view.strip(session),
            "photo": view.photo(session),
            "several": len(session.photos) > 1,
        }
        if isinstance(answer, PhotoError):
            return common | {"answer": view.unreadable(answer)}
        stored = self._geolocators[session.bundle].bundle.thumbnails
        shown = self._map(session, answer)
        unread = session.unread if session.together else ()
        title, lines = view.headline_texts(answer, bool(shown["circle"]), unread)
        return common | {
            "answer": view.headline(answer, title, lines),
            "world": shown,
            "keep": view.kept(session, answer, title, lines, shown),
            "places": view.places(answer),
            "neighbours": explanation.neighbours(with_thumbnails(stored, answer)),
            "exif": view.exif_panel(answer.exif, answer.exif_distance_km),
            "witnesses": explanation.witnesses(answer),
        }

    def _map(self, session: Session, answer: Guess) -> dict[str, Any]:
        """Return the data of the map: the answer, the other photos, and where was searched."""
        data = map_data(answer, self._geolocators[session.bundle].cells, _other_pins(session))
        return data | {"searched": searched(session.within)}


def _other_pins(session: Session) -> list[Pin]:
    """Return a pin for each photo beside the one that is shown.

    Photos of one place have the same answer: pinned are the positions in their files. That of the
    first is in the answer.
    """
    if session.together:
        named = [(photo.name, gps_position(photo.exif)) for photo in session.photos[1:]]
        return [file_pin(at, name) for name, at in named if at is not None]
    answers = [(index, session.answer(index)) for index in range(len(session.uploads))]
    return [
        photo_pin(index, answer)
        for index, answer in answers
        if index != session.selected and isinstance(answer, Guess)
    ]


def _unread(session: Session, asked: Asked) -> str:
    """Return a notice if text is to be read in a photo that has been deleted, "" otherwise."""
    evidence = asked.evidence
    is_new = evidence.reads_text and session.text_read != evidence.use_overlays
    return UNREAD if is_new and not all(u.path.is_file() for u in session.uploads) else ""


def _download(name: str, content: bytes) -> Updates:
    """Return a file for save.js. The random mark makes repeated downloads different values."""
    text = base64.b64encode(content).decode("ascii")
    return {"name": name, "base64": text, "mark": secrets.token_hex(4)}
