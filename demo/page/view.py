"""A guess as a person reads it: headline, table of places, what the file says. Pure functions.

All of them return HTML; whatever comes from a file or a bundle is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from demo.page.session import Session
from geoloc.errors import PhotoError
from geoloc.guess import Candidate, Exif, Guess
from geoloc.output import text as report
from geoloc.photos.exif import gps_position

SEPARATE, ONE_PLACE = "Separate photos", "One place"
"""What several photos show, as the visitor says."""

STEPS = ("not sure", "country", "region", "city")
"""How finely an answer may be claimed, coarse to fine."""


def headline(guess: Guess) -> str:
    """What is believed, in one honest sentence under a headline."""
    claimed = report.claimed_place(guess)
    title = escape(claimed) if claimed else "Not sure where this is"
    lines = [report.sentence(guess)]
    if not claimed:
        first = guess.candidates[0]
        lines.insert(0, f"The best of its guesses: {first.place}.")
    if guess.photos > 1:
        lines.append(f"One answer for {guess.photos} photos.")
    if guess.within:
        lines.append(f"Known beforehand: {guess.within}.")
    told = "".join(f"<p>{escape(line)}</p>" for line in lines)
    return f'<div class="answer"><h2>{title}</h2>{_scale(guess)}{told}</div>'


def _scale(guess: Guess) -> str:
    """How much is claimed, as a row of steps; the sentence says the same in words."""
    reached = STEPS.index(guess.confidence)
    steps = "".join(
        f'<li class="{"on" if step <= reached else ""}"'
        f"{' aria-current=true' if step == reached else ''}>{name}</li>"
        for step, name in enumerate(STEPS)
    )
    return f'<ol class="scale" aria-label="How sure it is">{steps}</ol>'


def unreadable(error: PhotoError) -> str:
    """Why a photo has no answer."""
    return (
        '<div class="answer"><h2>This photo cannot be read</h2>'
        f'<p role="alert">{escape(str(error))}</p></div>'
    )


def looking(count: int) -> str:
    """What is shown while photos are encoded."""
    what = "the photo" if count == 1 else f"{count} photos"
    return f'<div class="answer looking"><h2>Looking at {what} …</h2><p></p></div>'


def notice(text: str) -> str:
    """A problem that is the visitor's to solve; "" shows nothing."""
    return f'<p class="notice" role="alert">{escape(text)}</p>' if text else ""


def places(guess: Guess) -> str:
    """The table of candidates, best first, with what can be done with each."""
    rows = "".join(
        f'<tr><td class="rank">{rank}</td><th scope="row">{escape(str(candidate.place))}</th>'
        f'<td data-label="Coordinates">{_position(candidate)}</td>'
        f'<td data-label="Probability">{_bar(candidate.probability)}</td>'
        f'<td data-label="Radius">{report.km(guess.radius_km) if rank == 1 else ""}</td>'
        f'<td data-label="Open in">{_links(candidate)}</td></tr>'
        for rank, candidate in enumerate(guess.candidates, start=1)
    )
    heads = "".join(
        f'<th scope="col">{name}</th>'
        for name in ("#", "Place", "Coordinates", "Probability", "Radius", "Open in")
    )
    return (
        '<table class="places"><caption>Ranked places. The radius holds the truth for 8 of 10 '
        f"photos like this one.</caption><thead><tr>{heads}</tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )


def _position(candidate: Candidate) -> str:
    text = f"{candidate.lat:.4f}, {candidate.lon:.4f}"
    label = escape(f"Copy the coordinates of {candidate.place}")
    return (
        f'<span class="position">{text}</span>'
        f'<button type="button" data-copy="{text}" aria-label="{label}">Copy</button>'
    )


def _bar(share: float) -> str:
    width = f"{100 * min(max(share, 0.0), 1.0):.1f}%"
    return f'<span class="bar"><i style="width:{width}"></i></span>{report.percent(share)}'


def _links(candidate: Candidate) -> str:
    place = escape(str(candidate.place))
    return " ".join(
        f'<a href="{escape(address)}" target="_blank" rel="noopener noreferrer"'
        f' aria-label="{place} in {name}">{name}</a>'
        for name, address in links(candidate.lat, candidate.lon).items()
    )


def links(lat: float, lon: float) -> dict[str, str]:
    """Addresses of other maps, by name; nothing is fetched until somebody follows one."""
    at = f"{lat:.5f},{lon:.5f}"
    return {
        "OpenStreetMap": (
            f"https://www.openstreetmap.org/?mlat={lat:.5f}&mlon={lon:.5f}#map=12/{lat:.5f}/{lon:.5f}"
        ),
        "Google Maps": f"https://www.google.com/maps/search/?api=1&query={quote(at, safe=',')}",
        "Map app": f"geo:{at}",
    }


def exif_panel(exif: Exif, distance_km: float | None) -> str:
    """What the file says itself, beside the guess."""
    found = gps_position(exif) is not None
    lines = [
        "<strong>This file holds a GPS position.</strong> Whoever gets the file can read it. "
        "It was not used for the answer."
        if found
        else "<strong>No GPS position in this file.</strong>"
    ]
    note = report.exif_note(exif, distance_km)
    if note:
        lines.append(escape(f"{note}."))
    body = "".join(f"<p>{line}</p>" for line in lines)
    return f'<section class="card"><h3>What the file says</h3>{body}</section>'


def strip(session: Session) -> str:
    """All uploads as small pictures to choose from; "" for a single readable one."""
    if len(session.seen) < 2:
        return ""
    tiles = "".join(_tile(session, index) for index in range(len(session.seen)))
    return f'<div class="strip" role="group" aria-label="Your photos">{tiles}</div>'


def _tile(session: Session, index: int) -> str:
    item, answer = session.seen[index], session.answer(index)
    name = escape(item.path.name)
    said = (
        "cannot be read"
        if isinstance(answer, PhotoError)
        else report.claimed_place(answer) or f"not sure: {answer.place}"
    )
    picture = f'<img src="{item.thumbnail}" alt="">' if item.thumbnail else "<i>?</i>"
    chosen = "true" if index == session.shown else "false"
    return (
        f'<button type="button" data-index="{index}" aria-pressed="{chosen}">{picture}'
        f"<b>{name}</b><small>{escape(said)}</small></button>"
    )


def picture(session: Session) -> str:
    """The photo that is shown; "" if it could not be read."""
    item = session.seen[session.shown]
    if not item.thumbnail:
        return ""
    return f'<img class="photo" src="{item.thumbnail}" alt="Your photo {escape(item.path.name)}">'


def examples(addresses: Sequence[str]) -> str:
    """Photographs to try, as buttons."""
    tiles = "".join(
        f'<button type="button" data-index="{i}" aria-label="Try example photograph {i + 1}">'
        f'<img src="{address}" alt=""></button>'
        for i, address in enumerate(addresses)
    )
    return f'<div class="examples">{tiles}</div>'
