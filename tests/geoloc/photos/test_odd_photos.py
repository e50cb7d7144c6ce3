"""Every reader of photos, given damaged files and odd metadata: an answer or one line."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from geoloc.errors import GeolocError
from geoloc.game.places import read_places
from geoloc.photos import decode
from geoloc.photos.tables import read_folder
from tests.geoloc.photos.samples import encoded, gps_exif, picture
from training.data import manifest

READERS = {
    "load": decode.load,
    "read_metadata": decode.read_metadata,
    "strip": decode.strip,
    "read_folder": lambda path: read_folder(path.parent),
    "play": lambda path: read_places(path.parent),
    "learn": lambda path: manifest.read(path.parent),
}

WHOLE = {
    kind: encoded(picture(), kind, exif=gps_exif(48.5, 2.25)) for kind in ("JPEG", "PNG", "WEBP")
}


@pytest.mark.parametrize("reader", READERS)
@settings(max_examples=25, deadline=None)
@given(
    whole=st.sampled_from(list(WHOLE.values())),
    cut=st.tuples(st.floats(0, 1), st.integers(0, 8)),
    noise=st.binary(max_size=12),
    sidecar=st.none() | st.binary(max_size=60),
    name=st.sampled_from(["a.jpg", "a b.JPG", "東京.png", "'\"$(x).webp", "\udcff.jpg"]),
)
def test_damaged_photos_give_an_answer_or_one_line(
    tmp_path_factory, reader, whole, cut, noise, sidecar, name
):
    path = tmp_path_factory.mktemp("p") / name
    at = int(cut[0] * len(whole))
    path.write_bytes(whole[:at] + noise + whole[at + cut[1] :])
    if sidecar is not None:
        path.with_name(f"{name}.xmp").write_bytes(sidecar)
    try:
        READERS[reader](path)
    except GeolocError as error:
        message = str(error)
    else:
        message = ""
    assert "\n" not in message


@settings(max_examples=40, deadline=None)
@given(
    ref=st.sampled_from(["N", "S", "South", "", "Q", "\0"]),
    # in thousandths, as EXIF's fractions hold no number that is smaller than 1 / 2^32
    parts=st.tuples(*[st.integers(0, 120_000).map(lambda n: n / 1000.0)] * 3),
)
def test_a_folder_counts_every_photo_once_whatever_its_coordinates(tmp_path_factory, ref, parts):
    folder = tmp_path_factory.mktemp("p")
    exif = Image.Exif()
    exif[ExifTags.IFD.GPSInfo] = {
        ExifTags.GPS.GPSLatitudeRef: ref, ExifTags.GPS.GPSLatitude: parts,
        ExifTags.GPS.GPSLongitudeRef: "E", ExifTags.GPS.GPSLongitude: (2.0, 15.0, 0.0),
    }  # fmt: skip
    (folder / "a.jpg").write_bytes(encoded(picture(), "JPEG", exif=exif))
    found = read_folder(folder)
    placed = ~np.isnan(found.latlon[:, 0])
    assert found.file.tolist() == ["a.jpg"]
    assert placed.sum() + len(found.unusable_gps) == 1
    if placed.any():
        assert ref in ("N", "S", "South")
        assert (found.latlon[0, 0] <= 0.0) == (ref != "N" or not any(parts))
