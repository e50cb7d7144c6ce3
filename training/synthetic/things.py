"""Objects in the landscapes of the synthetic planet: roads, cars, houses, trees, signs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from geoloc.types import BoolArray, FixedStrArray
from training.types import FloatArray

HOUSES, TREES = 5, 6
"""Maximum number in a photo."""


@dataclass(frozen=True, eq=False)
class Scene:
    """Attributes of N photos; shape (N,) unless noted."""

    own: FloatArray
    """(N, DRAWS) uniform numbers of each photo."""
    place: FloatArray
    """(N, DRAWS) of its place."""
    author: FloatArray
    """(N, DRAWS) of its author."""
    country: FloatArray
    """(N, DRAWS) of its country."""
    heading: FloatArray
    """Degrees clockwise from north."""
    month: FloatArray
    """1 to 12."""
    season: FloatArray
    """1 at midsummer, -1 at midwinter."""
    sun: tuple[FloatArray, FloatArray]
    """Azimuth and altitude in degrees."""
    koppen: FixedStrArray
    """First letter of the Köppen class."""
    soil: FloatArray
    """(N, 3) RGB in 0..1."""
    plants: FloatArray
    """(N, 3) RGB in 0..1."""
    wet: FloatArray
    """Rainfall, 0..1."""
    snow: FloatArray
    """Snow cover, 0..1."""
    warmth: FloatArray
    """Temperature of the month in degrees Celsius."""
    relief: FloatArray
    """Elevation, 0..1."""
    crowd: FloatArray
    """Population density, 0..1."""
    left: BoolArray
    """Whether traffic keeps left."""
    local: FloatArray
    """(N, 6) in 0..1: colours of walls and roofs in the region."""


@dataclass(frozen=True, eq=False)
class Canvas:
    """N square images with their pixel coordinates."""

    pixels: FloatArray
    """(3, N, size, size) in 0..1."""
    x: FloatArray
    """(1, 1, size) from -1 at the left to 1 at the right."""
    y: FloatArray
    """(1, size, 1) from 0 at the top to 1 at the bottom; the horizon is at 0.5."""
    size: int
    """Side in pixels."""

    @classmethod
    def empty(cls, count: int, size: int) -> Canvas:
        """Create black images."""
        line = (np.arange(size, dtype=np.float32) + 0.5) / size
        shape = (3, count, size, size)
        x, y = (2.0 * line - 1.0)[None, None, :], line[None, :, None]
        return cls(np.zeros(shape, np.float32), x, y, size)

    def of(self, values: Any) -> FloatArray:  # noqa: ANN401
        """Reshape numbers (N,) so that they broadcast with x and y."""
        return np.asarray(values, np.float32)[:, None, None]


def paint(canvas: Canvas, mask: FloatArray, colour: Any) -> None:  # noqa: ANN401
    """Blend a colour, or one per image (N, 3), into the canvas; `mask` (N, size, size) in 0..1."""
    colours = np.broadcast_to(np.asarray(colour, np.float32), (canvas.pixels.shape[1], 3))
    for channel, tone in zip(canvas.pixels, colours.T, strict=True):
        channel += mask * (tone[:, None, None] - channel)


def paint_road(canvas: Canvas, scene: Scene) -> None:
    """Paint a road to the horizon if the camera looks along it, with markings and cars."""
    along = _along(scene)
    depth = np.maximum(canvas.y - 0.5, 1e-3) * 2.0  # 0 at the horizon, 1 in front
    width = canvas.of(0.55 + 0.5 * scene.crowd)
    shift = canvas.of(0.5 * (scene.own[:, 11] - 0.5)) * (1.0 - depth)
    across = (canvas.x - shift) / (depth * width)  # -1 at the left edge of the road, 1 at the right
    ahead = canvas.of(along) * (canvas.y > 0.5)
    paved = scene.crowd + 0.5 * scene.country[:, 0] > 0.45
    asphalt = 0.36 + 0.16 * scene.country[:, 1:2] * np.ones(3)
    surface = np.where(paved[:, None], asphalt, 0.8 * scene.soil + 0.1)
    road = _inside(across, 1.0, canvas.size * depth) * ahead
    paint(canvas, road * canvas.of(1.0 - 0.5 * scene.snow), surface)
    _paint_markings(
        canvas, scene, road * canvas.of(paved * (1.0 - 0.8 * scene.snow)), across, depth
    )
    side = np.where(scene.left, -1.0, 1.0)
    for number, (lane, lamp) in enumerate(((side, (0.9, 0.1, 0.1)), (-side, (1.0, 1.0, 0.9)))):
        present = along * (scene.own[:, 12 + number] < 0.3 + 0.5 * scene.crowd)
        near = 0.18 + 0.35 * scene.own[:, 14 + number]
        centre = 0.5 * (scene.own[:, 11] - 0.5) * (1 - near) + 0.5 * lane * near * width[:, 0, 0]
        body = _colour(scene.own[:, 16 + 3 * number : 19 + 3 * number])
        _paint_car(canvas, present, centre, 0.5 + near / 2.0, near, body, lamp)


def _paint_markings(
    canvas: Canvas, scene: Scene, road: FloatArray, across: FloatArray, depth: FloatArray
) -> None:
    """Paint road markings in the colours and patterns of the country."""
    kind = scene.country
    yellow, white = np.array([0.92, 0.75, 0.15]), np.array([0.93, 0.93, 0.90])
    middle = np.where(kind[:, 2:3] < 0.45, yellow, white)
    thin = 0.035 / np.sqrt(np.maximum(depth, 0.05))
    gap = canvas.of(np.where(kind[:, 3] < 0.35, 0.07, 0.0))  # two lines side by side
    line = np.abs(np.abs(across) - gap) < thin
    frequency = canvas.of(4.0 + 8.0 * kind[:, 4])
    dashes = np.sin(frequency / np.maximum(depth, 0.06) + canvas.of(6.0 * scene.own[:, 22])) > 0.0
    dashed = canvas.of(kind[:, 5] < 0.6)
    paint(canvas, road * line * np.where(dashed > 0, dashes, 1.0), middle)
    edges = np.abs(np.abs(across) - 0.9) < thin
    edge_colour = np.where(kind[:, 6:7] < 0.25, yellow, white)
    paint(canvas, road * edges * canvas.of(kind[:, 7] < 0.65), edge_colour)


def _paint_car(
    canvas: Canvas,
    present: FloatArray,
    x: FloatArray,
    y: FloatArray,
    near: FloatArray,
    body: FloatArray,
    lamp: Any,  # noqa: ANN401
) -> None:
    """Paint the rear or front of a car at (x, y), where `present` is 1."""
    wide, tall = 0.22 * near, 0.16 * near
    on = canvas.of(present)
    paint(canvas, on * _box(canvas, x, y - 0.5 * tall, wide, 0.5 * tall), body)
    paint(
        canvas, on * _box(canvas, x, y - 1.2 * tall, 0.75 * wide, 0.35 * tall), [0.15, 0.18, 0.22]
    )
    for side in (-0.75, 0.75):
        spot = _box(canvas, x + side * wide, y - 0.55 * tall, 0.2 * wide, 0.16 * tall)
        paint(canvas, on * spot, lamp)


def paint_houses(canvas: Canvas, scene: Scene) -> None:
    """Paint houses: more and taller ones in dense population, in the colours of the region."""
    flat = np.isin(scene.koppen, ["A", "B"]) | (scene.crowd > 0.8)
    wall = 0.35 + 0.6 * scene.local[:, :3]
    roof = 0.15 + 0.65 * scene.local[:, 3:]
    for k in range(HOUSES):
        draw = scene.own[:, 24 + 4 * k : 28 + 4 * k]
        present = draw[:, 0] < scene.crowd * 1.15 - 0.12
        side = 1.0 if k % 2 else -1.0
        near = 0.10 + 0.5 * draw[:, 1]
        x = side * (0.30 + 0.75 * draw[:, 2] + 0.4 * near)
        half = 0.10 + 0.30 * near
        stories = 1.0 + 5.0 * np.clip(scene.crowd - 0.5, 0.0, 1.0) * (0.4 + draw[:, 3])
        tall = (0.06 + 0.12 * near) * stories
        foot = 0.5 + 0.3 * near
        on = canvas.of(present)
        shade = wall * (0.85 + 0.3 * draw[:, 3:4])
        paint(canvas, on * _box(canvas, x, foot - tall / 2.0, half, tall / 2.0), shade)
        rows = np.sin((canvas.y - canvas.of(foot)) * canvas.of(40.0 * stories / tall / 8.0)) > 0.3
        panes = np.sin((canvas.x - canvas.of(x)) * canvas.of(9.0 / half)) > 0.35
        inner = _box(canvas, x, foot - tall / 2.0, 0.85 * half, 0.42 * tall)
        paint(canvas, on * inner * (rows & panes), [0.22, 0.27, 0.33])
        rise = canvas.of(np.where(flat, 0.012, 0.05 + 0.10 * near))
        up = canvas.of(foot - tall) - canvas.y
        gable = (up > 0) & (
            up
            < rise
            * np.clip(1.1 - np.abs(canvas.x - canvas.of(x)) / canvas.of(half), 0.0, 1.0)
            * 1.0
        )
        paint(canvas, on * gable, roof + scene.snow[:, None] * 0.7 * (0.95 - roof))


def paint_trees(canvas: Canvas, scene: Scene) -> None:
    """Paint conifers in cold, palms in tropical, shrubs in dry, round trees in other climates."""
    density = np.clip(0.25 + 0.8 * scene.wet - 0.35 * scene.crowd, 0.05, 0.95)
    density = np.where(scene.koppen == "E", 0.04, density)
    conifer = (scene.koppen == "D") | ((scene.koppen == "C") & (scene.place[:, 3] < 0.25))
    palm = (scene.koppen == "A") & (scene.place[:, 4] < 0.7)
    shrub = scene.koppen == "B"
    leaf = scene.plants * (0.75 + 0.5 * scene.place[:, 5:6])
    bare = np.isin(scene.koppen, ["C", "D"]) & ~conifer & (scene.season < -0.5)
    for k in range(TREES):
        draw = scene.own[:, 48 + 4 * k : 52 + 4 * k]
        on = canvas.of(draw[:, 0] < density)
        near = 0.12 + 0.75 * draw[:, 1] ** 2
        x = (1.0 if k % 2 else -1.0) * (0.28 + 0.8 * draw[:, 2] + 0.35 * near)
        foot = 0.5 + 0.42 * near
        tall = np.where(shrub, 0.10, 0.34 + 0.2 * draw[:, 3]) * (0.25 + near)
        dx = (canvas.x - canvas.of(x)) / canvas.of(tall)
        up = (canvas.of(foot) - canvas.y) / canvas.of(tall)  # 0 at the foot, 1 at the top
        trunk = (np.abs(dx) < 0.035) & (up > 0.0) & (up < 0.75)
        paint(canvas, on * trunk, [0.30, 0.22, 0.15])
        round_top = (dx / 0.55) ** 2 + ((up - 0.68) / 0.34) ** 2 < 1.0
        cone = (up > 0.12) & (up < 1.05) & (np.abs(dx) < 0.36 * (1.05 - up))
        angle = np.arctan2(up - 0.85, dx)
        fronds = (dx**2 + (up - 0.85) ** 2 < 0.16 * (0.25 + np.abs(np.sin(3.5 * angle)))) & (
            np.abs(np.sin(3.5 * angle)) > 0.45
        )
        low = (dx / 0.9) ** 2 + ((up - 0.3) / 0.5) ** 2 < 1.0
        shape = np.where(canvas.of(conifer) > 0, cone, round_top)
        shape = np.where(canvas.of(palm) > 0, fronds, shape)
        shape = np.where(canvas.of(shrub) > 0, low, shape)
        thin = canvas.of(np.where(bare, 0.25, 0.95))
        light = 1.0 + 0.25 * (draw[:, 3:4] - 0.5)
        paint(canvas, on * shape * thin, leaf * light + 0.55 * scene.snow[:, None] * (0.9 - leaf))


def paint_sign(canvas: Canvas, scene: Scene) -> None:
    """Paint a sign with the emblem of the country, and roadside posts in its colours."""
    kind = scene.country
    dark, bright = _colour(kind[:, 8:11]) * 0.8, 0.25 + 0.75 * kind[:, 11:14]
    present = scene.own[:, 72] < 0.55
    side = np.where(scene.left, -1.0, 1.0)
    x = side * (0.45 + 0.4 * scene.own[:, 73])
    half = 0.07 + 0.09 * scene.own[:, 74]
    y = 0.40 + 0.1 * scene.own[:, 75]
    on = canvas.of(present)
    paint(canvas, on * _box(canvas, x, y + 0.17, 0.012 + 0 * x, 0.17 + 0 * x), [0.45, 0.45, 0.45])
    dx, dy = (canvas.x - canvas.of(x)) / canvas.of(half), (canvas.y - canvas.of(y)) * 2.0
    dy = dy / canvas.of(half)
    board = {
        0: np.maximum(np.abs(dx), np.abs(dy)) < 1.0,
        1: dx**2 + dy**2 < 1.0,
        2: np.abs(dx) + np.abs(dy) < 1.25,
        3: (np.abs(dx) < 1.5) & (np.abs(dy) < 0.7),
    }
    shape = np.floor(4.0 * kind[:, 14])
    mask = sum(canvas.of(shape == number) * form for number, form in board.items())
    paint(canvas, on * mask, dark)
    strokes = np.sin(canvas.of(4.0 + 9.0 * kind[:, 15]) * dx + canvas.of(7.0 * kind[:, 16]) * dy)
    strokes = strokes * np.cos(canvas.of(3.0 + 8.0 * kind[:, 17]) * dy) > canvas.of(
        0.2 * kind[:, 18]
    )
    paint(canvas, on * mask * strokes * (np.abs(dx) < 0.8) * (np.abs(dy) < 0.6), bright)
    posts = canvas.of(_along(scene) * (kind[:, 19] < 0.6))
    for near in (0.25, 0.45, 0.75):
        at = side * (0.62 + 0.55 * scene.crowd) * near * 1.15 + 0.5 * (scene.own[:, 11] - 0.5) * (
            1 - near
        )
        tall, foot = 0.16 * near + 0 * at, 0.5 + near / 2.0 + 0 * at
        paint(
            canvas,
            posts * _box(canvas, at, foot - tall / 2, 0.03 * near + 0 * at, tall / 2),
            [0.92, 0.92, 0.9],
        )
        band = foot - tall * (0.55 + 0.35 * kind[:, 20])
        paint(canvas, posts * _box(canvas, at, band, 0.03 * near + 0 * at, 0.2 * tall), dark)


def _along(scene: Scene) -> FloatArray:
    """Return 1 where the camera looks along the road of its place, in either direction."""
    turned = np.radians(scene.heading - 360.0 * scene.place[:, 6])
    return np.asarray(np.abs(np.cos(turned)) > 0.75, np.float32)


def _box(
    canvas: Canvas, x: FloatArray, y: FloatArray, wide: FloatArray, tall: FloatArray
) -> FloatArray:
    """Return masks of rectangles around (x, y) with half extents `wide` and `tall`."""
    inside = (np.abs(canvas.x - canvas.of(x)) < canvas.of(wide)) & (
        np.abs(canvas.y - canvas.of(y)) < canvas.of(tall)
    )
    return np.asarray(inside, np.float32)


def _inside(values: FloatArray, limit: float, sharp: FloatArray) -> FloatArray:
    return np.clip((limit - np.abs(values)) * sharp * 0.5 + 0.5, 0.0, 1.0)


def _colour(draws: FloatArray) -> FloatArray:
    """Map uniform numbers (N, 3) to saturated colours (N, 3)."""
    spread = draws - draws.mean(axis=1, keepdims=True)
    colours = 0.5 + 1.1 * spread + 0.5 * (draws[:, :1] - 0.5)
    return np.asarray(np.clip(colours, 0.05, 0.95))
