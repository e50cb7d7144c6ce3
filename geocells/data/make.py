"""Build the data files of this folder from the public packages that README.md lists.

    PYTHONPATH=. python geocells/data/make.py SOURCE_FOLDER

SOURCE_FOLDER contains the source files under the names in README.md. Needs the extra `train`.
"""

import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from geocells import sphere
from geocells.borders.hierarchy import embedded_boundaries
from geocells.data import make_names, make_time_zones
from geocells.data.reconcile import SLIVER_DEG, disagreements, move_borders
from geocells.polygon_index import PolygonIndex
from geocells.polygons import dissolve, repair

DATA = Path(__file__).parent

NOT_ISO = ["AC", "CP", "CQ", "DG", "EA", "EU", "FX", "IC", "TA", "UN"]
NAMES = {
    "BS": "Bahamas", "CN": "China", "CY": "Cyprus", "DK": "Denmark", "GG": "Guernsey",
    "GM": "Gambia", "IE": "Ireland", "JE": "Jersey", "KN": "Saint Kitts and Nevis",
    "LC": "Saint Lucia", "MF": "Saint Martin", "NL": "Netherlands", "TL": "Timor-Leste",
    "US": "United States", "VC": "Saint Vincent and the Grenadines",
    "BL": "Saint Barthélemy", "FM": "Micronesia",
}  # fmt: skip

# Natural Earth has these under the sovereign state; ISO 3166-1 and GeoNames have own codes
OWN_CODE = {
    "FR-GP": "GP", "FR-GF": "GF", "FR-MQ": "MQ", "FR-RE": "RE", "FR-YT": "YT",
    "NL-BQ1": "BQ", "NL-BQ2": "BQ", "NL-BQ3": "BQ", "NO-21": "SJ", "NO-X01~": "BV",
    "UA-43": "UA", "UA-40": "UA",
}  # fmt: skip
OWN_CODE_BY_NAME = {"Cocos (Keeling) Islands": "CC", "Christmas Island": "CX"}
WITHOUT_CODE = ["PGA"]  # the Spratly reefs: six claimants, no ISO code

# Natural Earth has no continent for these: "Seven seas", or no entry of their own
CONTINENTS = {
    "Africa": "IO MU RE SC SH YT",
    "Antarctica": "BV GS HM TF",
    "Asia": "MV",
    "Europe": "SJ",
    "North America": "BQ GP MQ",
    "Oceania": "CC CX TK",
    "South America": "GF",
}

WESTERN_SAHARA_NORTH = 27.0 + 40.0 / 60.0
"""Natural Earth draws the west of Western Sahara as provinces of Morocco."""

GROUP_RATIO = 1.3
ISLET_KM = 5.0
ISLET_RADIUS_KM = 2.0
ISLETS = ["Megísti"]  # Natural Earth lacks this island, less than ISLET_KM off a foreign coast
ROUND_DEG = 1e-4
OUTLINE_DEG = 0.1
MIN_CITY_POPULATION = 300_000
CITY_RADIUS_KM = 20.0


def countries(source: Path) -> pd.DataFrame:
    """Return ISO codes with names, driving sides and continents."""
    table = pd.read_csv(source / "drive_side_iso.csv", keep_default_na=False)
    table = table[~table.iso2.isin(NOT_ISO)].drop(columns="country").reset_index(drop=True)
    table["name"] = [
        NAMES.get(code, name) for code, name in zip(table.iso2, table.name, strict=True)
    ]
    nations = pd.read_parquet(source / "ne_10m_admin0_slim.parquet")
    first = nations.drop_duplicates("ISO_A2_EH").set_index("ISO_A2_EH")
    own = {code: where for where, codes in CONTINENTS.items() for code in codes.split()}
    table["continent"] = [own.get(code) or first.CONTINENT[code] for code in table.iso2]
    return table


def districts(source: Path, country_names: dict[str, str]) -> pd.DataFrame:
    """Return Natural Earth admin-1 units with their ISO country codes."""
    table = pd.read_parquet(source / "ne_10m_admin1_slim.parquet")
    table = table[~table.adm0_a3.isin(WITHOUT_CODE)].reset_index(drop=True)
    table["polygon"] = repair(shapely.from_wkb(table.geometry.to_numpy()))
    code = table.iso_3166_2.map(OWN_CODE).fillna(table.name.map(OWN_CODE_BY_NAME))
    table["country"] = code.fillna(table.iso_a2)
    table["iso_3166_2"] = [
        text.replace("-99", country)
        for text, country in zip(table.iso_3166_2, table.country, strict=True)
    ]
    table["name"] = table.name_en.fillna(table.name).fillna(table.country.map(country_names))
    table = table[["iso_3166_2", "country", "name", "polygon"]]
    table = pd.concat([table, cut_jan_mayen(table), cut_western_sahara(table)])
    return table[~shapely.is_empty(table.polygon)].reset_index(drop=True)


