"""A complete guess, for tests of pages, maps and blurring."""

from geocells.sphere import haversine_km
from geoloc.guess import (
    Attribute,
    Candidate,
    Evidence,
    Exif,
    Guess,
    Neighbour,
    Place,
    RegionCell,
)

SYDNEY = Place("AU", "Australia", "New South Wales", "Sydney", 1.2)
HOBART = Place("AU", "Australia", "Tasmania", "Hobart", 0.4)


def make_guess(
    lat=-33.87, lon=151.21, radius_km=12.0, confidence="city", exif=None, photo="photo.jpg"
):
    exif = exif or Exif()
    has_position = exif.lat is not None
    return Guess(
        photo=photo,
        lat=lat,
        lon=lon,
        radius_50_km=radius_km / 2,
        radius_80_km=radius_km,
        radius_95_km=radius_km * 3,
        confidence=confidence,
        chance_200km=0.7,
        probability=0.62,
        place=SYDNEY,
        candidates=(
            Candidate(lat, lon, 0.62, "AU-1", SYDNEY),
            Candidate(-42.88, 147.33, 0.21, "AU-2", HOBART),
        ),
        region=(RegionCell("AU-1", 0.62, 0.5), RegionCell("AU-2", 0.21, 0.95)),
        neighbours=(
            Neighbour(
                -33.86,
                151.2,
                0.91,
                "https://photos.example/A_quay.jpg",
                "CC BY 4.0",
                "A Known Author",
            ),
        ),
        evidence=Evidence(
            ("AU", "New South Wales", "AU-1"),
            (Attribute("driving side", "left", 0.93),),
            0.1,
            0.5,
            0.4,
        ),
        exif=exif,
        exif_distance_km=float(haversine_km([lat, lon], [exif.lat, exif.lon]))
        if has_position
        else None,
        bundle="fake",
    )
