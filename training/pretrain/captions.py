"""Captions from photo metadata, for contrastive pretraining (PIGEON, section 3)."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from geocells.attributes import KOPPEN_CLASSES
from geoloc.errors import GeolocError
from geoloc.types import Float64Array

_DRAWS = ("region", "town", "climate", "place_beside_climate", "side", "heading", "month")
"""Random draws of a caption: each decides whether one part is included."""
_ORDER_DRAWS = 3
"""Further draws, which order the sentences after the first."""

_SLOTS = {
    "country": "{country}",
    "region": "{region}{country}",
    "town": "{town}{country}",
    "town_region": "{town}{region}{country}",
}
"""Names that the place sentences of each kind contain."""


class CaptionError(GeolocError):
    """Unknown caption style or language, or an incomplete language in captions.toml."""


@dataclass(frozen=True)
class _Language:
    """The sentences of a language with its vocabulary filled in."""

    place: dict[str, str]
    """Place sentences by the names they contain; see _SLOTS."""
    article: str
    with_article: frozenset[str]
    climate: dict[str, str]
    """Sentences by Köppen class."""
    side: dict[str, str]
    """Sentences by side of the traffic."""
    heading: list[str]
    """Sentences for north, east, south, west."""
    month: list[str]
    """Sentences for January to December."""
    prompt: str
    """Zero-shot caption of a country."""

    def name_in_sentence(self, country: str) -> str:
        """Prefix the article to the countries that take one in a sentence."""
        return self.article + country if country in self.with_article else country


class Captioner:
    """Writes captions in one style and language, which are sections of captions.toml."""

    def __init__(self, style: str, language: str = "en") -> None:
        """Load style and language.

        Raises:
            CaptionError: there is no such style or language.
        """
        self._probability = _section("styles", style)
        self._language = _load_language(language, self._probability["sentences"])
        self._needs_country = "{country}" in self._language.place["country"]

    def batch(
        self, table: pa.Table, rows: npt.ArrayLike, seed: int = 0, epoch: int = 0
    ) -> list[str]:
        """Write a caption for each of B photos.

        Args:
            table: enriched photo table.
            rows: (B,) rows of the table.
            seed: seed of the run.
            epoch: number of the pass; each draws other parts of the metadata.

        Returns:
            B captions, which depend on seed, epoch, photo_id and metadata only; "" without
            metadata to build one from.
        """
        chosen = table.take(pa.array(np.asarray(rows, np.int64)))
        draws = _draws(_texts(chosen, "photo_id"), seed, epoch)
        metadata = zip(
            _texts(chosen, "country"),
            _texts(chosen, "region"),
            _texts(chosen, "town"),
            _texts(chosen, "koppen"),
            _texts(chosen, "driving_side"),
            _compass(chosen),
            _months(chosen),
            draws.tolist(),
            strict=True,
        )
        return [self._caption(*parts) for parts in metadata]

    def country_prompts(self, countries: Sequence[str]) -> list[str]:
        """Return a caption for each country name, for zero-shot classification."""
        language = self._language
        return [
            language.prompt.format(country=language.name_in_sentence(country))
            for country in countries
        ]

    def _caption(
        self,
        country: str,
        region: str,
        town: str,
        koppen: str,
        side: str,
        heading: int,
        month: int,
        draw: list[float],
    ) -> str:
        drawn = {name: draw[i] < self._probability[name] for i, name in enumerate(_DRAWS)}
        language, sentences = self._language, []
        climate = language.climate.get(koppen, "") if drawn["climate"] else ""
        if climate:
            sentences.append(climate)
        elif drawn["side"] and side in language.side:
            sentences.append(language.side[side])
        if drawn["heading"] and heading >= 0:
            sentences.append(language.heading[heading])
        if drawn["month"] and month > 0:
            sentences.append(language.month[month - 1])
        ordered = sorted(zip(draw[len(_DRAWS) :], sentences, strict=False))
        sentences = [text for _, text in ordered]
        place = ""
        if not climate or drawn["place_beside_climate"]:
            place = self._place(
                country, region if drawn["region"] else "", town if drawn["town"] else ""
            )
        return " ".join([place, *sentences] if place else sentences)

    def _place(self, country: str, region: str, town: str) -> str:
        if not country and self._needs_country:
            return ""
        names = [name for name, value in (("town", town), ("region", region)) if value]
        template = self._language.place["_".join(names) or "country"]
        country = self._language.name_in_sentence(country)
        return template.format(country=country, region=region, town=town)


def _draws(photos: list[str], seed: int, epoch: int) -> Float64Array:
    """Draw (B, draws) uniform numbers in 0..1, for each photo independently of the others."""
    start = hashlib.blake2b(
        f"{seed} {epoch} ".encode(), digest_size=2 * (len(_DRAWS) + _ORDER_DRAWS)
    )
    digests = []
    for photo in photos:
        one = start.copy()
        one.update(photo.encode())
        digests.append(one.digest())
    return np.frombuffer(b"".join(digests), "<u2").reshape(len(photos), -1) / 65536.0


def _texts(table: pa.Table, name: str) -> list[str]:
    if name not in table.column_names:
        return [""] * len(table)
    return [value or "" for value in table[name].to_pylist()]


def _compass(table: pa.Table) -> list[int]:
    """Return 0 to 3 for north, east, south, west, each 90 degrees wide; -1 if unknown."""
    degrees = _numbers(table, "heading")
    turned = np.ceil((np.nan_to_num(degrees) - 45.0) / 90.0) % 4.0
    return list(map(int, np.where(np.isfinite(degrees), turned, -1)))


def _months(table: pa.Table) -> list[int]:
    """Return 1 to 12; 0 if unknown."""
    return list(map(int, np.nan_to_num(_numbers(table, "month"))))


def _numbers(table: pa.Table, name: str) -> Float64Array:
    if name not in table.column_names:
        return np.full(len(table), np.nan)
    return np.asarray(table[name].cast(pa.float64()).to_numpy(), np.float64)


@cache
def _file() -> dict[str, Any]:
    text = Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _section(section: str, name: str) -> dict[str, Any]:
    available: dict[str, Any] = _file()[section]
    if name not in available:
        kind = section.removesuffix("s")
        raise CaptionError(f"captions: no {kind} {name!r}; choose one of {', '.join(available)}")
    return dict(available[name])


def _load_language(name: str, sentences: str) -> _Language:
    """Fill the vocabulary of a language into its sentences.

    Raises:
        CaptionError: there is no such language, or one of its entries is missing.
    """
    raw = _section("languages", name)
    try:
        return _Language(
            place={names: raw["place"][sentences][names] for names in _SLOTS},
            article=raw["article"],
            with_article=frozenset(raw["with_article"]),
            climate={
                koppen: raw["climate"].format(climate=raw["climates"][koppen])
                for koppen in KOPPEN_CLASSES
            },
            side={side: raw["side"].format(side=raw["sides"][side]) for side in ("left", "right")},
            heading=[raw["heading"].format(heading=raw["headings"][i]) for i in range(4)],
            month=[raw["month"].format(month=raw["months"][i]) for i in range(12)],
            prompt=raw["prompt"],
        )
    except (KeyError, IndexError) as error:
        raise CaptionError(f"captions.toml: language {name}: {error} is missing") from error
