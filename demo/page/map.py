"""A guess on an offline map: pins, credible region, radius. Pure functions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import shapely

from demo.page import basemap
from geocells.sphere import KM_PER_DEG, destination
from geocells.table import CellTable
from geoloc.guess import Guess
from geoloc.output import text
from geoloc.photos.exif import gps_position

if TYPE_CHECKING:
    import plotly.graph_objects as go

ANSWER, OTHER, FILE, CELL = "#b4400f", "#44525c", "#0f766e", "#e07b39"
OPACITY = {0.5: 0.5, 0.8: 0.3, 0.95: 0.16}
"""Of cells, by the smallest credible level that holds them."""
AIR = 1.1
"""The map opens on so many radii around the answer."""
NORTHERNMOST_DEG = 78.0
"""The map opens no farther north, or south, where Web Mercator shows little but ice."""
NARROWEST_KM = 400.0
"""The map never opens on less than this around the answer: coasts and borders tell where it is."""
MAP_PX = 480
"""The smaller side of the map as most screens show it."""
TILE_PX = 512
"""Width of the whole world at zoom 0, in MapLibre."""


def map_figure(guess: Guess, cells: CellTable) -> go.Figure:
    """The credible cells, the radius and the pins on an offline map.

    Args:
        guess: the answer.
        cells: the geocells that its region names.

    Returns:
        A plotly figure that loads nothing from the network. `layout.meta` is the window that it
        opens on, for buttons that lead back to it.
    """
    import plotly.graph_objects as go

    shown = window(guess)
    figure = go.Figure([_region(guess, cells, shown), _circle(guess), _pins(guess)])
    position = gps_position(guess.exif)
    if position is not None:
        figure.add_trace(_file_pin(position))
    south, west, north, east = shown
    figure.update_layout(
        map={
            "style": basemap.style(shown),
            "center": {"lat": (south + north) / 2, "lon": (west + east) / 2},
            "zoom": math.log2(MAP_PX / TILE_PX * 360.0 / (east - west)),
        },
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        meta=shown,
        showlegend=False,
    )
    return figure


def window(guess: Guess) -> basemap.Window:
    """What the map shows first: the circle around the answer with some air."""
    reach_deg = AIR * max(guess.radius_km, NARROWEST_KM) / KM_PER_DEG
    top = max(NORTHERNMOST_DEG, abs(guess.lat) + 1.0)
    reach_lon_deg = 180.0
    if reach_deg + abs(guess.lat) < 90.0:  # no pole inside: the circle has a western end
        widest = math.sin(math.radians(reach_deg)) / math.cos(math.radians(guess.lat))
        reach_lon_deg = math.degrees(math.asin(widest))
    return (
        max(guess.lat - reach_deg, -top),
        guess.lon - reach_lon_deg,
        min(guess.lat + reach_deg, top),
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
    names = [
        ", ".join(filter(None, names)) for names in zip(region.region, region.country, strict=True)
    ]
    return go.Choroplethmap(
        geojson=outlines.to_geojson(),
        locations=region.cell_id.tolist(),
        z=[cell.probability for cell in guess.region],
        text=[
            f"{name}: {text.percent(cell.probability)}, in the {100 * cell.level:.0f} % region"
            for name, cell in zip(names, guess.region, strict=True)
        ],
        hovertemplate="%{text}<extra></extra>",
        colorscale=[[0, CELL], [1, CELL]],
        showscale=False,
        marker={
            "opacity": [OPACITY[cell.level] for cell in guess.region],
            "line": {"width": 0.5, "color": CELL},
        },
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
        hovertemplate=f"8 of 10 within {text.km(guess.radius_km)}<extra></extra>",
    )


def _pins(guess: Guess) -> go.Scattermap:
    """All candidates; the larger the likelier, and the answer on top."""
    import plotly.graph_objects as go

    drawn = list(enumerate(guess.candidates, start=1))[::-1]
    return go.Scattermap(
        lat=[candidate.lat for _, candidate in drawn],
        lon=[candidate.lon for _, candidate in drawn],
        mode="markers",
        text=[f"{rank}. {c.place}: {text.percent(c.probability)}" for rank, c in drawn],
        hovertemplate="%{text}<extra></extra>",
        marker={
            "size": [9.0 + 16.0 * math.sqrt(candidate.probability) for _, candidate in drawn],
            "color": [*[OTHER] * (len(drawn) - 1), ANSWER],
        },
    )


def _file_pin(position: tuple[float, float]) -> go.Scattermap:
    import plotly.graph_objects as go

    return go.Scattermap(
        lat=[position[0]],
        lon=[position[1]],
        mode="markers",
        hovertemplate="where the file says<extra></extra>",
        marker={"size": 12, "color": FILE},
    )
