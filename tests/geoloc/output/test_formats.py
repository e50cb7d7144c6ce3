"""One answer as CSV, JSON, GeoJSON, KML and text, and on the map page."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from geoloc.guess import Attribute, Candidate, Evidence, Exif, Guess, Place, RegionCell
from geoloc.output import formats, text
from geoloc.output.map_page import write_map
from tests.geoloc.output.records import CELLS

HOSTILE = "a</script><img src=x onerror=alert(1)>&\"'.jpg"


@pytest.fixture
def guess() -> Guess:
    paris = Place("FR", "France", "Île-de-France", "Paris", 1.0)
    ids = CELLS.cell_id.tolist()
    return Guess(
        photo=HOSTILE,
        lat=48.85,
        lon=2.35,
        radius_50_km=10.0,
        radius_80_km=42.0,
        radius_95_km=1234.0,
        confidence="city",
        chance_200km=0.9,
        probability=0.7,
        place=paris,
        candidates=(
            Candidate(48.85, 2.35, 0.7, ids[0], paris),
            Candidate(
                50.8, 4.3, 0.0004, ids[1], replace(paris, town="Brussels", country="Belgium")
            ),
        ),
        region=tuple(
            RegionCell(cell, p, level)
            for cell, p, level in zip(ids, (0.7, 0.2, 0.05), (0.5, 0.8, 0.95), strict=True)
        ),
        neighbours=(),
        evidence=Evidence(
            ("FR", "Île-de-France", ids[0]), (Attribute("climate", "Cfb", 0.71),), 0.1, 0.5, 0.4
        ),
        exif=Exif(48.9, 2.4, "2024-05-06T07:08:09"),
        exif_distance_km=6.7,
        bundle="test",
    )


def test_csv_row(guess):
    (row,) = csv.DictReader(io.StringIO(formats.to_csv([guess])))
    assert row["photo"] == HOSTILE
    assert (row["lat"], row["radius_80_km"], row["town"]) == ("48.850000", "42", "Paris")


def test_json_is_one_line_and_complete(guess):
    text = formats.to_json(guess)
    assert "\n" not in text
    assert json.loads(text)["region"][0] == {"cell_id": guess.region[0].cell_id,
                                             "probability": 0.7, "level": 0.5}  # fmt: skip


def test_geojson_is_lon_lat(guess):
    first, second = formats.to_geojson([guess])["features"]
    assert first["geometry"] == {"type": "Point", "coordinates": [2.35, 48.85]}
    assert first["properties"]["radius_80_km"] == 42.0
    assert second["properties"]["rank"] == 2


def test_kml_is_xml(guess):
    root = ElementTree.fromstring(formats.to_kml([guess]).encode())
    names = [node.text for node in root.iter("{http://www.opengis.net/kml/2.2}name")]
    assert names == [HOSTILE]


@pytest.mark.parametrize(
    ("confidence", "words"),
    [("city", "Sure of the city: Paris"), ("region", "Sure of the region: Île-de-France, France"),
     ("country", "Sure of the country: France"), ("not sure", "Not sure")],
)  # fmt: skip
def test_sentence_states_what_the_answer_claims(guess, confidence, words):
    sentence = text.sentence(replace(guess, confidence=confidence))
    assert sentence.startswith(words)
    assert "8 of 10 photos like this lie within 42 km" in sentence


@pytest.mark.parametrize(
    ("distance", "words"),
    [
        (0.25, "250 m"),
        (3.14, "3.1 km"),
        (42.4, "42 km"),
        (10_749.0, "11,000 km"),
        (9.99, "10.0 km"),
    ],
)
def test_distance_has_two_significant_figures(distance, words):
    assert text.km(distance) == words


def test_percent_is_never_0_or_100():
    shares = [0.0, 0.0004, 0.25, 0.999, 1.0]
    assert [text.percent(share) for share in shares] == [
        "< 0.1 %", "< 0.1 %", "25.0 %", "> 99 %", "> 99 %",
    ]  # fmt: skip


def test_terminal_output(guess):
    out = io.StringIO()
    Console(file=out, width=100).print(text.render(guess))
    shown = out.getvalue()
    assert HOSTILE in shown
    assert "Brussels" in shown
    assert "EXIF: 48.90000, 2.40000, 6.7 km from the best guess (not used)" in shown
    assert max(map(len, shown.splitlines())) <= 100


@pytest.fixture
def page(guess, tmp_path):
    fiji = replace(guess, photo="fiji.jpg", lat=-17.8, lon=178.0, radius_80_km=500.0,
                   confidence="not sure", exif=Exif(), exif_distance_km=None)  # fmt: skip
    return write_map([guess, fiji], CELLS, tmp_path / "map.html")


def test_map_contains_no_external_address(page):
    html = page.read_text(encoding="utf-8")
    assert html.count("</script>") == 1, "a file name must not end the script"
    assert "http" not in html.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")
    assert len(html) < 4_000_000
    assert [path.name for path in page.parent.iterdir()] == ["map.html"]


def test_map_works_in_a_browser_without_network(page, visit):
    tab = visit(page.as_uri())
    assert tab.locator("h1").inner_text() == Path(HOSTILE).name
    assert tab.locator("#list li").count() == 2
    assert tab.locator(".map-pin.answer").is_visible()
    assert tab.locator(".map-pin.file").count() == 1
    assert tab.locator(".map-region").count() == 3
    assert len(tab.locator(".map-world").get_attribute("d")) > 10_000
    before = tab.locator("#map > svg").get_attribute("viewBox")
    tab.get_by_role("button", name="Zoom in").click()
    closer = tab.locator("#map > svg").get_attribute("viewBox")
    assert float(closer.split()[2]) < float(before.split()[2])
    tab.locator("#map > svg").focus()
    tab.keyboard.press("ArrowRight")
    assert tab.locator("#map > svg").get_attribute("viewBox") != closer
    tab.get_by_role("button", name="Back to the answer").click()
    assert tab.locator("#map > svg").get_attribute("viewBox") == before
    tab.locator("#choose").select_option("1")
    assert tab.locator("h1").inner_text() == "fiji.jpg"
    assert tab.locator(".map-pin.file").count() == 0
