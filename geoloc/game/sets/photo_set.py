"""Sets of photos for the game of the page: small copies without metadata, in a folder."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image
from pyarrow import csv

from geoloc.answer.explain import describe
from geoloc.belief.witnesses.file_tags import read_tags
from geoloc.errors import GeolocError, PhotoError
from geoloc.game.places import GameError
from geoloc.game.sets.pool import CREDITS, Pool
from geoloc.game.sets.spread import APART_KM, Spread
from geoloc.geolocator import Geolocator
from geoloc.guess import Guess
from geoloc.io.atomic import atomic_directory
from geoloc.photos.decode import load
from geoloc.retrieval.windows import correlations
from geoloc.types import Float64Array, UInt8Array

TABLE = "game.csv"
"""Name of the table in the folder of a set."""

SIDE_PX, QUALITY = 1024, 85
"""Longer side of the copies, and the quality of their JPEG."""

LEAST_PX = 240
"""Shorter side of photos in which something can be seen."""

LEAST_CORRELATION = 0.8
"""Correlation of signatures from which two photos are the same; the starter's fitted threshold is
0.815."""

Line = Callable[[str], object]
"""Receives a line about a photo that is left out."""


@dataclass(frozen=True)
class _Copy:
    """A small copy of a photo, and its credit in the metadata of the file."""

    content: bytes
    author: str
    licence: str


@dataclass(frozen=True)
class PhotoSet:
    """What was written."""

    photos: int
    countries: int
    collections: int
    left_out: int
    """Photos that were drawn and cannot be used."""


def write_set(
    pool: Pool,
    out: Path,
    geolocator: Geolocator,
    *,
    count: int,
    seen: Sequence[Path] = (),
    seed: int = 0,
    problem: Line = lambda line: None,
) -> PhotoSet:
    """Choose photos, and write their copies and a table of their places into a new folder.

    Left out are photos that cannot be read or are small, that the model was made from, unless there
    is a held-out answer to them, and that show what another photo of the set or of `seen` does.

    Args:
        pool: photos to choose from.
        out: the folder to write; it may be empty.
        geolocator: of the model against which the set is played.
        count: of photos.
        seen: photos that players know.
        seed: of the choice.
        problem: receives a line for each photo that is left out.

    Raises:
        GameError: no photo is left, or the folder is not empty.
        OSError: the folder cannot be written.
    """
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise GameError(f"{out}: it exists and is not empty; choose another name or delete it")
    judge = _Judge(geolocator, seen)
    spread = Spread(pool.latlon, pool.collection, seed)
    rows: list[int] = []
    credits: list[Sequence[str]] = []
    left_out = 0
    with atomic_directory(out) as folder:
        while len(rows) < count and (row := spread.draw()) is not None:
            try:
                copy = _copy(pool.file[row])
                judge.admit(copy.content, pool.answer[row], str(pool.name[row]), pool.has_answers)
            except GeolocError as error:
                left_out += 1
                problem(f"left out: {_about(pool.file[row], error)}")
                continue
            spread.keep(row)
            rows.append(row)
            credits.append(_credit(pool, row, copy))
            (folder / _name(len(rows))).write_bytes(copy.content)
        if not rows:
            raise GameError(f"{out}: none of {len(pool):,} photos can be used; choose others")
        _write_table(pool, rows, credits, folder / TABLE)
    places = describe(pool.latlon[rows])
    countries = {place.country_code for place in places}
    return PhotoSet(len(rows), len(countries), len(set(pool.collection[rows])), left_out)


def too_few(made: PhotoSet, count: int) -> str:
    """Return why a set has fewer photos than were asked for; "" if it has not."""
    if made.photos >= count:
        return ""
    return (
        f"the set has {made.photos:,} photos of {count:,}: no other one is fair and {APART_KM:g} km"
        " from them; give more photos of other places"
    )


class _Judge:
    """Admits photos that neither the model nor the players know."""

    def __init__(self, geolocator: Geolocator, seen: Sequence[Path]) -> None:
        self._geolocator = geolocator
        self._names: list[str] = []
        self._signatures: list[UInt8Array] = []
        for file in seen:
            self._look(_small(load(file).image), f"{file.name}, which players know,")

    def admit(self, content: bytes, answer: Float64Array, name: str, has_answers: bool) -> None:
        """Take the copy of a photo into the set.

        Raises:
            GameError: it is not fair, or shows what another photo does; the message says why.
        """
        if has_answers and not np.isfinite(answer).all():
            raise GameError("the table of answers has no answer to it")
        guess = self._look(content, name)
        known = guess.copy_of or guess.frame_of
        if known is not None and not has_answers:
            self._forget()
            raise GameError(f"the model {guess.bundle} knows this photo, as {known.source}")

    def _look(self, content: bytes, name: str) -> Guess:
        """Return the answer of the model, and remember what the photo looks like."""
        (encoded,) = self._geolocator.encode([content])
        (photo,) = encoded.photos
        assert photo.signature is not None  # of every photo that was encoded
        if self._signatures:
            others = np.stack(self._signatures)
            owner = np.zeros(len(others), np.intp)
            mine = np.repeat(photo.signature[None], len(others), axis=0)
            alike = np.maximum(  # either may be a crop of the other
                correlations(photo.signature[None], others, owner), correlations(others, mine)
            )
            if alike.max() >= LEAST_CORRELATION:
                raise GameError(f"it shows what {self._names[int(alike.argmax())]} does")
        self._names.append(name)
        self._signatures.append(photo.signature)
        return self._geolocator.guess(encoded.embeddings, encoded.photos)[0]

    def _forget(self) -> None:
        """Forget the last photo."""
        self._names.pop()
        self._signatures.pop()


def _copy(file: Path) -> _Copy:
    """Return a small upright JPEG of a photo, without metadata.

    Raises:
        PhotoError: it cannot be read, or is too small.
    """
    photo = load(file, min_side=SIDE_PX // 2)
    tags, image = read_tags(photo), photo.image
    if min(image.size) < LEAST_PX:
        width, height = image.size
        raise PhotoError(f"{width} x {height} pixels are too few; give {LEAST_PX} on each side")
    return _Copy(_small(image), tags.author, tags.licence)


def _small(image: Image.Image) -> bytes:
    """Return a picture as a JPEG of at most SIDE_PX."""
    small = image.copy()
    small.thumbnail((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    small.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def _about(file: Path, error: GeolocError) -> str:
    """Return an error as a line that names the file once."""
    text = str(error)
    return text if text.startswith(str(file)) else f"{file}: {text}"


def _name(number: int) -> str:
    return f"{number:04}.jpg"


def _write_table(
    pool: Pool, rows: Sequence[int], credits: Sequence[Sequence[str]], path: Path
) -> None:
    """Write places, credits, and held-out answers if there are any."""
    columns: dict[str, list[object]] = {
        "file": [_name(number) for number in range(1, len(rows) + 1)],
        "lat": pool.latlon[rows, 0].round(6).tolist(),
        "lon": pool.latlon[rows, 1].round(6).tolist(),
        "collection": pool.collection[rows].tolist(),
    }
    columns |= {name: [each[i] for each in credits] for i, name in enumerate(CREDITS)}
    if pool.has_answers:
        answer = pool.answer[rows].round(6).tolist()
        columns["predicted_lat"] = [lat for lat, _ in answer]
        columns["predicted_lon"] = [lon for _, lon in answer]
    csv.write_csv(pa.table(columns), path)


def _credit(pool: Pool, row: int, copy: _Copy) -> Sequence[str]:
    """Return what the table says of a photo's author and licence, or else what its file does."""
    stated: Sequence[str] = pool.credit[row].tolist()
    return stated if any(stated) else (copy.author, copy.licence, "")
