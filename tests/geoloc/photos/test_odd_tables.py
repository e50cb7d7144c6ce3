"""Every reader of photo tables, given generated tables: no error, and nothing silently changed."""

import ast
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geoloc.errors import GeolocError
from tests.geoloc.photos.odd_tables import ENDINGS, KEEPS_UNPLACED, READERS, odd_tables

ROOT = Path(__file__).parents[3]

MANY = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))

OWN_TABLES = {
    "geoloc.photos.tabular.arrow": "the reader itself",
    "geoloc.photos.tabular.rows": "the reader itself",
    "training.data.table": "tables that geoloc-train manifest wrote",
    "training.data.published": "further tables, which training.data.sources joins",
    "training.data.packed": "tables that img2dataset wrote beside its shards",
    "training.embed.table": "tables of geoloc-train embed",
    "training.experiments.embedded": "tables of geoloc-train embed, or of the simulation",
}
"""Modules that read tables but not those of users, and what they read."""


def test_every_reader_of_tables_is_registered():
    """A new reader takes part in the tests below: add it to READERS."""
    found = set()
    for package in ("geoloc", "training", "demo"):
        for path in (ROOT / package).rglob("*.py"):
            called = {
                node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
                for node in ast.walk(ast.parse(path.read_text("utf-8")))
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name)
            }
            if called & {"read_table", "read_rows", "text_rows", "read_located"}:
                found.add(".".join(path.relative_to(ROOT).with_suffix("").parts))
    assert found == READERS.keys() | OWN_TABLES.keys()


@pytest.mark.parametrize("reader", READERS)
@MANY
@given(data=st.data())
def test_names_places_and_counts_are_those_of_the_table(tmp_path_factory, reader, data):
    written = data.draw(odd_tables(tmp_path_factory.mktemp("t")))
    found = READERS[reader](written.path)
    if reader in KEEPS_UNPLACED:
        assert len(found) == len(written.good) + written.unplaced
        found = found[: len(written.good)]
    assert len(found) == len(written.good)
    for (name, lat, lon), (true_name, *point) in zip(found, written.good, strict=True):
        assert name in ("", true_name)
        assert np.isnan(lat) or [lat, lon] == pytest.approx(point)


@pytest.mark.parametrize("reader", READERS)
@MANY
@given(
    header=st.sampled_from([b"file,lat,lon\n", b"file;lat;lon\n", b"file\tlat\tlon\n", b"[", b""]),
    content=st.binary(max_size=40) | st.text(max_size=40).map(lambda t: t.encode("utf-8", "ignore"))
    | st.text('",;\n\r\t{}[]:019.-aN\0\ufeff', max_size=40).map(str.encode),
    ending=st.sampled_from([*ENDINGS, ".csv.gz"]),
)  # fmt: skip
def test_any_bytes_give_rows_or_one_line(tmp_path_factory, reader, header, content, ending):
    path = tmp_path_factory.mktemp("t") / f"t{ending}"
    path.write_bytes(header + content)
    message = refusal(lambda: READERS[reader](path))
    assert message is None or ("\n" not in message and "t." in message)


def refusal(read):
    """Return the message of the error of a function, None if there is none."""
    try:
        read()
    except (GeolocError, OSError) as error:
        return str(error)
