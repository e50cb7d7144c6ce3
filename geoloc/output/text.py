"""Answers as text: the terminal output, sentences, distances and probabilities."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from geoloc.belief.fusion import CONTRADICTION
from geoloc.guess import Exif, Guess


def render(guess: Guess) -> RenderableType:
    """Return the terminal output for one photo: a sentence, the candidates, evidence and EXIF."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("#", "place", "lat", "lon", "belief", "80 % radius"):
        table.add_column(name, justify="left" if name == "place" else "right", no_wrap=True)
    table.columns[1].overflow = "ellipsis"
    for rank, candidate in enumerate(guess.candidates, start=1):
        table.add_row(
            str(rank),
            str(candidate.place),
            f"{candidate.lat:.4f}",
            f"{candidate.lon:.4f}",
            percent(candidate.probability),
            km(guess.radius_80_km) if rank == 1 else "",
        )
    lines: list[RenderableType] = [Text(guess.photo, style="bold"), Text(sentence(guess)), table]
    lines += [Text(line) for line in evidence_lines(guess)]
    note = exif_note(guess.exif, guess.exif_distance_km)
    if note:
        lines.append(Text(note))
    return Group(*lines, Text())


def sentence(guess: Guess) -> str:
    """Return what the answer claims, with its 80 % radius, in one sentence."""
    radius = f"8 of 10 photos like this lie within {km(guess.radius_80_km)} of the first place"
    if len(guess.photos) > 1 and guess.agreement < CONTRADICTION:
        return (
            f"These {len(guess.photos)} photos contradict each other: they may not show one place."
        )
    if guess.confidence == "not sure":
        return f"Not sure: {radius}."
    return f"Sure of the {guess.confidence}: {claimed_place(guess)}; {radius}."


def evidence_lines(guess: Guess) -> list[str]:
    """Return a line of predicted attributes and a line with the constraint, where there are any."""
    attributes = [
        f"{a.name} {a.value}" + (f" ({percent(a.probability)})" if a.probability else "")
        for a in guess.evidence.attributes
    ]
    lines = [copy_line(guess)] if guess.copy_of else []
    lines += [f"attributes: {', '.join(attributes)}"] if attributes else []
    return [*lines, f"constrained to: {guess.within}"] if guess.within else lines


def copy_line(guess: Guess) -> str:
    """Return which known photo this one is a copy of, with its credits; "" for none."""
    known = guess.copy_of
    if known is None:
        return ""
    credit = _joined(known.source, known.licence, known.author)
    return f"A copy of a photo this bundle knows: {credit or 'source unknown'}"


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
    where = f"{exif.lat:.5f}, {exif.lon:.5f}, {apart} from the first place (not used)"
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
