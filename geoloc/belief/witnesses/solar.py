"""Elevation and azimuth of the sun, from a time and coordinates.

Formulas of the Astronomical Almanac's low-precision sun (Meeus, Astronomical Algorithms, ch. 25),
as NOAA's solar calculator uses them: correct to 0.01 degrees from 1950 to 2050. Refraction is that
of a standard atmosphere (Saemundsson 1986).
"""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from geoloc.types import Float64Array

J2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)


def sun_position(latlon: Float64Array, when: datetime) -> tuple[Float64Array, Float64Array]:
    """Return the apparent elevation and the azimuth of the sun.

    Args:
        latlon: (N, 2) degrees.
        when: a time with a zone.

    Returns:
        (N,) elevation in degrees above the horizon, refracted; (N,) azimuth in degrees clockwise
        from north.
    """
    declination, hour_angle = declination_and_hour_angle(latlon[:, 1], when)
    lat = np.radians(latlon[:, 0])
    sine = np.sin(lat) * np.sin(declination) + np.cos(lat) * np.cos(declination) * np.cos(
        hour_angle
    )
    elevation = np.degrees(np.arcsin(np.clip(sine, -1.0, 1.0)))
    east = -np.cos(declination) * np.sin(hour_angle)
    north = np.cos(lat) * np.sin(declination) - np.sin(lat) * np.cos(declination) * np.cos(
        hour_angle
    )
    azimuth = np.degrees(np.arctan2(east, north)) % 360.0
    return elevation + refraction_deg(elevation), azimuth


def declination_and_hour_angle(lon: Float64Array, when: datetime) -> tuple[float, Float64Array]:
    """Return the sun's declination, and its hour angle (N,) at longitudes (N,) in degrees.

    Both in radians; the hour angle is positive in the afternoon.
    """
    days = (when - J2000).total_seconds() / 86_400.0
    century = days / 36_525.0
    mean_longitude = (280.46646 + 36_000.76983 * century) % 360.0
    anomaly = np.radians(357.52911 + 35_999.05029 * century)
    centre = (
        (1.914602 - 0.004817 * century) * np.sin(anomaly)
        + 0.019993 * np.sin(2 * anomaly)
        + 0.000289 * np.sin(3 * anomaly)
    )
    node = np.radians(125.04 - 1934.136 * century)
    longitude = np.radians(mean_longitude + centre - 0.00569 - 0.00478 * np.sin(node))
    obliquity = np.radians(23.4392911 - 0.0130042 * century + 0.00256 * np.cos(node))
    right_ascension = np.arctan2(np.cos(obliquity) * np.sin(longitude), np.cos(longitude))
    declination = float(np.arcsin(np.sin(obliquity) * np.sin(longitude)))
    sidereal_deg = 280.46061837 + 360.98564736629 * days
    hour_angle = np.radians(sidereal_deg + lon) - right_ascension
    return declination, np.asarray((hour_angle + np.pi) % (2 * np.pi) - np.pi)


def refraction_deg(elevation_deg: Float64Array) -> Float64Array:
    """Return how much the air lifts an object of a true elevation (N,); 0 far below the horizon."""
    held = np.maximum(elevation_deg, -1.0)
    lift = 1.02 / np.tan(np.radians(held + 10.3 / (held + 5.11))) / 60.0
    return np.where(elevation_deg < -1.0, 0.0, lift)


def sub_solar_point(when: datetime) -> tuple[float, float]:
    """Return where the sun stands in the zenith, (lat, lon) in degrees."""
    declination, hour_angle = declination_and_hour_angle(np.zeros(1), when)
    lon = -np.degrees(hour_angle[0])
    return float(np.degrees(declination)), float((lon + 180.0) % 360.0 - 180.0)
