"""A guess as a person reads it: a sentence, a map, a table, links. Pure functions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import shapely

from demo import basemap
from geocells.sphere import destination
from geocells.table import CellTable
from geoloc import report
from geoloc.guess import Exif, Guess

if TYPE_CHECKING:
    import plotly.graph_objects as go

ANSWER, OTHER, FILE = "#c2410c", "#1d4ed8", "#15803d"
KM_PER_DEG = 111.2
NARROWEST_KM = 2.0
"""The map never opens on less than this around the answer."""
MAP_PX = 480
"""The smaller side of the map as most screens show it."""
TILE_PX = 512
"""Width of the whole world at zoom 0, in MapLibre."""

HEADERS = ["", "Place", "Latitude", "Longitude", "Probability", "Look around"]


def sentence(guess: Guess) -> str:
    """What is believed, in one honest sentence under a headline, in Markdown."""
    return f"### {report.claimed(guess) or 'Where is this?'}\n{report.sentence(guess)}"


def exif_note(exif: Exif, distance_km: float | None) -> str:
    """What the file says itself, beside the guess."""
    note = report.exif_note(exif, distance_km) or "file says: no position"
    return f"The {note}."


def rows(guess: Guess) -> list[list[str]]:
    """One row per candidate, best first, under `HEADERS`."""
    return [
        [
            str(rank),
            str(candidate.place),
            f"{candidate.lat:.4f}",
            f"{candidate.lon:.4f}",
            report.percent(candidate.probability),
            " · ".join(
                f"[{name}]({address})"
                for name, address in links(candidate.lat, candidate.lon).items()
            ),
        ]
        for rank, candidate in enumerate(guess.candidates, start=1)
    ]


def links(lat: float, lon: float) -> dict[str, str]:
    """Addresses of other maps, by name; nothing is fetched until somebody follows one."""
    return {
        "OpenStreetMap": (
            f"https://www.openstreetmap.org/?mlat={lat:.5f}&mlon={lon:.5f}#map=12/{lat:.5f}/{lon:.5f}"
        ),
        "Google Maps": f"https://www.google.com/maps/search/?api=1&query={lat:.5f},{lon:.5f}",
    }


def map_figure(guess: Guess, cells: CellTable) -> go.Figure:
    """The credible cells, the radius and the pins on an offline map.

    Args:
        guess: the answer.
        cells: the geocells that its region names.

    Returns:
        A plotly figure that loads nothing from the network.
    """
    import plotly.graph_objects as go

    shown = window(guess)
    figure = go.Figure([_region(guess, cells, shown), _circle(guess), _pins(guess)])
    if guess.exif.lat is not None and guess.exif.lon is not None:
        figure.add_trace(_file_pin(guess.exif))
    south, west, north, east = shown
    figure.update_layout(
        map={
            "style": basemap.style(shown),
            "center": {"lat": (south + north) / 2, "lon": (west + east) / 2},
            "zoom": math.log2(MAP_PX / TILE_PX * 360.0 / (east - west)),
        },
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        height=520,
        showlegend=False,
    )
    return figure


def window(guess: Guess) -> basemap.Window:
    """What the map shows first: the circle around the answer with some air."""
    reach_deg = 1.3 * max(guess.radius_km, NARROWEST_KM) / KM_PER_DEG
    reach_lon_deg = min(reach_deg / math.cos(math.radians(min(abs(guess.lat), 85.0))), 180.0)
    return (
        max(guess.lat - reach_deg, -85.0),
        guess.lon - reach_lon_deg,
        min(guess.lat + reach_deg, 85.0),
        guess.lon + reach_lon_deg,
    )


def _region(guess: Guess, cells: CellTable, shown: basemap.Window) -> go.Choroplethmap:
    """The cells that together hold the truth with 95 %, as fine as the window needs."""
    import plotly.graph_objects as go

    row_of = {cell_id: row for row, cell_id in enumerate(cells.cell_id.tolist())}
    region = cells.take([row_of[cell.cell_id] for cell in guess.region])
    fine_deg = (shown[3] - shown[1]) / MAP_PX
    outlines = CellTable(
        **{**vars(region), "polygon": shapely.simplify(region.polygon, fine_deg)},
    )
    return go.Choroplethmap(
        geojson=outlines.to_geojson(),
        locations=region.cell_id.tolist(),
        z=[cell.probability for cell in guess.region],
        text=[_joined(*names) for names in zip(region.region, region.country, strict=True)],
        hovertemplate="%{text}: %{z:.1%}<extra></extra>",
        colorscale="Oranges",
        showscale=False,
        zmin=0.0,
        marker={"opacity": 0.3, "line": {"width": 0}},
    )


def _circle(guess: Guess) -> go.Scattermap:
    import plotly.graph_objects as go

    ring = destination([guess.lat, guess.lon], np.linspace(0.0, 360.0, 181), guess.radius_km)
    lon = np.unwrap(ring[:, 1], period=360.0)
    lon += 360.0 * np.round((guess.lon - lon.mean()) / 360.0)
    return go.Scattermap(
        lat=ring[:, 0],
        lon=lon,
        mode="lines",
        line={"color": ANSWER, "width": 2},
        hovertemplate=f"8 of 10 within {report.km(guess.radius_km)}<extra></extra>",
    )


def _pins(guess: Guess) -> go.Scattermap:
    """All candidates; the larger the likelier, and the answer on top."""
    import plotly.graph_objects as go

    drawn = guess.candidates[::-1]
    return go.Scattermap(
        lat=[candidate.lat for candidate in drawn],
        lon=[candidate.lon for candidate in drawn],
        mode="markers",
        text=[f"{candidate.place}: {report.percent(candidate.probability)}" for candidate in drawn],
        hovertemplate="%{text}<extra></extra>",
        marker={
            "size": [8.0 + 16.0 * math.sqrt(candidate.probability) for candidate in drawn],
            "color": [*[OTHER] * (len(drawn) - 1), ANSWER],
        },
    )


def _file_pin(exif: Exif) -> go.Scattermap:
    import plotly.graph_objects as go

    return go.Scattermap(
        lat=[exif.lat],
        lon=[exif.lon],
        mode="markers",
        hovertemplate="where the file says<extra></extra>",
        marker={"size": 12, "color": FILE},
    )


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)
