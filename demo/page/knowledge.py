"""What a model knows, in one sentence for the first look at the page."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from geocells.borders.hierarchy import embedded_boundaries
from geoloc.geolocator import Geolocator
from geoloc.retrieval.tables import Clusters

NAMED = 3
"""Countries that are named, those with most photos."""
MOST_SHARE = 0.5
"""The named countries hold "most" photos above this share."""


def knowledge(geolocators: Mapping[str, Geolocator]) -> list[str]:
    """Return one sentence for each model, with its name if there are several."""
    sentences = [_sentence(each.bundle.ranker.gallery.clusters) for each in geolocators.values()]
    if len(sentences) == 1:
        return sentences
    return [f"{name}: {each}" for name, each in zip(geolocators, sentences, strict=True)]


def _sentence(clusters: Clusters) -> str:
    """Return how many photos there are and where most of them are from."""
    country = embedded_boundaries().country
    rows = country.locate(clusters.latlon, max_km=50.0)
    photos = np.bincount(rows[rows >= 0], clusters.count[rows >= 0], len(country))
    total, held = int(clusters.count.sum()), int((photos > 0).sum())
    first = np.argsort(-photos, kind="stable")[: min(NAMED, held)]
    names = [str(country.names[row]) for row in first]
    listed = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else "nowhere"
    countries = "country" if held == 1 else "countries"
    how_many = "most" if photos[first].sum() > MOST_SHARE * total else "the largest part"
    return (
        f"The model compares your photo with {total:,} photos that it knows, from {held}"
        f" {countries}; {how_many} of them from {listed}. Of other places it is rarely sure,"
        " and says so."
    )
