"""HTML of the evidence behind an answer: attributes, similar gallery photos, attribution."""

from __future__ import annotations

from urllib.parse import unquote, urlparse

from demo.page.rendering import render
from geocells.attributes import describe_earth
from geoloc.guess import Attribute, Guess, Neighbour
from geoloc.output import accounts, text


def attributes(guess: Guess) -> str:
    """Return a card with the attributes estimated from the photo.

    If the bundle has no attribute heads, facts about the best guess are shown too.
    """
    estimated = guess.evidence.attributes
    has_heads = any(item.name == "climate" for item in estimated)
    return render(
        "attributes.html",
        attributes=[_attribute(item) for item in estimated],
        facts={} if has_heads else _facts(guess.lat, guess.lon),
    )


def witnesses(guess: Guess) -> str:
    """Return a card with what the file, signs and the sun said; "" if they said nothing."""
    if not guess.witnesses:
        return ""
    return render(
        "witnesses.html",
        witnesses=[
            {
                "title": accounts.TITLES.get(each.witness, each.witness),
                "effect": accounts.effect(each),
                "findings": each.findings,
            }
            for each in guess.witnesses
        ],
    )


def _attribute(item: Attribute) -> dict[str, object]:
    share = item.probability
    return {
        "name": item.name,
        "value": item.value,
        "share": share,
        "probability": "" if share is None else text.percent(share),
    }


def _facts(lat: float, lon: float) -> dict[str, str]:
    """Return facts about a place from the embedded map data, without the unknown ones."""
    (row,) = describe_earth([(lat, lon)]).to_pylist()
    facts = {
        "Climate (Köppen)": row["koppen"],
        "Mean temperature": f"{row['temperature_c']:.0f} °C",
        "Rain": f"{row['rain_mm']:.0f} mm a year",
        "Elevation": f"{row['elevation_m']:.0f} m" if row["land"] else "at sea",
        "Population density": f"{row['population_per_km2']:.0f} per km²",
        "Driving side": row["driving_side"],
        "Time zone": row["time_zone"],
    }
    return {name: value for name, value in facts.items() if value}


def neighbours(guess: Guess) -> str:
    """Return a card with the most similar gallery photos and their credits; "" for none."""
    if not guess.neighbours:
        return ""
    return render("neighbours.html", photos=[_neighbour(item) for item in guess.neighbours])


def _neighbour(neighbour: Neighbour) -> dict[str, object]:
    source = neighbour.source
    repository = "" if "://" in source else source.split("@")[0]
    credit = ", ".join(filter(None, (neighbour.author, neighbour.licence, repository)))
    return {
        "name": _file_name(source),
        "source": source,
        "is_link": urlparse(source).scheme in ("http", "https"),  # never javascript: and the like
        "credit": credit or "author unknown",
        "coordinates": f"{neighbour.lat:.4f}, {neighbour.lon:.4f}",
        "similarity": f"{neighbour.similarity:.2f}",
    }


def _file_name(source: str) -> str:
    """Return the file name of a source, which is more informative than its host."""
    name = source.rsplit("/", 1)[-1].rsplit(":", 1)[-1].replace("_", " ")
    return unquote(name) or source or "source unknown"


def attribution(uri: str) -> str:
    """Return a card with the attribution overlay.

    Args:
        uri: data URI of the overlay.
    """
    return render("attribution.html", uri=uri)
