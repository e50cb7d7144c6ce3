"""HTML of an answer: headline, candidate table, metadata, thumbnails. Pure functions.

All functions return HTML from the folder `templates`, which escapes file names and bundle data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from demo.page.rendering import render
from demo.page.session import Session
from geoloc.errors import PhotoError
from geoloc.guess import Candidate, Exif, Guess
from geoloc.output import accounts, text
from geoloc.photos.exif import gps_position

STEPS = ("country", "region", "city")
"""Levels of confidence, coarse to fine."""


def headline(guess: Guess, title: str, lines: Sequence[str]) -> str:
    """Return the claimed place, the confidence scale and sentences on the answer.

    Args:
        guess: the answer.
        title: see `headline_texts`.
        lines: see `headline_texts`.
    """
    reached = STEPS.index(guess.confidence) if guess.confidence in STEPS else -1
    return render("headline.html", title=title, steps=STEPS, reached=reached, lines=lines)


def headline_texts(
    guess: Guess, has_circle: bool, unread: Sequence[str] = ()
) -> tuple[str, list[str]]:
    """Return the title of an answer and its sentences.

    Args:
        guess: the answer.
        has_circle: whether the radius is a fair summary, and the map shows it.
        unread: names of photos that should count as well, and cannot be read.
    """
    claim = text.claimed_place(guess)
    radius = f"8 of 10 photos like this lie within {text.km(guess.radius_80_km)} of the best guess"
    if not has_circle:
        radius = "The map shades where 8 of 10 photos like this lie"
    best = "" if claim and guess.confidence == "city" else f"Best guess: {guess.place}."
    if not guess.is_first_place:
        best = f"Best guess: {guess.place}, which lies between the places that it may be."
    lines = [
        f"{problem}." if (problem := text.contradiction(guess)) else "",
        f"{text.stated(guess)}, as given." if guess.within else "",
        best,
        f"{radius}.",
        text.known_line(guess),
        f"One answer for {len(guess.photos)} photos." if len(guess.photos) > 1 else "",
        f"Left out, because it cannot be read: {', '.join(unread)}." if unread else "",
        text.uncalibrated(guess),
    ]
    return claim or text.stated(guess) or "Not sure where this is", list(filter(None, lines))


def kept(
    session: Session, guess: Guess, title: str, lines: Sequence[str], shown: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a link to the answer and the list of earlier answers hold: no photo, no metadata.

    Args:
        session: the visit.
        guess: the answer.
        title: of the answer.
        lines: of the answer.
        shown: the data of its map.
    """
    pins = [pin for pin in shown["pins"] if pin["kind"] in ("answer", "other")]
    return {
        "photo": session.uploads[session.selected].path.name,
        "title": title,
        "lines": list(lines),
        "lat": round(guess.lat, 5),
        "lon": round(guess.lon, 5),
        "map": {name: shown[name] for name in ("window", "regions", "circle")} | {"pins": pins},
    }


def unreadable(error: PhotoError) -> str:
    """Return the reason why a photo cannot be read."""
    return render("unreadable.html", error=str(error))


def progress(count: int) -> str:
    """Return the message shown while photos are encoded."""
    photos = "the photo" if count == 1 else f"{count} photos"
    return render("progress.html", photos=photos, count=count)


def notice(message: str) -> str:
    """Return a message about a problem that the visitor can solve; "" for no message."""
    return render("notice.html", message=message) if message else ""


def places(guess: Guess) -> str:
    """Return the table of candidates, most probable first, with copy buttons and map links."""
    candidates = [_candidate_row(candidate) for candidate in guess.candidates]
    return render("places.html", candidates=candidates, best=guess.is_first_place)


def _candidate_row(candidate: Candidate) -> dict[str, object]:
    return {
        "place": str(candidate.place),
        "coordinates": f"{candidate.lat:.4f}, {candidate.lon:.4f}",
        "share": min(max(candidate.probability, 0.0), 1.0),
        "probability": text.percent(candidate.probability),
        "links": map_links(candidate.lat, candidate.lon),
    }


def map_links(lat: float, lon: float) -> dict[str, str]:
    """Return links to external maps by name. Nothing is loaded until the visitor follows one."""
    at = f"{lat:.5f},{lon:.5f}"
    return {
        "OpenStreetMap": (
            f"https://www.openstreetmap.org/?mlat={lat:.5f}&mlon={lon:.5f}#map=12/{lat:.5f}/{lon:.5f}"
        ),
        "Google Maps": f"https://www.google.com/maps/search/?api=1&query={quote(at, safe=',')}",
        "Map app": f"geo:{at}",
    }


def exif_panel(exif: Exif, distance_km: float | None) -> str:
    """Return a card with GPS position and time from the file.

    Args:
        exif: metadata of the file.
        distance_km: from the answer to the GPS position; None if the file has none.
    """
    return render(
        "exif.html",
        has_position=gps_position(exif) is not None,
        note=text.exif_note(exif, distance_km),
    )


def strip(session: Session) -> str:
    """Return small images of all uploads as buttons; "" for a single upload."""
    if len(session.uploads) < 2:
        return ""
    tiles = [
        {
            "name": upload.path.name,
            "image": upload.tile,
            "selected": index == session.selected,
            "summary": _summary(session.answer(index)),
        }
        for index, upload in enumerate(session.uploads)
    ]
    return render("strip.html", tiles=tiles)


def _summary(answer: Guess | PhotoError) -> str:
    if isinstance(answer, PhotoError):
        return "cannot be read"
    return text.claimed_place(answer) or f"not sure: {answer.place}"


def photo(session: Session) -> str:
    """Return the selected photo with boxes around what was read; "" if it could not be read.

    Without an image of the session, photo.js shows the file that the browser has.
    """
    upload = session.uploads[session.selected]
    if isinstance(upload.photo, PhotoError):
        return ""
    return render(
        "photo.html",
        uri=upload.image,
        run=session.run,
        index=session.selected,
        alt=f"Your photo {upload.path.name}",
        boxes=_boxes(session),
    )


def _boxes(session: Session) -> list[dict[str, object]]:
    """Return the boxes of findings in the selected photo, in percent of its size."""
    if session.together or not session.guesses:
        return []
    answer = session.answer(session.selected)
    if isinstance(answer, PhotoError):
        return []
    boxes: list[dict[str, object]] = []
    for finding in (each for account in answer.witnesses for each in account.findings):
        if finding.box is not None:
            left, top, right, bottom = (100.0 * min(max(side, 0.0), 1.0) for side in finding.box)
            boxes.append(
                {
                    "title": accounts.finding_text(finding),
                    "left": left, "top": top, "width": right - left, "height": bottom - top,
                }
            )  # fmt: skip
    return boxes


def examples(uris: Sequence[str]) -> str:
    """Return example photos as buttons.

    Args:
        uris: data URIs of the photos.
    """
    return render("examples.html", uris=uris)