def cut_jan_mayen(table: pd.DataFrame) -> pd.DataFrame:
    """Remove Jan Mayen from Nordland and return it as a unit of SJ."""
    row = table.index[table.iso_3166_2 == "NO-18"][0]
    parts = shapely.get_parts(table.polygon[row])
    there = shapely.get_x(shapely.centroid(parts)) < 0
    table.at[row, "polygon"] = shapely.multipolygons(parts[~there])
    island = shapely.multipolygons(parts[there])
    return pd.DataFrame([{"iso_3166_2": "NO-22", "country": "SJ", "name": "Jan Mayen",
                          "polygon": island}])  # fmt: skip


def codes_of_towns(towns: pd.DataFrame) -> pd.Series:
    """Return country codes that follow the rules of the borders for disputed territories."""
    sahara = (towns.cc == "MA") & (towns.lat < WESTERN_SAHARA_NORTH)
    bases = (towns.cc == "GB") & towns.name.isin(["Akrotiri", "Dhekelia"])
    return towns.cc.mask(sahara, "EH").mask(bases, "CY")


def cut_western_sahara(table: pd.DataFrame) -> pd.DataFrame:
    """Cut Morocco's units at 27° 40' N and return what lies south of it as units of EH."""
    south = shapely.box(-180.0, -90.0, 180.0, WESTERN_SAHARA_NORTH)
    rows = table.index[(table.country == "MA") & shapely.intersects(table.polygon, south)]
    inside = table.loc[rows].assign(
        country="EH",
        iso_3166_2="EH-" + table.iso_3166_2[rows],
        polygon=shapely.intersection(table.polygon[rows], south),
    )
    table.loc[rows, "polygon"] = shapely.difference(table.polygon[rows], south)
    return inside


def group_by_geonames(
    table: pd.DataFrame, towns: pd.DataFrame, divisions: pd.DataFrame
) -> tuple[pd.Series, pd.Series]:
    """Return region codes and names of Natural Earth's units.

    Where the admin-1 divisions of GeoNames are coarser (Natural Earth's units are districts in
    Great Britain, France, Italy, Latvia and others), the region is the GeoNames division in which
    most people of the unit live.
    """
    inside = towns[(towns.unit >= 0) & (towns.adm1 >= 0)]
    inside = inside[inside.cc.to_numpy() == table.country.to_numpy()[inside.unit]]
    people = inside.assign(people=inside["pop"] + 100).groupby(["unit", "adm1"]).people.sum()
    major = people.reset_index().sort_values("people").groupby("unit").adm1.last()
    major = major.reindex(range(len(table)))
    code, name = unique(table.iso_3166_2), table.name.copy()
    centres = shapely.get_coordinates(shapely.point_on_surface(table.polygon.to_numpy()))[:, ::-1]
    for _, rows in table.groupby("country").groups.items():
        with_towns = [row for row in rows if major[row] == major[row]]
        if len(rows) <= GROUP_RATIO * max(1, len(set(major[with_towns]))) or len(with_towns) < 5:
            continue
        nearest = sphere.pairwise_km(centres[rows], centres[with_towns]).argmin(axis=1)
        for row, other in zip(rows, nearest, strict=True):
            division = divisions.iloc[int(major[row if row in with_towns else with_towns[other]])]
            code[row] = division.gn or division.iso or f"{division.cc}.{division.gid}"
            name[row] = " ".join(reversed(division["name"].split(", ")))
    return code, name


def unique(codes: pd.Series) -> pd.Series:
    """Return unique codes: repeated codes get a number."""
    repeat = codes.groupby(codes).cumcount()
    return codes.where(repeat == 0, codes + "-" + repeat.astype(str))


def add_islets(table: pd.DataFrame, towns: pd.DataFrame) -> None:
    """Add an octagon around each town outside all polygons to the nearest unit of its country."""
    latlon = towns[["lat", "lon"]].to_numpy(float)
    index = PolygonIndex(table.polygon.to_numpy())
    lost = towns.index[(index.locate(latlon, max_km=ISLET_KM) < 0) | towns.name.isin(ISLETS)]
    octagon = np.arange(0, 360, 45.0)
    for town in lost:
        rows = table.index[table.country == towns.cc[town]]
        if not len(rows):
            continue
        nearest = PolygonIndex(table.polygon[rows].to_numpy()).locate(latlon[[town]])[0]
        ring = sphere.destination(latlon[town], octagon, ISLET_RADIUS_KM)[:, ::-1]
        islet = shapely.polygons(ring)
        row = rows[nearest]
        table.at[row, "polygon"] = shapely.union(table.polygon[row], islet)
    print(f"{len(lost)} towns drawn as islets")


