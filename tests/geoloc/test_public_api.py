"""The public names of `geoloc`: what they do, and that a user's script passes a type checker."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import geoloc
from geoloc.bundle import installed

ROOT = Path(__file__).parents[2]

SCRIPT = """
from pathlib import Path

import geoloc
from geoloc import (
    Candidate,
    ConstraintError,
    Geolocator,
    GeolocError,
    Guess,
    PhotoError,
    Place,
    list_bundles,
    load_bundle,
)


def nearest_town(guess: Guess) -> str:
    best: Candidate = guess.candidates[0]
    place: Place = best.place
    return f"{place.town}, {guess.radius_80_km:.0f} km, {guess.confidence}"


def main(folder: Path) -> list[str]:
    names: list[str] = list_bundles()
    bundle = load_bundle(names[0])
    geolocator = Geolocator(bundle)
    default: Geolocator = Geolocator.from_bundle()
    lines: list[str] = []
    photos = sorted(folder.glob("*.jpg"))
    for photo, answer in zip(photos, geolocator.locate_many(photos), strict=True):
        if isinstance(answer, PhotoError):
            lines.append(f"{photo}: {answer}")
        else:
            lines.append(nearest_town(answer))
    try:
        lines.append(nearest_town(default.locate(photos[0], within="Portugal")))
        lines.append(nearest_town(default.locate_together(photos, on_error="skip")))
    except ConstraintError as error:
        lines.append(str(error))
    except GeolocError:
        raise SystemExit(2) from None
    embeddings = geolocator.embed(photos)
    constraint = geolocator.restrict("48.86,2.35,50km")
    guesses: list[Guess] = geolocator.guess(embeddings, constraint=constraint)
    return [*lines, *map(nearest_town, guesses), geoloc.__version__, str(embeddings.shape)]
"""

MISTAKES = """
from geoloc import Geolocator

