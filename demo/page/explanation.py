"""Why the answer is what it is: what else the photo tells, and which known photos it resembles."""

from __future__ import annotations

from html import escape
from urllib.parse import unquote, urlparse

from geocells.attributes import describe_earth
from geoloc.guess import Attribute, Guess, Neighbour
from geoloc.output import text


def attributes(guess: Guess) -> str:
    """Bars for what the photo tells of its place, and what is true at the answer."""
    told = guess.evidence.attributes
    read = "".join(map(_attribute, told))
    parts = [
        '<section class="card"><h3>What else the photo tells</h3>',
        f'<ul class="bars">{read}</ul>' if read else "<p>Nothing else.</p>",
    ]
    if not any(item.name == "climate" for item in told):  # the bundle has no attribute heads
        facts = "".join(
            f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>"
            for name, value in _true_at(guess).items()
        )
        parts.append(
            "<h4>True at the first place</h4><p>From maps, not read from the photo.</p>"
            f'<dl class="facts">{facts}</dl>'
        )
    return "".join(parts) + "</section>"


def _attribute(item: Attribute) -> str:
    bar = ""
    if item.probability is not None:
        width = f"{100 * item.probability:.0f}%"
        bar = f'<span class="bar"><i style="width:{width}"></i></span>'
    chance = text.percent(item.probability) if item.probability is not None else ""
    return (
        f"<li><span>{escape(item.name)}</span><b>{escape(item.value)}</b>{bar}"
        f"<span>{chance}</span></li>"
    )


def _true_at(guess: Guess) -> dict[str, str]:
    """Facts from the embedded maps, by name; those that are unknown there are left out."""
    (row,) = describe_earth([(guess.lat, guess.lon)]).to_pylist()
    facts = {
        "Climate (Köppen)": row["koppen"],
        "Mean temperature": f"{row['temperature_c']:.0f} °C",
        "Rain": f"{row['rain_mm']:.0f} mm a year",
        "Elevation": f"{row['elevation_m']:.0f} m" if row["land"] else "at sea",
        "People nearby": f"{row['population_per_km2']:.0f} per km²",
        "Driving side": row["driving_side"],
        "Time zone": row["time_zone"],
    }
    return {name: value for name, value in facts.items() if value}


def neighbours(guess: Guess) -> str:
    """The most similar known photos, with what their licences ask to show."""
    if not guess.neighbours:
        return ""
    rows = "".join(map(_neighbour, guess.neighbours))
    return (
        '<section class="card"><h3>Most similar known photos</h3>'
        "<p>The bundle holds no pictures, only what the encoder saw in them.</p>"
        f'<ol class="known">{rows}</ol></section>'
    )


def _neighbour(known: Neighbour) -> str:
    place = f"{known.lat:.4f}, {known.lon:.4f}"
    host = "" if "://" in known.source else known.source.split("@")[0]
    credit = ", ".join(filter(None, (known.author, known.licence, host))) or "author unknown"
    return (
        f"<li>{_source(known.source)}<small>{escape(credit)}</small>"
        f"<small>{place}, similarity {known.similarity:.2f}</small></li>"
    )


def _source(source: str) -> str:
    """Its file's name, which says more than its host, as a link where it is a web address."""
    name = source.rsplit("/", 1)[-1].rsplit(":", 1)[-1].replace("_", " ")
    shown = escape(unquote(name) or source or "source unknown")
    if urlparse(source).scheme in ("http", "https"):
        address = escape(source)
        return f'<a href="{address}" target="_blank" rel="noopener noreferrer">{shown}</a>'
    return f'<span title="{escape(source)}">{shown}</span>'


def heat(address: str) -> str:
    """The attribution map; "" where the encoder has none."""
    if not address:
        return ""
    return (
        '<section class="card"><h3>Which parts speak for the answer</h3>'
        f'<img src="{address}" alt="The photo in grey; parts that speak for the answer are'
        ' orange, parts against it blue"><p>Orange speaks for the first place, blue against it.'
        "</p></section>"
    )
