"""Plotly map of a guess: candidates, credible region and radius on the offline base map."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import shapely

from demo.page import basemap
from geocells.sphere import KM_PER_DEG, destination
from geocells.table import CellTable
from geoloc.guess import Candidate, Guess
from geoloc.output import text
from geoloc.photos.exif import gps_position

if TYPE_CHECKING:
    import plotly.graph_objects as go

ANSWER, OTHER, FILE, CELL = "#b4400f", "#44525c", "#0f766e", "#e07b39"
OPACITY = {0.5: 0.5, 0.8: 0.3, 0.95: 0.16}
"""Opacity of cells, by the smallest credible level that contains them."""
WINDOW_RADII = 1.1
"""Half the height of the initial view, in radii of the answer."""
MAX_LAT_DEG = 78.0
"""The initial view ends here: beyond, Web Mercator is stretched and shows little but ice."""
MIN_REACH_KM = 400.0
"""Smallest half height of the initial view, so that coasts and borders are recognisable."""
MAP_PX = 480
"""The smaller side of the map on most screens."""
TILE_PX = 512
"""Width of the world at zoom 0 in MapLibre."""


def map_figure(guess: Guess, cells: CellTable) -> go.Figure:
    """Return an offline map with credible cells, radius and candidates.

    Args:
        guess: the answer.
        cells: the geocells of the bundle.

    Returns:
        A plotly figure that loads nothing from the network. `layout.meta` is its initial window,
        for buttons that return to it.
    """
    import plotly.graph_objects as go

    view = window(guess)
    circle = [_circle(guess)] if shows_radius(guess) else []
    figure = go.Figure([_region(guess, cells, view), *circle, _pins(guess)])
    position = gps_position(guess.exif)
    if position is not None:
        figure.add_trace(_file_pin(position))
    south, west, north, east = view
    figure.update_layout(
        map={
            "style": basemap.style(view),
            "center": {"lat": (south + north) / 2, "lon": (west + east) / 2},
            "zoom": math.log2(MAP_PX / TILE_PX * 360.0 / (east - west)),
        },
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        meta=view,
        showlegend=False,
    )
    return figure


def shows_radius(guess: Guess) -> bool:
    """Whether the map shows the radius; there, a circle around a pole is a wave, not a ring."""
    return guess.radius_80_km / KM_PER_DEG + abs(guess.lat) < 90.0


def window(guess: Guess) -> basemap.Window:
    """Return the initial window: the circle around the answer with a margin."""
    reach_deg = WINDOW_RADII * max(guess.radius_80_km, MIN_REACH_KM) / KM_PER_DEG
    max_lat = max(MAX_LAT_DEG, abs(guess.lat) + 1.0)
    reach_lon_deg = 180.0
    if reach_deg + abs(guess.lat) < 90.0:  # the window contains no pole
        sin_reach = math.sin(math.radians(reach_deg)) / math.cos(math.radians(guess.lat))
        reach_lon_deg = math.degrees(math.asin(sin_reach))
    return (
        max(guess.lat - reach_deg, -max_lat),
        guess.lon - reach_lon_deg,
        min(guess.lat + reach_deg, max_lat),
        guess.lon + reach_lon_deg,
    )


def _region(guess: Guess, cells: CellTable, view: basemap.Window) -> go.Choroplethmap:
    """Return the cells of the 95 % credible region, simplified to the resolution of the window."""
    import plotly.graph_objects as go

    row_of = {cell_id: row for row, cell_id in enumerate(cells.cell_id.tolist())}
    region = cells.take([row_of[cell.cell_id] for cell in guess.region])
    tolerance_deg = (view[3] - view[1]) / MAP_PX
    outlines = CellTable(
        **{**vars(region), "polygon": shapely.simplify(region.polygon, tolerance_deg)},
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
    """Return the outline of the 80 % radius."""
    import plotly.graph_objects as go

    ring = destination([guess.lat, guess.lon], np.linspace(0.0, 360.0, 181), guess.radius_80_km)
    lon = np.unwrap(ring[:, 1], period=360.0)
    lon += 360.0 * np.round((guess.lon - lon.mean()) / 360.0)
    return go.Scattermap(
        lat=ring[:, 0],
        lon=lon,
        mode="lines",
        line={"color": ANSWER, "width": 2},
        hovertemplate=f"radius for 8 of 10 photos: {text.km(guess.radius_80_km)}<extra></extra>",
    )


def _pins(guess: Guess) -> go.Scattermap:
    """Return pins of all candidates and the answer, sized by probability, the answer on top."""
    import plotly.graph_objects as go

    pins: list[Candidate | Guess] = [*guess.candidates[::-1]]
    labels = [_label(c, f"{len(pins) - i}. ") for i, c in enumerate(guess.candidates[::-1])]
    if not guess.is_first_place:
        pins.append(guess)
        labels.append(_label(guess, "best guess: "))
    return go.Scattermap(
        lat=[pin.lat for pin in pins],
        lon=[pin.lon for pin in pins],
        mode="markers",
        text=labels,
        hovertemplate="%{text}<extra></extra>",
        marker={
            "size": [9.0 + 16.0 * math.sqrt(pin.probability) for pin in pins],
            "color": [*[OTHER] * (len(pins) - 1), ANSWER],
        },
    )


def _label(pin: Candidate | Guess, prefix: str) -> str:
    return f"{prefix}{pin.place}: {text.percent(pin.probability)} within 25 km"


def _file_pin(position: tuple[float, float]) -> go.Scattermap:
    """Return a pin at the GPS position of the file."""
    import plotly.graph_objects as go

    return go.Scattermap(
        lat=[position[0]],
        lon=[position[1]],
        mode="markers",
        hovertemplate="GPS position in the file<extra></extra>",
        marker={"size": 12, "color": FILE},
    )
