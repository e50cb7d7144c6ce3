"""Captions: what is known of a photo, as sentences for contrastive pretraining (section 3)."""

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
_SHUFFLE = 3
"""More draws, which order the sentences after the first."""

_SLOTS = {
    "country": "{country}",
    "region": "{region}{country}",
    "town": "{town}{country}",
    "town_region": "{town}{region}{country}",
}
"""Which names each sentence of a place needs."""


class CaptionError(GeolocError):
    """There are no such captions."""


@dataclass(frozen=True)
class _Words:
    """A language."""

    place: dict[str, str]
    """Sentences by what they name; see _SLOTS."""
    article: str
    with_article: frozenset[str]
    climate: dict[str, str]
    """Whole sentences by Köppen class, and so on."""
    side: dict[str, str]
    heading: list[str]
    month: list[str]
    prompt: str

    def named(self, country: str) -> str:
        """The country as it stands in a sentence."""
        return self.article + country if country in self.with_article else country


class Captioner:
    """Writes captions in one style and language, both of them sections of captions.toml."""

    def __init__(self, style: str, language: str = "en") -> None:
        """Choose style and language.

        Raises:
            CaptionError: there is no such style or language.
        """
        self._odds = _chosen("styles", style)
        self._words = _language(language, self._odds["sentences"])
        self._speaks_of_places = "{country}" in self._words.place["country"]

    def batch(
        self, table: pa.Table, rows: npt.ArrayLike, seed: int = 0, epoch: int = 0
    ) -> list[str]:
        """A caption for each of some photos.

        Args:
            table: enriched photo table.
            rows: (B,) of it.
            seed: of the run.
            epoch: number of the pass: each tells something else of a photo.

        Returns:
            B captions that depend on seed, epoch and photo_id only; "" where nothing is known.
        """
        chosen = table.take(pa.array(np.asarray(rows, np.int64)))
        draws = _draws(_texts(chosen, "photo_id"), seed, epoch)
        facts = zip(
            _texts(chosen, "country"),
            _texts(chosen, "region"),
            _texts(chosen, "town"),
            _texts(chosen, "koppen"),
            _texts(chosen, "driving_side"),
            _compass(chosen),
            _months(chosen),
            strict=True,
        )
        return [self._one(*fact, draw) for fact, draw in zip(facts, draws.tolist(), strict=True)]

    def country_prompts(self, countries: Sequence[str]) -> list[str]:
        """A caption for each country name, to ask a model in which of them a photo was taken."""
        words = self._words
        return [words.prompt.format(country=words.named(country)) for country in countries]

    def _one(
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
        wanted = {name: draw[i] < self._odds[name] for i, name in enumerate(_DRAWS)}
        words, said = self._words, []
        climate = words.climate.get(koppen, "") if wanted["climate"] else ""
        if climate:
            said.append(climate)
        elif wanted["side"] and side in words.side:
            said.append(words.side[side])
        if wanted["heading"] and heading >= 0:
            said.append(words.heading[heading])
        if wanted["month"] and month > 0:
            said.append(words.month[month - 1])
        said = [text for _, text in sorted(zip(draw[len(_DRAWS) :], said, strict=False))]
        place = ""
        if not climate or wanted["place_beside_climate"]:
            place = self._place(
                country, region if wanted["region"] else "", town if wanted["town"] else ""
            )
        return " ".join([place, *said] if place else said)

    def _place(self, country: str, region: str, town: str) -> str:
        if not country and self._speaks_of_places:
            return ""
        named = [name for name, value in (("town", town), ("region", region)) if value]
        template = self._words.place["_".join(named) or "country"]
        return template.format(country=self._words.named(country), region=region, town=town)


def _draws(photos: list[str], seed: int, epoch: int) -> Float64Array:
    """(B, draws) uniform in 0..1, of each photo by itself."""
    start = hashlib.blake2b(f"{seed} {epoch} ".encode(), digest_size=2 * (len(_DRAWS) + _SHUFFLE))
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
    """0 to 3 for north, east, south, west, each 90 degrees wide; -1 where unknown."""
    degrees = _numbers(table, "heading")
    turned = np.ceil((np.nan_to_num(degrees) - 45.0) / 90.0) % 4.0
    return np.where(np.isfinite(degrees), turned, -1).astype(int).tolist()


def _months(table: pa.Table) -> list[int]:
    """1 to 12; 0 where unknown."""
    return np.nan_to_num(_numbers(table, "month")).astype(int).tolist()


def _numbers(table: pa.Table, name: str) -> Float64Array:
    if name not in table.column_names:
        return np.full(len(table), np.nan)
    return np.asarray(table[name].cast(pa.float64()).to_numpy(), np.float64)


@cache
def _file() -> dict[str, Any]:
    text = Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _chosen(section: str, name: str) -> dict[str, Any]:
    known: dict[str, Any] = _file()[section]
    if name not in known:
        kind = section.removesuffix("s")
        raise CaptionError(f"captions: no {kind} {name!r}; choose one of {', '.join(known)}")
    return dict(known[name])


def _language(name: str, place: str) -> _Words:
    """A language with its vocabulary put into its sentences.

    Raises:
        CaptionError: there is no such language, or it misses a word.
    """
    raw = _chosen("languages", name)
    try:
        return _Words(
            place={named: raw["place"][place][named] for named in _SLOTS},
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
