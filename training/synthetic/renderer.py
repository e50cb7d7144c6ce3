"""Renderer of the synthetic planet: draws photos from the attributes of their place and time.

Every cue is noisy, sometimes missing and never sufficient alone: sky by rainfall, sun by
hemisphere, season and heading, relief by elevation, plants and soil by climate, snow by the month's
temperature, houses by population, side of the traffic, markings and signs by country, and colours
of walls and roofs that vary smoothly over the Earth at several scales.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from geocells.sphere import unit_vectors
from geoloc.types import BoolArray
from training.synthetic.things import (
    Canvas,
    Scene,
    paint,
    paint_houses,
    paint_road,
    paint_sign,
    paint_trees,
)
from training.types import FloatArray

Pixels = npt.NDArray[np.uint8]

BATCH = 32
"""Photos that are drawn together; their layers fit in a CPU cache."""

DRAWS = 96
"""Random numbers per photo, place, author and country."""

SOIL = {
    "A": (0.58, 0.36, 0.24), "B": (0.83, 0.70, 0.47), "C": (0.50, 0.42, 0.30),
    "D": (0.40, 0.35, 0.29), "E": (0.52, 0.52, 0.50), "": (0.70, 0.66, 0.55),
}  # fmt: skip
PLANTS = {
    "A": (0.13, 0.42, 0.12), "B": (0.52, 0.50, 0.26), "C": (0.28, 0.48, 0.17),
    "D": (0.22, 0.38, 0.20), "E": (0.44, 0.47, 0.33), "": (0.40, 0.48, 0.30),
}  # fmt: skip
"""RGB of soil and plants in 0..1, by the first letter of the Köppen class."""

SCALES_KM = (6000.0, 1500.0, 400.0, 120.0)
"""Wavelengths at which the colours of walls and roofs vary."""


def render(table: pa.Table, size: int, seed: int = 0) -> Pixels:
    """Draw photos.

    Args:
        table: N rows of an enriched photo table with heading and month.
        size: side of the photos in pixels.
        seed: seed of the planet.

    Returns:
        (N, size, size, 3) RGB; each photo depends on its own row and the seed only.
    """
    blocks = [_draw(table.slice(start, BATCH), size, seed) for start in range(0, len(table), BATCH)]
    return np.concatenate(blocks) if blocks else np.empty((0, size, size, 3), np.uint8)


def _draw(table: pa.Table, size: int, seed: int) -> Pixels:
    scene = _scene(table, seed)
    canvas = Canvas.empty(len(table), size)
    _paint_sky(canvas, scene)
    _paint_relief(canvas, scene)
    _paint_ground(canvas, scene)
    paint_road(canvas, scene)
    paint_houses(canvas, scene)
    paint_trees(canvas, scene)
    paint_sign(canvas, scene)
    return _develop(canvas, scene)


def _scene(table: pa.Table, seed: int) -> Scene:
    latlon = np.stack([_column(table, "lat"), _column(table, "lon")], axis=1)
    month, heading = _column(table, "month", 6.0), _column(table, "heading")
    own = _uniforms(table["photo_id"].to_pylist(), f"{seed} photo")
    place = _uniforms(table["location_id"].to_pylist(), f"{seed} place")
    author = _uniforms(table["author"].to_pylist(), f"{seed} author")
    country = _uniforms(table["country_code"].fill_null("").to_pylist(), "country")
    koppen = table["koppen"].fill_null("").to_pylist()
    season = np.cos(2.0 * np.pi * (month - 7.0) / 12.0) * np.sign(latlon[:, 0])
    warmth = _column(table, "temperature_c") + season * _column(table, "temperature_range_c") / 2.0
    rain = _column(table, "rain_mm")
    return Scene(
        own=own, place=place, author=author, country=country,
        heading=heading, month=month, season=season,
        sun=_sun(latlon[:, 0], month, 8.0 + 9.0 * place[:, 0]),
        koppen=np.array([name[:1] for name in koppen]),
        soil=_palette(SOIL, koppen), plants=_palette(PLANTS, koppen),
        wet=np.clip(rain / 1800.0, 0.0, 1.0),
        snow=_logistic((-1.0 - warmth + 4.0 * (place[:, 1] - 0.5)) / 2.0) * (rain > 120.0),
        warmth=warmth,
        relief=np.clip(_column(table, "elevation_m") / 2200.0, 0.0, 1.0) ** 0.6,
        crowd=np.clip(np.log1p(_column(table, "population_per_km2")) / np.log(8000.0), 0.0, 1.0),
        left=np.array([side == "left" for side in table["driving_side"].to_pylist()]),
        local=_local_colours(latlon),
    )  # fmt: skip


def _paint_sky(canvas: Canvas, scene: Scene) -> None:
    """Paint a gradient with clouds by rainfall, and the sun if it is in view."""
    cloud = np.clip(0.15 + 0.6 * scene.wet + 0.5 * (scene.own[:, 0] - 0.5), 0.0, 1.0)
    blue = np.array([0.25, 0.48, 0.85]) + 0.12 * (scene.local[:, :1] - 0.5)
    grey = np.array([0.72, 0.74, 0.77])
    zenith = blue + cloud[:, None] * (grey - blue) * 0.8
    pale = np.array([0.82, 0.88, 0.94]) - 0.10 * cloud[:, None]
    height = np.clip(canvas.y / 0.5, 0.0, 1.0)
    canvas.pixels[:] = zenith.T[:, :, None, None] + height * (pale - zenith).T[:, :, None, None]
    waves = np.zeros(())
    for k in range(3):
        phase = 2.0 * np.pi * scene.own[:, 1 + k]
        along = np.sin((3 + 4 * k) * canvas.x + 3.0 * k * canvas.y + canvas.of(phase))
        waves = waves + along * np.sin(
            (11 + 12 * k) * canvas.y + 2.0 * along + canvas.of(2 * phase)
        )
    paint(canvas, _soft(1.5 * waves + 4.0 * canvas.of(cloud) - 2.2) * 0.6, [0.93, 0.93, 0.94])
    azimuth, altitude = scene.sun
    turned = np.radians((azimuth - scene.heading + 180.0) % 360.0 - 180.0)
    in_view = (np.abs(turned) < 1.2) & (altitude > 0.0)
    x, y = np.tan(np.clip(turned, -1.2, 1.2)), 0.48 - 0.55 * np.radians(altitude)
    distance = (canvas.x - canvas.of(x)) ** 2 + 4.0 * (canvas.y - canvas.of(y)) ** 2
    strength = canvas.of(np.where(in_view, 1.0 - 0.75 * cloud, 0.0))
    glow = 0.35 * np.exp(-distance / 0.25) + np.exp(-distance / 0.012)
    paint(canvas, np.clip(strength * glow, 0.0, 1.0), [1.0, 0.96, 0.82])


def _paint_relief(canvas: Canvas, scene: Scene) -> None:
    """Paint two ranges of hills, continuous over all the views around a place."""
    angle = np.arctan(canvas.x) + canvas.of(np.radians(scene.heading))
    for far, (haze, lift) in enumerate(((0.62, 1.0), (0.35, 0.55))):
        ridge = np.zeros(())
        for k, waves in enumerate((2, 5, 9, 17)):
            phase = 2.0 * np.pi * scene.place[:, 8 + 4 * far + k]
            ridge = ridge + np.sin(waves * angle + canvas.of(phase)) / (1.0 + 0.9 * k)
        height = canvas.of(scene.relief * lift * 0.24) * (1.0 + 0.6 * ridge) + 0.012
        top = 0.5 - np.maximum(height, 0.0)
        rock = 0.55 * scene.plants + 0.45 * scene.soil
        colour = rock + haze * (np.array([0.66, 0.74, 0.84]) - rock)
        mask = _soft((canvas.y - top) * canvas.size) * (canvas.y < 0.52)
        paint(canvas, mask, colour)
        line = 0.5 - canvas.of(0.06 + 0.014 * np.clip(scene.warmth, -12.0, 30.0))
        paint(canvas, mask * _soft((line - canvas.y) * 60.0), [0.95, 0.96, 0.98])


def _paint_ground(canvas: Canvas, scene: Scene) -> None:
    """Paint soil and plants by climate and season, and snow."""
    green = np.clip(0.15 + 1.1 * scene.wet + 0.3 * (scene.place[:, 2] - 0.5), 0.05, 0.95)
    plants = scene.plants.copy()
    temperate = np.isin(scene.koppen, ["C", "D"])
    autumn = temperate & (np.abs(scene.season) < 0.6) & _is_autumn(scene)
    plants[autumn] = 0.65 * plants[autumn] + 0.35 * np.array([0.62, 0.38, 0.12])
    winter = temperate & (scene.season < -0.6)
    plants[winter] = 0.6 * plants[winter] + 0.4 * np.array([0.45, 0.38, 0.26])
    ground = scene.soil + green[:, None] * (plants - scene.soil)
    below = _soft((canvas.y - 0.5) * canvas.size)
    paint(canvas, below, ground)
    depth = 1.0 / np.maximum(canvas.y - 0.48, 0.02)
    speckle = np.sin(1.7 * depth + 9.0 * canvas.x * depth * 0.2 + canvas.of(scene.own[:, 5] * 6.0))
    speckle = speckle * np.sin(31.0 * canvas.x + 57.0 * canvas.y + canvas.of(scene.own[:, 6] * 6.0))
    paint(canvas, below * np.clip(0.35 * speckle, 0.0, 1.0), 0.72 * ground)
    patches = 0.55 + 0.45 * np.sin(
        13.0 * canvas.x + 23.0 * canvas.y + 6.0 * canvas.of(scene.own[:, 7])
    )
    cover = canvas.of(scene.snow)
    paint(
        canvas,
        below * np.clip(cover * (0.5 + cover) * (0.7 + 0.5 * patches), 0.0, 1.0),
        [0.94, 0.95, 0.97],
    )


def _develop(canvas: Canvas, scene: Scene) -> Pixels:
    """Apply exposure, the colour cast of the author's camera, and noise; return uint8."""
    _, altitude = scene.sun
    light = 0.78 + 0.22 * np.clip(altitude / 40.0, 0.0, 1.0) + 0.2 * (scene.own[:, 8] - 0.5)
    cast = 1.0 + 0.10 * (scene.author[:, :3] - 0.5)
    pixels = canvas.pixels * light[:, None, None] * cast.T[:, :, None, None]
    size = canvas.size
    grain = np.random.default_rng(20).standard_normal((3, 2 * size, 2 * size), np.float32)
    shift = (scene.own[:, 9:11] * size).astype(int)
    for i, (row, column) in enumerate(shift.tolist()):
        pixels[:, i] += 0.025 * grain[:, row : row + size, column : column + size]
    whole = (np.clip(pixels, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
    return np.asarray(whole.transpose(1, 2, 3, 0))


def _is_autumn(scene: Scene) -> BoolArray:
    """Whether it is autumn (N,): the derivative of the season is negative."""
    later = np.cos(2.0 * np.pi * (scene.month - 6.0) / 12.0)
    now = np.cos(2.0 * np.pi * (scene.month - 7.0) / 12.0)
    hemisphere = np.where(scene.season * now >= 0.0, 1.0, -1.0)
    falls: BoolArray = (later - now) * hemisphere < 0.0
    return falls


def _sun(
    latitude: FloatArray, month: FloatArray, hour: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the sun's azimuth, clockwise from north, and altitude in degrees, at mid-month."""
    tilt = np.radians(23.44) * np.sin(2.0 * np.pi * (month - 3.2) / 12.0)
    turn, phi = np.radians(15.0 * (hour - 12.0)), np.radians(latitude)
    rise = np.sin(phi) * np.sin(tilt) + np.cos(phi) * np.cos(tilt) * np.cos(turn)
    north = np.cos(phi) * np.sin(tilt) - np.sin(phi) * np.cos(tilt) * np.cos(turn)
    azimuth = np.degrees(np.arctan2(-np.cos(tilt) * np.sin(turn), north))
    return azimuth % 360.0, np.degrees(np.arcsin(np.clip(rise, -1.0, 1.0)))


def _local_colours(latlon: FloatArray) -> FloatArray:
    """Evaluate six smooth fields over the Earth, equal for every planet: (N, 6) in 0..1."""
    xyz = unit_vectors(latlon)
    rng = np.random.default_rng(7)
    total = np.zeros((len(latlon), 6))
    for weight, scale in zip((0.45, 0.27, 0.17, 0.11), SCALES_KM, strict=True):
        direction = rng.standard_normal((3, 6))
        direction *= 6371.0 / scale / np.linalg.norm(direction, axis=0) * np.pi
        total += weight * np.sin(xyz @ direction + rng.uniform(0.0, 2.0 * np.pi, 6))
    return np.asarray(0.5 + 0.5 * total, np.float32)


def _uniforms(names: list[str], salt: str) -> FloatArray:
    """Return (N, DRAWS) uniform numbers in 0..1 that are hashed from each name."""
    distinct = {}
    for name in set(names):
        key = hashlib.blake2b(f"{salt} {name}".encode(), digest_size=32).digest()
        distinct[name] = np.frombuffer(hashlib.shake_128(key).digest(2 * DRAWS), "<u2")
    return np.stack([distinct[name] for name in names]).astype(np.float32) / np.float32(65536.0)


def _palette(colours: dict[str, tuple[float, float, float]], koppen: list[str]) -> FloatArray:
    return np.array([colours[name[:1]] for name in koppen], np.float32)


def _column(table: pa.Table, name: str, missing: float = 0.0) -> FloatArray:
    values = table[name].cast(pa.float64()).to_numpy()
    return np.asarray(np.nan_to_num(values, nan=missing))


def _soft(values: FloatArray) -> FloatArray:
    """Clip to 0..1; scaled by the size, this is an anti-aliased edge."""
    return np.clip(values, 0.0, 1.0)


def _logistic(values: FloatArray) -> FloatArray:
    return 1.0 / (1.0 + np.exp(-values))
