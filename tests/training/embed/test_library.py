"""Libraries of photos to learn from: several inputs, exact copies, unreadable photos."""

from pathlib import Path

import numpy as np
import pytest

from geoloc.bundle import directory
from tests.geoloc.batch.library import QuickEncoder, RecordingReporter, draw
from training.embed.library import read_library


@pytest.fixture
def tables(tmp_path) -> list[Path]:
    """Two tables in two folders; a photo of the second is a copy, and one is damaged."""
    for name in ("a", "b"):
        for number in range(3):
            draw(tmp_path / name / "photos" / f"{number}.jpg", seed=10 * ord(name) + number)
        lines = [f"photos/{number}.jpg,4{number},2,walk" for number in range(3)]
        (tmp_path / name / "t.csv").write_text("\n".join(["file,lat,lon,group", *lines]))
    copied = (tmp_path / "a" / "photos" / "1.jpg").read_bytes()
    (tmp_path / "b" / "photos" / "2.jpg").write_bytes(copied)
    (tmp_path / "b" / "photos" / "1.jpg").write_bytes(copied[:50])
    return [tmp_path / "a" / "t.csv", tmp_path / "b" / "t.csv"]


def test_tables_are_read_together_and_copies_learned_once(tables, tmp_path):
    report = RecordingReporter()
    encoder = QuickEncoder(directory.load("starter").encoder_spec)
    library = read_library(tables, encoder, tmp_path / "cache", report)
    expected = ["a/photos/0.jpg", "a/photos/1.jpg", "a/photos/2.jpg", "b/photos/0.jpg"]
    assert [Path(file).relative_to(tmp_path).as_posix() for file in library.manifest.file] == (
        expected
    )
    assert library.manifest.latlon[:, 0].tolist() == [40, 41, 42, 40]
    assert len(library.embeddings) == 4
    assert len(np.unique(library.embeddings, axis=0)) == 4
    names = ", ".join(map(str, tables))
    unreadable, copies = report.lines
    assert unreadable.startswith(f"{names}: 1 of 6 photos cannot be read")
    assert "b/photos/1.jpg" in unreadable
    assert copies.startswith(f"{names}: 1 of 5 photos are exact copies")
    assert "b/photos/2.jpg" in copies
    assert library.skipped.problems == (unreadable,)
    assert library.skipped.notes == (copies,)