def seamless(polygons: np.ndarray) -> np.ndarray:
    """Round to 10 m, and assign overlaps and narrow gaps to neighbours."""
    clean = shapely.coverage_clean(polygons, snapping_distance=ROUND_DEG, gap_width=SLIVER_DEG)
    return repair(shapely.set_precision(clean, ROUND_DEG))


def main(source: Path) -> None:
    """Build all files."""
    nations = countries(source)
    nations.to_csv(DATA / "countries.csv", index=False)
    towns = pd.read_parquet(source / "geonames_cities500.parquet")
    towns["cc"] = codes_of_towns(towns)
    divisions = pd.read_parquet(source / "geonames_subdivisions.parquet")
    table = districts(source, dict(zip(nations.iso2, nations.name, strict=True)))
    add_islets(table, towns)
    move_borders(table, towns)
    index = PolygonIndex(table.polygon.to_numpy())
    towns["unit"] = index.locate(towns[["lat", "lon"]].to_numpy(float), max_km=30)
    table["region_code"], table["region"] = group_by_geonames(table, towns, divisions)
    table["code"] = unique(table.iso_3166_2)
    rounded = seamless(table.polygon.to_numpy())
    columns = ["code", "name", "region_code", "region", "country"]
    out = pa.table({name: pa.array(table[name].tolist(), pa.string()) for name in columns})
    out = out.append_column("geometry", pa.array(shapely.to_wkb(rounded), pa.binary()))
    pq.write_table(out, DATA / "regions.parquet", compression="zstd", compression_level=19)
    write_outline()
    write_towns(towns)
    disagreements().to_csv(DATA / "disagreements.csv", index=False)
    write_rasters(source)
    make_time_zones.main(source)
    make_names.main(source)


def write_outline() -> None:
    """Write outlines of countries for world maps: districts simplified together, without gaps."""
    borders = embedded_boundaries()
    country = borders.ancestors(np.arange(len(borders.finest), dtype=np.int32))[:, 0]
    coarse = shapely.coverage_simplify(borders.finest.polygons, OUTLINE_DEG)
    shapes = repair(shapely.set_precision(dissolve(coarse, country, len(borders.country)), 0.01))
    codes = pa.array(borders.country.codes.tolist(), pa.string())
    out = pa.table({"country": codes, "geometry": pa.array(shapely.to_wkb(shapes), pa.binary())})
    pq.write_table(out, DATA / "outline.parquet", compression="zstd", compression_level=19)


def write_rasters(source: Path) -> None:
    """Copy the small rasters, and pack the land mask to one bit per pixel of 30 seconds."""
    shutil.copyfile(source / "koppen_rubel2017_100arcsec.png", DATA / "koppen.png")
    shutil.copyfile(source / "era5_clim_2000_2025_025deg.npz", DATA / "climate.npz")
    shutil.copyfile(source / "etopo5_5min_land.npz", DATA / "elevation.npz")
    with np.load(source / "globe_combined_mask_compressed.npz") as stored:
        sea = stored["mask"]
    np.savez_compressed(DATA / "land.npz", land=np.packbits(~sea, axis=1))


def city_districts(towns: pd.DataFrame) -> np.ndarray:
    """Return which towns are districts named after their city, such as "Paris 16 Passy"."""
    cities = towns[towns["pop"] > MIN_CITY_POPULATION]
    found = np.zeros(len(towns), bool)
    for city in cities.itertuples():
        named = (towns.cc == city.cc) & towns.name.str.startswith(f"{city.name} ")
        rows = np.flatnonzero(named.to_numpy())
        latlon = towns[["lat", "lon"]].to_numpy(float)[rows]
        near = sphere.haversine_km(latlon, [city.lat, city.lon]) < CITY_RADIUS_KM
        found[rows[near & (towns["pop"].to_numpy()[rows] < city.pop)]] = True
    print(f"{found.sum()} city districts left out")
    return found


def write_towns(towns: pd.DataFrame) -> None:
    """Write towns by country, largest first."""
    keep = towns[~city_districts(towns)]
    keep = keep.sort_values(["cc", "pop"], ascending=[True, False], kind="stable")
    out = pa.table({
        "name": pa.array(keep.name.tolist(), pa.string()),
        "country": pa.array(keep.cc.tolist(), pa.string()),
        "population": pa.array(keep["pop"], pa.int32()),
        "lat": pa.array(np.round(keep.lat, 4), pa.float32()),
        "lon": pa.array(np.round(keep.lon, 4), pa.float32()),
    })  # fmt: skip
    pq.write_table(out, DATA / "towns.parquet", compression="zstd", compression_level=19)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
