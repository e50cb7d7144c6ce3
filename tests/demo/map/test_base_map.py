"""The vector tiles of the base map, decoded by a small reader of the format."""

import gzip

import numpy as np
import pytest
import shapely

from demo.map import base_map
from demo.map.vector_tile import EXTENT, Layer, encode
from geoloc.output.map.outlines import WORLD_PX, mercator


def numbers(data):
    """Yield (tag, value) of a protocol buffer: ints, or bytes."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = varint()
        if key & 7 == 2:
            size = varint()
            yield key >> 3, data[at : at + size]
            at += size
        else:
            yield key >> 3, varint()


def unpacked(data):
    return [value for _, value in numbers(b"".join(b"\x08" + v for v in _varints(data)))]


def _varints(data):
    start = 0
    for end, byte in enumerate(data, start=1):
        if byte < 128:
            yield data[start:end]
            start = end


def decode(tile):
    """Return {layer: [(kind, rings, properties)]} of a tile."""
    layers = {}
    for _, content in numbers(tile):
        parts = list(numbers(content))
        name = next(value for tag, value in parts if tag == 1).decode()
        keys = [value.decode() for tag, value in parts if tag == 3]
        values = [next(numbers(value)) for tag, value in parts if tag == 4]
        values = [value.decode() if tag == 1 else value for tag, value in values]
        assert [value for tag, value in parts if tag == 5] == [EXTENT]
        features = layers[name] = []
        for tag, value in parts:
            if tag == 2:
                fields = dict(numbers(value))
                tags = unpacked(fields.get(2, b""))
                named = {keys[k]: values[v] for k, v in zip(tags[::2], tags[1::2], strict=True)}
                features.append((fields[3], rings(unpacked(fields[4])), named))
    return layers


def rings(commands):
    at, found, i = np.zeros(2, int), [], 0
    while i < len(commands):
        kind, count = commands[i] & 7, commands[i] >> 3
        i += 1
        if kind == 7:
            found[-1].append(found[-1][0])
            continue
        for _ in range(count):
            step = [(value >> 1) ^ -(value & 1) for value in commands[i : i + 2]]
            at = at + step
            i += 2
            if kind == 1:
                found.append([])
            found[-1].append(tuple(at.tolist()))
    return found


def test_points_lines_and_polygons_with_holes_survive_the_format():
    hole = shapely.box(0, 0, 100, 100).difference(shapely.box(20, 20, 60, 60))
    line = shapely.LineString([(0, 0), (5, 7), (5, 7), (9, 3)])
    tile = encode(
        [
            Layer("areas", [hole]),
            Layer("lines", [line]),
            Layer("names", [shapely.Point(3, 4)] * 2,
                  [{"name": "Zürich", "rank": 300}, {"name": "Bern", "rank": 300}]),
            Layer("nothing", []),
        ]
    )  # fmt: skip
    layers = decode(tile)
    assert set(layers) == {"areas", "lines", "names"}
    ((kind, (outer, inner), _),) = layers["areas"]
    assert kind == 3
    assert shapely.Polygon(outer, [inner]).equals(hole)
    assert shapely.is_ccw(shapely.LinearRing(outer))  # clockwise on the screen, whose y is down
    assert not shapely.is_ccw(shapely.LinearRing(inner))
    assert layers["lines"][0][1] == [[(0, 0), (5, 7), (9, 3)]]
    assert [feature[2] for feature in layers["names"]] == [
        {"name": "Zürich", "rank": 300}, {"name": "Bern", "rank": 300},
    ]  # fmt: skip


@pytest.mark.parametrize("tile", [(0, 0, 0), (3, 4, 2), (5, 16, 11), (7, 66, 45)])
def test_a_tile_of_land_is_small_and_covers_what_is_land(tile):
    made = base_map.borders(*tile)
    assert len(gzip.compress(made)) < 60_000
    lat, lon = 46.8, 8.2  # in Switzerland, which all of these tiles show
    zoom, column, row = tile
    x, y = mercator(np.array([[lat, lon]]))[0] * 2**zoom / WORLD_PX
    at = shapely.Point((x - column) * EXTENT, (y - row) * EXTENT)
    land = [shapely.Polygon(shape[0], shape[1:]) for _, shape, _ in decode(made)["land"]]
    assert sum(bool(shapely.contains(shapely.make_valid(area), at)) for area in land) == 1


def test_closer_tiles_have_more_names():
    def named(kind, *tile):
        return {each["name"] for _, _, each in decode(base_map.names(*tile)).get(kind, [])}

    assert {"Switzerland", "France"} <= named("country", 3, 4, 2)
    assert "Paris" in named("town", 3, 4, 2)
    assert "Bern" not in named("town", 5, 16, 11)
    assert "Bern" in named("town", 6, 33, 22)
    assert named("region", 3, 4, 2) == set()
    assert "Valais" in named("region", 5, 16, 11) | named("region", 6, 33, 22)


def test_only_tiles_of_the_map_exist():
    assert base_map.exists(0, 0, 0, 7)
    for tile in ((8, 0, 0), (-1, 0, 0), (2, 4, 0), (2, 0, -1)):
        assert not base_map.exists(*tile, 7)
