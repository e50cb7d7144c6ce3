"""Answers as text: the terminal output, sentences, distances and probabilities."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from geoloc.guess import Exif, Guess
from geoloc.output.accounts import account_lines


def render(guess: Guess) -> RenderableType:
    """Return the terminal output for one photo: sentences, the candidates, evidence and EXIF."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("#", "place", "lat", "lon", "within 25 km"):
        table.add_column(name, justify="left" if name == "place" else "right", no_wrap=True)
    table.columns[1].overflow = "ellipsis"
    for rank, candidate in enumerate(guess.candidates, start=1):
        table.add_row(
            str(rank),
            str(candidate.place),
            f"{candidate.lat:.4f}",
            f"{candidate.lon:.4f}",
            percent(candidate.probability),
        )
    said = [sentence(guess), *filter(None, [best_guess(guess)])]
    lines: list[RenderableType] = [Text(guess.photo, style="bold"), *map(Text, said), table]
    if known := known_line(guess):
        lines.append(Text(known))
    if guess.evidence.attributes:
        lines.append(Text(f"attributes: {_attributes(guess)}"))
    note = exif_note(guess.exif, guess.exif_distance_km)
    if note:
        lines.append(Text(note))
    lines += map(Text, account_lines(guess))
    return Group(*lines, Text())


def sentence(guess: Guess) -> str:
    """Return what the user stated and what the answer claims, with its 80 % radius."""
    within = f"within {km(guess.radius_80_km)} of the best guess"
    radius = f"8 of 10 photos like this lie {within}"
    given = f"{stated(guess)}, as given" if guess.within else ""
    if guess.contradictory:
        claim = f"{contradiction(guess)}: {radius}."
    elif guess.confidence != "not sure":
        claim = f"Sure of the {guess.confidence}: {claimed_place(guess)}; {radius}."
    elif given:
        given, claim = "", f"{given}; not sure where in it: {radius}."
    else:
        claim = f"Not sure: {radius}."
    return " ".join(filter(None, [given and f"{given}.", claim, uncalibrated(guess)]))


def stated(guess: Guess) -> str:
    """Return the constraint that the user gave, as "In Peru"; "" without one."""
    if not guess.within:
        return ""
    circle = guess.within.startswith("within ")
    return f"W{guess.within[1:]}" if circle else f"In {guess.within}"


def contradiction(guess: Guess) -> str:
    """Return that photos of one place seem to show several; "" if they do not."""
    if not guess.contradictory:
        return ""
    return (
        f"These {len(guess.photos)} photos seem to show different places (fewer than one set in"
        " twenty of one place agrees so little); answer and radius are those for one of them"
    )


def uncalibrated(guess: Guess) -> str:
    """Return that radii and probabilities are not calibrated; "" if they are."""
    if guess.calibrated:
        return ""
    return "Radii and probabilities are not calibrated for this kind of question."


def best_guess(guess: Guess) -> str:
    """Return the answer as a line of text if it is none of the candidates, else ""."""
    if guess.is_first_place:
        return ""
    return (
        f"Best single guess: {guess.lat:.4f}, {guess.lon:.4f}, {guess.place} (chosen for the"
        f" smallest expected loss; {percent(guess.probability)} within 25 km)."
    )


def _attributes(guess: Guess) -> str:
    return ", ".join(
        f"{a.name} {a.value}" + (f" ({percent(a.probability)})" if a.probability else "")
        for a in guess.evidence.attributes
    )


def known_line(guess: Guess) -> str:
    """Return which known photo shows what this one does, with its credits; "" for none."""
    known = guess.copy_of or guess.frame_of
    if known is None:
        return ""
    credit = _joined(known.source, known.licence, known.author) or "source unknown"
    shown = "A copy of" if guess.copy_of else "The same scene as"
    return f"{shown} a known photo: {credit}"


def claimed_place(guess: Guess) -> str:
    """Return the place to the level that the answer claims; "" if it is not sure."""
    place = guess.place
    names = {
        "city": str(place),
        "region": _joined(place.region, place.country),
        "country": place.country,
        "not sure": "",
    }
    return names[guess.confidence]


def exif_note(exif: Exif, distance_km: float | None) -> str:
    """Return position and date from the file's EXIF; "" if it has neither."""
    when = f"taken {exif.taken_at.replace('T', ' ')}" if exif.taken_at else ""
    if distance_km is None:
        return f"EXIF: {when}" if when else ""
    # measured between two points: not rounded like an estimate
    apart = f"{distance_km:,.1f} km" if distance_km < 10.0 else f"{distance_km:,.0f} km"
    where = f"{exif.lat:.5f}, {exif.lon:.5f}, {apart} from the best guess (not used)"
    return f"EXIF: {_joined(where, when)}"


def km(distance: float) -> str:
    """Return a distance in km as text with two or three significant figures."""
    if distance < 1.0:
        return f"{distance * 1000:.0f} m"
    if distance < 10.0:
        return f"{distance:.1f} km"
    step = 10 ** max(len(str(int(distance))) - 2, 0)
    return f"{round(distance / step) * step:,.0f} km"


def percent(share: float) -> str:
    """Return a probability in percent, never as 0 % or 100 %."""
    if share < 0.001:
        return "< 0.1 %"
    return "> 99 %" if share > 0.99 else f"{100 * share:.1f} %"


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)