guess: int = Geolocator.from_bundle("starter").locate("photo.jpg")
Geolocator.from_bundle().locate_together(["a.jpg"], on_error="ignore")
Geolocator.from_bundle().nosuch()
"""


def check_types(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run mypy --strict on a script outside the repository, with geoloc as an installed package."""
    (folder / "script.py").write_text(script, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", folder / "cache", "script.py"],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_users_script_passes_mypy_strict(tmp_path):
    checked = check_types(tmp_path, SCRIPT)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    mistaken = check_types(tmp_path, MISTAKES)
    lines = [line for line in mistaken.stdout.splitlines() if "script.py:" in line]
    assert [line.split(":")[1] for line in lines] == ["4", "5", "6"], mistaken.stdout


def test_the_package_is_marked_as_typed():
    assert (ROOT / "geoloc/py.typed").is_file()
    assert (ROOT / "geocells/py.typed").is_file()


def test_public_names_are_listed_and_importable():
    assert set(geoloc.__all__) <= set(dir(geoloc))
    for name in geoloc.__all__:
        assert getattr(geoloc, name) is not None
    with pytest.raises(AttributeError, match="nosuch"):
        _ = geoloc.nosuch


def test_errors_have_one_base():
    from geoloc.belief import constraints

    assert issubclass(geoloc.PhotoError, geoloc.GeolocError)
    assert issubclass(geoloc.ConstraintError, geoloc.GeolocError)
    assert constraints.ConstraintError is geoloc.ConstraintError


@pytest.fixture(scope="module")
def geolocator():
    return geoloc.Geolocator.from_bundle()


@pytest.fixture(scope="module")
def photo(photo_folder):
    return photo_folder / "00.jpg"


def test_the_default_bundle_is_that_of_the_command(geolocator):
    assert geoloc.list_bundles() == ["starter"]
    assert geolocator.bundle.name == installed.default_name() == "starter"
    assert geoloc.load_bundle("starter").path == geolocator.bundle.path


def test_every_kind_of_source_gives_the_same_answer(geolocator, photo):
    content = photo.read_bytes()
    pixels = np.asarray(Image.open(photo))
    with photo.open("rb") as file:
        sources = [str(photo), photo, content, io.BytesIO(content), file]
        whole_files = [geolocator.locate(source) for source in sources]
    assert len({(guess.lat, guess.lon, guess.exif.taken_at) for guess in whole_files}) == 1
    decoded = [geolocator.locate(source) for source in (Image.fromarray(pixels), pixels)]
    assert len({(guess.lat, guess.lon) for guess in decoded}) == 1
    embeddings = geolocator.embed([photo, Image.fromarray(pixels), pixels])
    assert embeddings.dtype == np.float32
    assert embeddings.shape == (3, geolocator.encoder.spec.dim)
    assert np.linalg.norm(embeddings, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert (embeddings @ embeddings.T > 0.98).all()


def test_guesses_from_embeddings_equal_those_from_photos(geolocator, photo_folder):
    photos = [photo_folder / f"{number:02}.jpg" for number in range(3)]
    embeddings = geolocator.embed(photos)
    located = list(geolocator.locate_many(photos, top=3, within="Australia"))
    constraint = geolocator.restrict("Australia")
    guessed = geolocator.guess(embeddings, top=3, constraint=constraint)
    assert [guess.photo for guess in guessed] == ["embedding 0", "embedding 1", "embedding 2"]
    for one, other in zip(located, guessed, strict=True):
        assert (one.lat, one.lon, one.radius_80_km) == (other.lat, other.lon, other.radius_80_km)
        assert one.candidates == other.candidates
        assert one.within == other.within == "Australia"
    assert geolocator.guess(embeddings[:0]) == []


def test_embed_raises_the_error_of_an_unreadable_photo(geolocator, photo_folder):
    sources = [photo_folder / "00.jpg", photo_folder / "damaged.jpg"]
    with pytest.raises(geoloc.PhotoError, match=r"damaged\.jpg"):
        geolocator.embed(sources)
    (encoded,) = geolocator.encode(sources)
    assert encoded.index.tolist() == [0]
    assert [type(result).__name__ for result in encoded.results] == ["Photo", "PhotoError"]
    assert len(encoded.photos) == len(encoded.errors) == len(encoded.embeddings) == 1
    assert geolocator.embed([]).shape == (0, geolocator.encoder.spec.dim)


def test_unreadable_photos_are_raised_or_skipped_together(geolocator, photo_folder):
    views = [photo_folder / "00.jpg", photo_folder / "damaged.jpg", photo_folder / "03.jpg"]
    with pytest.raises(geoloc.PhotoError, match=r"damaged\.jpg"):
        geolocator.locate_together(views)
    skipped = geolocator.locate_together(iter(views), on_error="skip")
    assert len(skipped.photos) == 2
    good = geolocator.locate_together([views[0], views[2]])
    assert (good.lat, good.lon, good.photo) == (skipped.lat, skipped.lon, skipped.photo)
    with pytest.raises(geoloc.PhotoError, match=r"damaged\.jpg"):
        geolocator.locate_together(views[1:2], on_error="skip")
    for on_error in ("raise", "skip"):
        with pytest.raises(geoloc.PhotoError, match="no photos"):
            geolocator.locate_together([], on_error=on_error)


@pytest.mark.parametrize("method", ["locate_many", "locate_together", "embed"])
def test_a_single_photo_is_no_list(geolocator, photo, method):
    pixels = np.zeros((32, 32, 3), np.uint8)
    for source in (photo, str(photo), photo.read_bytes(), pixels):
        with pytest.raises(TypeError, match="give a list of photos"):
            next(iter(getattr(geolocator, method)(source)))


def test_an_invalid_constraint_is_an_error(geolocator, photo):
    with pytest.raises(geoloc.ConstraintError, match="Portugal"):
        geolocator.locate(photo, within="Portugl")
