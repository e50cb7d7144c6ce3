"""A fake geolocator: decodes real photos and parses real constraints, with fixed answers."""

from copy import copy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import shapely

from geocells.table import CellTable
from geoloc.belief.constraints import parse
from geoloc.belief.witnesses.base import observed
from geoloc.encoders.base import Preprocessing
from geoloc.photos.decode import load
from geoloc.retrieval.tables import Clusters
from tests.demo.guesses import HOBART, make_guess


def make_cells():
    return CellTable(
        cell_id=np.array(["AU-1", "AU-2"]),
        country=np.array(["AU", "AU"]),
        region=np.array(["New South Wales", "Tasmania"]),
        region_id=np.array(["AU/NSW", "AU/TAS"]),
        centroids=np.array([[-33.9, 151.2], [-42.9, 147.3]]),
        polygon=np.array([shapely.box(150, -35, 152, -33), shapely.box(145, -44, 149, -41)]),
        count=np.array([5000, 40]),
    )


class FakeEncoder:
    """Returns constant embeddings and counts the encoded photos."""

    def __init__(self, fingerprint="fake"):
        pixels = Preprocessing(32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
        self.spec = SimpleNamespace(preprocessing=pixels, dim=4, fingerprint=fingerprint)
        self.encoded = 0

    def embed(self, pixels):
        self.encoded += len(pixels)
        return np.ones((len(pixels), 4), np.float32)


class FakeGeolocator:
    """Answers Sydney, or Hobart if the constraint excludes Sydney."""

    def __init__(self, name="fake", patches=None, encoder="fake"):
        self.cells, self.encoder = make_cells(), FakeEncoder(encoder)
        clusters = Clusters(np.array([0, 1]), self.cells.centroids, self.cells.count)
        gallery = SimpleNamespace(clusters=clusters)
        ranker = SimpleNamespace(gallery=gallery)
        self.bundle = SimpleNamespace(name=name, ranker=ranker, thumbnails=None)
        self.patches = patches
        self.load = load
        self.witnesses = ()

    def with_witnesses(self, witnesses):
        other = copy(self)
        other.witnesses = tuple(witnesses)
        return other

    def read(self, source, /, **options):
        return observed(self.load(source, **options), self.witnesses)

    def locate(self, source):
        loaded = load(source)
        return make_guess(exif=loaded.exif, photo=loaded.name)

    def restrict(self, within):
        if within is None:
            return None
        constraint = parse(within)
        mask = constraint.mask(self.cells, self.cells.centroids)
        sydney, hobart = mask.share
        return SimpleNamespace(name=constraint.name, hobart=hobart > sydney)

    def guess(self, embeddings, photos, top=5, constraint=None):
        assert len(embeddings) == len(photos)
        return [self._guess(photo, constraint) for photo in photos]

    def guess_together(self, embeddings, groups, top=5, constraint=None):
        assert len(embeddings) == sum(map(len, groups))
        return [
            replace(self._guess(photos[0], constraint), photos=tuple(each.name for each in photos))
            for photos in groups
        ]

    def attribution(self, source, within=None):
        load(source)
        return self.patches

    def _guess(self, photo, constraint):
        hobart = {"lat": -42.88, "lon": 147.33} if constraint and constraint.hobart else {}
        guess = make_guess(exif=photo.exif, photo=photo.name, **hobart)
        if hobart:
            guess = replace(guess, place=HOBART)
            guess = replace(guess, candidates=(replace(guess.candidates[0], place=HOBART),))
        return replace(
            guess, within=constraint.name if constraint else None, bundle=self.bundle.name
        )
