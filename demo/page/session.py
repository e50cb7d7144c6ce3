"""Photos looked at once, and asked about as often as the visitor likes."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from demo.page.pictures import data_uri
from geoloc.encoders.pipeline import encode_all
from geoloc.errors import PhotoError
from geoloc.geolocator import Geolocator
from geoloc.guess import Guess
from geoloc.photos.decode import Photo
from geoloc.types import Float32Array

Coarse = Callable[[Guess], Guess]


@dataclass(frozen=True, eq=False)
class Seen:
    """One upload, read or not."""

    path: Path
    photo: Photo | PhotoError
    thumbnail: str
    """Address of a small picture; "" if it could not be read."""


@dataclass(frozen=True, eq=False)
class Session:
    """What one visitor has asked. Pixels are not in it; the files are deleted within minutes."""

    bundle: str
    seen: tuple[Seen, ...]
    """All uploads, in their order."""
    embeddings: Float32Array
    """(number of readable photos, D)."""
    guesses: tuple[Guess, ...] = ()
    """One for each readable photo, or a single one for all of them."""
    together: bool = False
    within: str | None = None
    """What was known when it was asked."""
    shown: int = 0
    """Which upload the page shows."""

    @property
    def photos(self) -> list[Photo]:
        """The readable ones."""
        return [item.photo for item in self.seen if isinstance(item.photo, Photo)]

    def answer(self, index: int) -> Guess | PhotoError:
        """What is known of one upload."""
        item = self.seen[index].photo
        if isinstance(item, PhotoError):
            return item
        if self.together:
            return self.guesses[0]
        return self.guesses[sum(isinstance(s.photo, Photo) for s in self.seen[:index])]


def look(geolocator: Geolocator, bundle: str, paths: Sequence[Path]) -> Session:
    """Read and encode photos: the expensive part, which is done once.

    Args:
        geolocator: whose encoder looks.
        bundle: what the page calls it.
        paths: the uploads, at least one.
    """
    thumbnails: dict[Path, str] = {}

    def load(path: Path, /, *, min_side: int | None = None, known: Container[str] = ()) -> Photo:
        # messages name the file as its owner knows it, not where it lies
        loaded = geolocator.load(path, name=path.name, min_side=min_side, known=known)
        thumbnails[path] = data_uri(loaded.image)
        return loaded

    encoded = encode_all(geolocator.encoder, paths, load=load)
    seen = [
        Seen(path, item, thumbnails.get(path, ""))
        for path, item in zip(paths, encoded.results, strict=True)
    ]
    first = next((i for i, item in enumerate(seen) if item.thumbnail), 0)
    return Session(bundle, tuple(seen), encoded.embeddings, shown=first)


def ask(
    geolocator: Geolocator, session: Session, together: bool, within: str | None, coarse: Coarse
) -> Session:
    """Answer from the embeddings; photos are not looked at again.

    Args:
        geolocator: that looked at the photos.
        session: what it saw.
        together: whether the photos show one place.
        within: what is known beforehand, see `geoloc.belief.constraints.parse`.
        coarse: takes from every guess what may not be shown.

    Raises:
        ConstraintError: `within` is not understood, or no geocell lies there.
    """
    constraint, readable = geolocator.restrict(within), session.photos
    together = together and len(readable) > 1
    if together:
        guesses = geolocator.guess_together(session.embeddings, [readable], constraint=constraint)
    else:
        guesses = geolocator.guess(session.embeddings, readable, constraint=constraint)
    shown = tuple(map(coarse, guesses))
    return replace(session, together=together, within=within, guesses=shown)
