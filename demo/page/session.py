"""State of one visitor: photos are encoded once and ranked again when the form changes."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from demo.page.rendering import image_uri, is_shown_by_browsers
from demo.page.runs import RUNS
from geoloc.belief.witnesses.options import BY_DEFAULT, EVERYTHING, WitnessOptions, with_text
from geoloc.encoders.pipeline import encode_all
from geoloc.errors import PhotoError
from geoloc.geolocator import Geolocator
from geoloc.guess import Guess
from geoloc.photos.decode import Photo
from geoloc.types import Float32Array

BlurLocation = Callable[[Guess], Guess]
"""Reduces the precision of a guess before it is shown; see `demo.security.precision`."""


@dataclass(frozen=True)
class Asked:
    """What the visitor knows about the photos."""

    within: tuple[str, ...] = ()
    """Constraints; see `geoloc.belief.constraints.parse`. None for the whole Earth."""
    evidence: WitnessOptions = BY_DEFAULT


TILE_PX, TILE_QUALITY = 160, 70
"""Of the small image of one of several photos."""


class Cancelled(Exception):
    """The visitor does not wait for the answer any more."""


@dataclass(frozen=True, eq=False)
class UploadedPhoto:
    """One upload, decoded or with the error that prevented it."""

    path: Path
    photo: Photo | PhotoError
    tile: str = ""
    """Data URI of a small image, for the choice among several photos."""
    image: str = ""
    """Data URI of a larger one, if the browser of the visitor has none that it can show."""


@dataclass(frozen=True, eq=False)
class Session:
    """Uploads of one visitor, their embeddings and guesses.

    The session holds no pixels except small images. The uploaded files are deleted within minutes.
    """

    bundle: str
    """Name of the bundle that answers."""
    uploads: tuple[UploadedPhoto, ...]
    embeddings: Float32Array
    """(number of readable photos, D)."""
    guesses: tuple[Guess, ...] = ()
    """One for each readable photo; a single one if `together`."""
    together: bool = False
    """Whether all photos show the same place."""
    within: tuple[str, ...] = ()
    """The constraints of the guesses."""
    evidence: WitnessOptions = BY_DEFAULT
    """Which witnesses the guesses count, and what the visitor measured."""
    text_read: bool | None = None
    """Whether coordinates written on photos counted when their text was read; None before that."""
    selected: int = 0
    """Index of the upload that the page shows."""
    run: str = ""
    """Name that the visitor's browser gave to these uploads, which it keeps; "" for examples."""

    @property
    def photos(self) -> list[Photo]:
        """The readable photos, in the order of the embeddings."""
        return [item.photo for item in self.uploads if isinstance(item.photo, Photo)]

    @property
    def unread(self) -> list[str]:
        """Names of the uploads that cannot be read."""
        return [each.path.name for each in self.uploads if isinstance(each.photo, PhotoError)]

    def answer(self, index: int) -> Guess | PhotoError:
        """Return the guess for one upload, or the reason why it cannot be read."""
        photo = self.uploads[index].photo
        if isinstance(photo, PhotoError):
            return photo
        if self.together:
            return self.guesses[0]
        return self.guesses[sum(isinstance(u.photo, Photo) for u in self.uploads[:index])]


def encode_uploads(
    geolocator: Geolocator,
    bundle: str,
    paths: Sequence[Path],
    run: str = "",
) -> Session:
    """Decode and encode photos, the expensive step, and return a session without guesses.

    Args:
        geolocator: its encoder is used.
        bundle: name of its bundle on the page.
        paths: the uploaded files, at least one.
        run: see `Session.run`.

    Raises:
        Cancelled: the run was cancelled.
    """
    images: dict[Path, tuple[str, str]] = {}
    geolocator = geolocator.with_witnesses(EVERYTHING.witnesses(geolocator.cells))

    def load(
        path: Path, /, *, min_side: int | None = None, skip_pixels: Container[str] = ()
    ) -> Photo:
        if RUNS.is_cancelled(run):
            raise Cancelled
        try:  # error messages give the visitor's file name, not the path on the server
            photo = geolocator.read(
                path, name=path.name, min_side=min_side, skip_pixels=skip_pixels
            )
        finally:
            RUNS.count(run)
        tile = image_uri(photo.image, TILE_PX, TILE_QUALITY) if len(paths) > 1 else ""
        has_own = bool(run) and is_shown_by_browsers(path)
        images[path] = tile, "" if has_own else image_uri(photo.image)
        return photo

    RUNS.begin(run, len(paths))
    encoded = encode_all(geolocator.encoder, paths, load=load)
    uploads = [
        UploadedPhoto(path, photo, *images.get(path, ()))
        for path, photo in zip(paths, encoded.results, strict=True)
    ]
    readable = (i for i, upload in enumerate(uploads) if isinstance(upload.photo, Photo))
    selected = next(readable, 0)
    return Session(bundle, tuple(uploads), encoded.embeddings, selected=selected, run=run)


def rank(
    geolocator: Geolocator,
    session: Session,
    together: bool,
    asked: Asked,
    blur_location: BlurLocation,
) -> Session:
    """Return the session with guesses made from its embeddings.

    Args:
        geolocator: the one that encoded the photos.
        session: a session with embeddings.
        together: whether all photos show the same place.
        asked: what the visitor knows.
        blur_location: applied to every guess.

    Raises:
        ConstraintError: the constraint is not understood, or contains no geocell of the bundle.
        GeolocError: text is to be read, and a library for it is not installed.
        WitnessError: the shadow is not understood, or lacks its time.
    """
    if asked.evidence.reads_text and session.text_read != asked.evidence.use_overlays:
        session = _with_text(geolocator, session, asked.evidence.use_overlays)
    constraint = geolocator.restrict(asked.within or None)
    readable = asked.evidence.apply(session.photos, geolocator.cells)
    together = together and len(readable) > 1
    if together:
        guesses = geolocator.guess_together(session.embeddings, [readable], constraint=constraint)
    else:
        guesses = geolocator.guess(session.embeddings, readable, constraint=constraint)
    blurred = tuple(map(blur_location, guesses))
    return replace(
        session, together=together, within=asked.within, evidence=asked.evidence, guesses=blurred
    )


def _with_text(geolocator: Geolocator, session: Session, use_overlays: bool) -> Session:
    """Return a session whose text was read; photos whose file is deleted stay as they are."""
    uploads = list(session.uploads)
    for index, upload in enumerate(uploads):
        if isinstance(upload.photo, Photo) and upload.path.is_file():
            content = upload.path.read_bytes()
            read = with_text(upload.photo, content, geolocator.cells, use_overlays=use_overlays)
            uploads[index] = replace(upload, photo=read)
    return replace(session, uploads=tuple(uploads), text_read=use_overlays)
