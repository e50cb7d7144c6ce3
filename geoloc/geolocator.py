"""`Geolocator`: locate photos with a bundle."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from geocells.table import CellTable
from geoloc.answer.account import Accountant
from geoloc.answer.explain import Explainer
from geoloc.answer.ranking import Ranking
from geoloc.belief.fusion import ConstraintMask, by_group
from geoloc.belief.witnesses.base import Witness, observed
from geoloc.belief.witnesses.options import BY_DEFAULT
from geoloc.bundle import directory as bundles
from geoloc.bundle import installed
from geoloc.encoders.base import ImageEncoder
from geoloc.encoders.forms import named
from geoloc.encoders.pipeline import Encoded, Load, encode, encode_all, unnamed_photos
from geoloc.errors import PhotoError
from geoloc.guess import Guess
from geoloc.photos.decode import Photo, PhotoSource, load
from geoloc.types import Float32Array, IndexArray

if TYPE_CHECKING:
    from geoloc.belief.areas import Constraint
    from geoloc.belief.narrowed import Narrowed

DEFAULT_TOP = 5
"""Candidates in a `Guess` by default."""

Within = str | Sequence[str] | ConstraintMask | None
"""A constraint as text, such as "Portugal", or as `Geolocator.restrict` returns it."""


class Geolocator:
    """Locates photos with the models of one bundle.

    Example:
        >>> geolocator = Geolocator.from_bundle("starter")  # doctest: +SKIP
        >>> guess = geolocator.locate("photo.jpg")  # doctest: +SKIP
        >>> print(guess.place, guess.radius_80_km)  # doctest: +SKIP
    """

    def __init__(
        self, bundle: bundles.Bundle, encoder: ImageEncoder | None = None, load: Load = load
    ) -> None:
        """Wrap a loaded bundle; its encoder is loaded on first use.

        Args:
            bundle: see `geoloc.load_bundle`.
            encoder: used instead of the bundle's encoder; must give the same embeddings.
            load: decodes one photo; replace it to set limits or to read other sources.
        """
        self.bundle = bundle
        self._given_encoder = encoder
        self.load = load

    @classmethod
    def from_bundle(
        cls, name_or_path: str | os.PathLike[str] | None = None, form: str | None = None
    ) -> Geolocator:
        """Load a bundle by path or by name.

        Args:
            name_or_path: a folder, or a name from `geoloc.list_bundles()`; by default the world
                model if it is installed, else the starter, as in the command `geoloc`.
            form: of the encoder, "fp32" or "int8"; by default the faster one on this machine.

        Raises: BundleError: it is missing or damaged; MissingExtraError: it needs a library.
        """
        return cls(bundles.load(name_or_path or installed.default_name(), form))

    @property
    def cells(self) -> CellTable:
        """The geocells of the bundle."""
        return self.bundle.cells

    @cached_property
    def encoder(self) -> ImageEncoder:
        """The image encoder."""
        return self._given_encoder or self.bundle.build_encoder()

    @property
    def name(self) -> str:
        """The bundle's name, with the form of the encoder if that is loaded and not fp32."""
        return named(self.bundle.name, self.__dict__.get("encoder", self._given_encoder))

    def with_witnesses(self, witnesses: Iterable[Witness]) -> Self:
        """Return a geolocator of the same models that asks these witnesses about photos."""
        other = copy(self)
        other.witnesses = tuple(witnesses)
        return other

    @cached_property
    def witnesses(self) -> tuple[Witness, ...]:
        """Asked about every photo; by default the metadata of files are shown."""
        return BY_DEFAULT.witnesses(self.cells)

    def read(self, source: Any, /, **options: Any) -> Photo:  # noqa: ANN401
        """Decode one photo with `load`, and collect what the witnesses find in it."""
        return observed(self.load(source, **options), self.witnesses)

    def locate(self, source: PhotoSource, top: int = DEFAULT_TOP, within: Within = None) -> Guess:
        """Locate one photo.

        Args:
            source: path, bytes, open binary file, PIL image, or RGB array (H, W, 3) uint8.
            top: number of candidates in the guess.
            within: such as "Portugal" or "48.86,2.35,50km"; see `geoloc.belief.constraints.parse`.

        Raises: PhotoError: the photo cannot be read; ConstraintError: `within` is not valid, or no
            geocell of the bundle lies inside.
        """
        answer = next(self.locate_many([source], top, within))
        if isinstance(answer, PhotoError):
            raise answer
        return answer

    def locate_many(
        self, sources: Iterable[PhotoSource], top: int = DEFAULT_TOP, within: Within = None
    ) -> Iterator[Guess | PhotoError]:
        """Locate photos in order, in bounded memory.

        Args:
            sources: photos, as for `locate`; may be a generator.
            top: number of candidates in each guess.
            within: constraint that holds for all photos, as for `locate`, with its errors.

        Yields: A `Guess` for each photo, or the `PhotoError` of an unreadable one.
        """
        constraint = self.restrict(within)
        for encoded in self.encode(sources):
            guesses = iter(self.guess(encoded.embeddings, encoded.photos, top, constraint))
            for result in encoded.results:
                yield result if isinstance(result, PhotoError) else next(guesses)

    def locate_together(
        self,
        sources: Iterable[PhotoSource],
        top: int = DEFAULT_TOP,
        within: Within = None,
        *,
        on_error: Literal["raise", "skip"] = "raise",
    ) -> Guess:
        """Locate several photos of one place, such as views of a panorama, with a single guess.

        Args:
            sources: photos, as for `locate`; at least one.
            top: number of candidates in the guess.
            within: as for `locate`.
            on_error: "raise" the error of the first unreadable photo, or "skip" unreadable photos.

        Raises: PhotoError: a photo cannot be read, with "skip" none of them; ConstraintError.
        """
        constraint = self.restrict(within)
        encoded = encode_all(
            self.encoder, _several(sources), load=self.read, strict=on_error == "raise"
        )
        if not encoded.photos:
            raise next(iter(encoded.errors), PhotoError("no photos: give at least one"))
        return self.guess_together(encoded.embeddings, [encoded.photos], top, constraint)[0]

    def encode(self, sources: Iterable[PhotoSource]) -> Iterator[Encoded]:
        """Decode and encode photos in batches, ahead of the caller; see `Encoded`."""
        return encode(self.encoder, _several(sources), load=self.read)

    def embed(self, sources: Iterable[PhotoSource]) -> Float32Array:
        """Return the embeddings (N, dim) float32 of N photos, unit vectors in their order.

        Args: sources: photos, as for `locate`.

        Raises: PhotoError: a photo cannot be read. `encode` skips unreadable photos instead.
        """
        return encode_all(self.encoder, _several(sources), load=self.load, strict=True).embeddings

    def guess(
        self,
        embeddings: Float32Array,
        photos: Sequence[Photo] | None = None,
        top: int = DEFAULT_TOP,
        constraint: ConstraintMask | None = None,
    ) -> list[Guess]:
        """Locate N photos by their embeddings, which `embed` returns.

        Args:
            embeddings: (N, dim).
            photos: (N,) names and metadata of the photos; None for neither.
            top: as for `locate`.
            constraint: from `restrict`.
        """
        if not len(embeddings):
            return []
        photos = photos or unnamed_photos(len(embeddings))
        ranking, accounts = self._accountant.rank(embeddings, [[p] for p in photos], constraint)
        return self._explainer.guesses(self.name, ranking, photos, top, constraint, accounts)

    def guess_together(
        self,
        embeddings: Float32Array,
        groups: Sequence[Sequence[Photo]],
        top: int = DEFAULT_TOP,
        constraint: ConstraintMask | None = None,
    ) -> list[Guess]:
        """Locate G groups of photos, each group taken at one place.

        Args:
            embeddings: (N, dim) of all photos, group after group.
            groups: (G,) photos of each group; N in total, none empty.
            top: number of candidates in each guess.
            constraint: from `restrict`.

        Returns: (G,) guesses, each with the names of all photos and the metadata of the first.
        """
        if not groups:
            return []
        group = np.repeat(range(len(groups)), [*map(len, groups)])
        ranking, accounts = self._accountant.rank(embeddings, groups, constraint, group)
        joint = [replace(p[0], name=", ".join(each.name for each in p)) for p in groups]
        guesses = self._explainer.guesses(self.name, ranking, joint, top, constraint, accounts)
        names = (tuple(each.name for each in members) for members in groups)
        return [replace(guess, photos=all_) for guess, all_ in zip(guesses, names, strict=True)]

    def rank(
        self,
        embeddings: Float32Array,
        constraint: ConstraintMask | None = None,
        group: IndexArray | None = None,
        photos: Sequence[Photo] | None = None,
    ) -> Ranking:
        """Rank candidate places for N photos or G groups: the answers of `guess`, as arrays.

        Args:
            embeddings: (N, dim) float32 unit vectors, N > 0.
            constraint: from `restrict`.
            group: (N,) numbers 0..G-1 of photos of one place, or None; every group has a photo.
            photos: (N,) as for `guess`; without them no copies are recognised.
        """
        each = photos or unnamed_photos(len(embeddings))
        if group is None:
            return self._accountant.rank(embeddings, [[p] for p in each], constraint)[0]
        order, starts = by_group(group)
        groups = [[each[row] for row in rows] for rows in np.split(order, starts[1:])]
        return self._accountant.rank(embeddings[order], groups, constraint, group[order])[0]

    def restrict(self, within: Within) -> ConstraintMask | None:
        """Return a constraint as a mask over this bundle's cells and clusters; None for None.

        Raises: ConstraintError: it is not valid, or no geocell of the bundle lies inside.
        """
        if within is None or isinstance(within, ConstraintMask):
            return within
        return self.parse(within).mask(self.cells, self.bundle.joined.places)

    def parse(self, within: str | Sequence[str]) -> Constraint | Narrowed:
        """Parse a constraint; see `geoloc.belief.constraints.parse`. A server may refuse some."""
        from geoloc.belief.constraints import parse

        return parse(within)

    def attribution(self, source: PhotoSource, within: Within = None) -> Float32Array | None:
        """Return how much each patch of a photo supports (+) or opposes (-) its answer.

        Args:
            source: a photo, as for `locate`.
            within: constraint of the answer, as for `locate`.

        Returns: (rows, columns) on the patches of `Preprocessing.visible_part` of the photo; None
            if the encoder is no vision transformer in torch. Raises what `locate` does.
        """
        from geoloc.answer.attribution import explain_answer, may_have_map

        if not may_have_map(self.encoder):
            return None
        preprocessing, constraint = self.encoder.spec.preprocessing, self.restrict(within)
        pixels = preprocessing(self.load(source, min_side=preprocessing.min_side).image)
        return explain_answer(self.encoder, self.bundle.ranker, pixels, constraint)

    @cached_property
    def _accountant(self) -> Accountant:
        return Accountant(self.bundle.joined, self.bundle.witness_weights, self.bundle.recogniser)

    @cached_property
    def _explainer(self) -> Explainer:
        return Explainer(self.bundle.joined, self.bundle.attributes)


def _several(sources: Iterable[PhotoSource]) -> Iterable[PhotoSource]:
    """Return the sources; raise TypeError for a single one, which would be read item by item."""
    one = isinstance(sources, str | bytes | bytearray | os.PathLike)
    if one or getattr(sources, "ndim", 0) == 3:
        raise TypeError("give a list of photos; Geolocator.locate takes a single one")
    return sources
