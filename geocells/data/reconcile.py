"""Agreement of borders and towns: move borders so that towns lie in their own countries.

Natural Earth draws a border up to a few kilometres beside its place, so that towns on it come to
lie abroad. GeoNames gives the country of each town. Where the two disagree by less than
`TOLERANCE_KM`, the land around the town moves to the town's country. `disagreements` lists the
towns that remain.
"""

import numpy as np
import pandas as pd
import shapely

from geocells import sphere
from geocells.borders.hierarchy import embedded_boundaries
from geocells.neighbours import NearestPoints
from geocells.places import OPEN_SEA_KM, towns
from geocells.polygon_index import PolygonIndex

ROUNDING_DEG = 3e-4
"""More than the rounding of polygons and of coordinates of towns."""

SLIVER_DEG = 0.005
"""Gaps between units narrower than this are closed."""

TOLERANCE_KM = 5.0
"""Towns deeper in another country do not move the border: one of the two sources is wrong."""

TOWN_RADIUS_KM = 1.0
"""Radius of the land that moves with a town, unless a town of another country is nearer to it."""

DISPUTED = ({"IL", "PS"}, {"IL", "SY"}, {"IN", "PK"}, {"AE", "IR"})
"""Between these the line of control decides, wherever the towns are."""

_NEIGHBOURS = 40
"""Towns that are compared to find where a town of another country is nearer."""


def move_borders(table: pd.DataFrame, gazetteer: pd.DataFrame) -> None:
    """Move the land around towns slightly abroad to the nearest unit of the town's country.

    Args:
        table: units with "country" and "polygon"; the polygons are changed.
        gazetteer: towns with "cc", "lat" and "lon".
    """
    latlon, home = gazetteer[["lat", "lon"]].to_numpy(float), gazetteer.cc.to_numpy()
    polygons, country = table.polygon.to_numpy().copy(), table.country.to_numpy()
    unit = PolygonIndex(polygons).locate(latlon, OPEN_SEA_KM)
    abroad = np.flatnonzero(
        (unit >= 0) & ((country[unit] != home) | _between(polygons, country, latlon, home))
    )
    index = NearestPoints(latlon)
    moved = 0
    for code in sorted(set(home[abroad]) & set(country)):
        own = np.flatnonzero(country == code)
        rows = abroad[home[abroad] == code]
        rows = rows[[{code, other} not in DISPUTED for other in country[unit[rows]]]]
        nearest, distance_km, foot = PolygonIndex(polygons[own]).nearest(latlon[rows])
        for i in np.flatnonzero(distance_km <= TOLERANCE_KM):
            near = index.query(latlon[rows[i : i + 1]], _NEIGHBOURS)[1][0]
            foreign = latlon[near[home[near] != code]]
            land = _around(latlon[rows[i]], foot[i], foreign)
            _reassign(polygons, country, own[nearest[i]], land)
            moved += 1
    table["polygon"] = polygons
    print(f"{moved} of {len(abroad)} towns abroad taken to their countries")


def _between(
    polygons: np.ndarray, country: np.ndarray, latlon: np.ndarray, home: np.ndarray
) -> np.ndarray:
    """Return which towns, (T,), the rounding of a border or the closing of a gap may take abroad.

    A unit of another country is within ROUNDING_DEG of them, or within SLIVER_DEG of those that no
    unit covers.
    """
    points, tree = shapely.points(latlon[:, ::-1]), shapely.STRtree(polygons)
    covered = PolygonIndex(polygons).covering(latlon) >= 0
    town, unit = tree.query(
        points, predicate="dwithin", distance=np.where(covered, ROUNDING_DEG, SLIVER_DEG)
    )
    between = np.zeros(len(latlon), bool)
    between[town[country[unit] != home[town]]] = True
    return between


def _around(town: np.ndarray, foot: np.ndarray, foreign: np.ndarray) -> shapely.Geometry:
    """Return the land between a town and its country that is nearer to it than to foreign towns.

    Args:
        town: (2,) degrees.
        foot: (2,) degrees, the nearest point of the town's country.
        foreign: (F, 2) degrees.
    """
    scale = sphere.KM_PER_DEG * np.array([np.cos(np.radians(town[0])), 1.0])  # lon, lat
    ends, others = (
        (points - town)[:, ::-1] * scale for points in (np.stack([town, foot]), foreign)
    )
    land = shapely.LineString(ends).buffer(TOWN_RADIUS_KM, quad_segs=2)
    cells = shapely.voronoi_polygons(
        shapely.MultiPoint(np.concatenate([ends[:1], others])), extend_to=land
    )
    own = next(cell for cell in shapely.get_parts(cells) if cell.covers(shapely.Point(ends[0])))
    return shapely.transform(shapely.intersection(land, own), lambda xy: xy / scale + town[::-1])


def _reassign(
    polygons: np.ndarray, country: np.ndarray, owner: int, land: shapely.Geometry
) -> None:
    """Add land to a unit, and remove it from the units of other countries."""
    touched = np.flatnonzero(shapely.intersects(polygons, land) & (country != country[owner]))
    polygons[touched] = shapely.difference(polygons[touched], land)
    polygons[owner] = shapely.union(polygons[owner], land)


def disagreements() -> pd.DataFrame:
    """Return the embedded towns that the embedded borders place in another country."""
    gazetteer, level = towns(), embedded_boundaries().country
    latlon = gazetteer.points.latlon
    located = np.append(level.codes, "")[level.locate(latlon, OPEN_SEA_KM)]
    rows = np.flatnonzero(located != gazetteer.country)
    distance_km = [
        PolygonIndex(level.polygons[level.codes == gazetteer.country[row]]).nearest(
            latlon[row : row + 1]
        )[1][0]
        for row in rows
    ]
    return pd.DataFrame({
        "town": [gazetteer.name[int(row)].as_py() for row in rows],
        "country": gazetteer.country[rows],
        "borders": located[rows],
        "lat": latlon[rows, 0].round(4),
        "lon": latlon[rows, 1].round(4),
        "distance_km": np.round(distance_km, 1),
    }).sort_values(["country", "town"])  # fmt: skip
