"""HTML of the evidence behind an answer: attributes, similar gallery photos, attribution."""

from __future__ import annotations

import numpy as np

from demo.page.rendering import render
from geocells.attributes import describe_earth
from geoloc.belief.witnesses.text.overlays import BURNT_IN_POSITION, position
from geoloc.guess import Attribute, Guess
from geoloc.output import accounts, text
from geoloc.output.similar import alike, credited

STEEP_M = 200.0
"""The height is left out where the map data differ by more between neighbouring points."""
NEXT_DEG = 1 / 12
"""Spacing of the height data."""

CLIMATES = {
    "Af": "tropical, rain all year", "Am": "tropical, monsoon", "Aw": "tropical, dry winters",
    "BW": "desert", "BS": "dry grassland", "Cs": "mild, dry summers", "Cw": "mild, dry winters",
    "Cf": "mild, rain all year", "Ds": "cold winters, dry summers",
    "Dw": "cold and dry winters", "Df": "cold winters, rain all year", "ET": "tundra",
    "EF": "ice all year",
}  # fmt: skip
"""Köppen's climates in words, by the first two letters of their codes."""


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
        overlay=_overlay(guess),
    )


def _overlay(guess: Guess) -> str:
    """Return whether a position that was written on the photo is "used" or "shown"; "" for none."""
    found = [
        finding.used
        for account in guess.witnesses
        for finding in account.findings
        if finding.kind == BURNT_IN_POSITION and position(finding.reading) is not None
    ]
    return ("used" if any(found) else "shown") if found else ""


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
        "Climate": CLIMATES.get((row["koppen"] or "")[:2], ""),
        "Mean temperature": f"{row['temperature_c']:.0f} °C",
        "Rain": f"{row['rain_mm']:.0f} mm a year",
        "Height": _height(lat, lon, row["elevation_m"]) if row["land"] else "at sea",
        "Population density": f"{row['population_per_km2']:.0f} per km²",
        "Driving side": row["driving_side"],
        "Time zone": row["time_zone"],
    }
    return {name: value for name, value in facts.items() if value}


def _height(lat: float, lon: float, height_m: float) -> str:
    """Return the height of a place; "" in steep land, where the data are too coarse for it."""
    steps = NEXT_DEG * np.array([(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)])
    around = np.array([lat, lon]) + steps
    around[:, 0] = np.clip(around[:, 0], -90.0, 90.0)
    around[:, 1] = (around[:, 1] + 180.0) % 360.0 - 180.0
    near = np.array(describe_earth(around)["elevation_m"].to_pylist(), float)
    return "" if np.ptp(near[np.isfinite(near)]) > STEEP_M else f"about {height_m:.0f} m"


def neighbours(guess: Guess) -> str:
    """Return a card with the most similar known photos and their credits; "" for none."""
    if not guess.neighbours:
        return ""
    photos = [credited(item) for item in guess.neighbours]
    return render("neighbours.html", photos=photos, summary=alike(guess))


def attribution(uri: str) -> str:
    """Return a card with the attribution overlay.

    Args:
        uri: data URI of the overlay.
    """
    return render("attribution.html", uri=uri)
