"""Fit the identifier of scripts, `geoloc/belief/witnesses/ocr/scripts.safetensors`.

    python -m training.witnesses.scripts TABLE.csv [TABLE.csv ...]

writes it from simulated lines in 24 scripts, and from what the text detector marks in the photos of
tables with the columns file, lat and lon, where only Latin letters are written. It needs Babel,
rapidocr, and fonts of all scripts (Debian's fonts-noto, fonts-nanum...).
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

from geocells.borders.hierarchy import embedded_boundaries
from geoloc.belief.witnesses.ocr.networks import TextNetworks
from geoloc.belief.witnesses.ocr.reader import TextReader
from geoloc.belief.witnesses.ocr.scripts import NOTHING, WEIGHTS, characters, describe
from geoloc.belief.witnesses.text.speakers import spoken
from geoloc.types import Float32Array
from training.witnesses import signs
from training.witnesses.tables import placed_photos

LANGUAGES = {
    "Arabic": "ar fa ur", "Armenian": "hy", "Bengali": "bn", "Cyrillic": "ru uk bg sr",
    "Devanagari": "hi mr ne", "Ethiopic": "am", "Georgian": "ka", "Greek": "el", "Gujarati": "gu",
    "Gurmukhi": "pa", "Han": "zh ja", "Hangul": "ko", "Hebrew": "he", "Kana": "ja", "Kannada": "kn",
    "Khmer": "km", "Lao": "lo", "Latin": "en de fr pt vi tr pl", "Malayalam": "ml", "Myanmar": "my",
    "Sinhala": "si", "Tamil": "ta", "Telugu": "te", "Thai": "th",
}  # fmt: skip
"""Languages of CLDR by script."""

LINES = 160
"""Simulated lines of each script."""

LONGEST = 16
"""Letters of a line."""

CERTAIN = 0.9
"""Confidence from which on a line of a photo is Latin; others cannot be read, in no script."""

OFFSHORE_KM = 5.0

READ_BY_MANY = 0.1
"""Rate of a language; see `geoloc.belief.witnesses.text.speakers`."""

REGULARISATION = 0.01


def words(script: str) -> list[str]:
    """Return names of countries and languages that are written in one script only."""
    from babel import Locale

    letters = {"Han": ("CJK",), "Kana": ("KATAKANA", "HIRAGANA")}.get(script, (script.upper(),))
    found = set()
    for language in LANGUAGES[script].split():
        locale = Locale.parse(language)
        for word in [*locale.territories.values(), *locale.languages.values()]:
            names = [unicodedata.name(c, "") for c in word if c.isalpha()]
            if names and all(name.startswith(letters) for name in names):
                found.add(word.replace("\u200b", ""))
    return sorted(found)


def simulated(reader: TextReader, rng: np.random.Generator) -> Iterator[tuple[str, Float32Array]]:
    """Yield scripts and features of simulated lines, cut out as the detector finds them."""
    for script in LANGUAGES:
        pool = words(script)
        for word in rng.choice(pool, LINES):
            text = str(word) if len(word) <= LONGEST else str(word).split()[0][:LONGEST]
            text = text.upper() if script == "Latin" and rng.random() < 0.3 else text
            sign = signs.line(text, rng, rng.uniform(14.0, 60.0))
            for crop in reader.crops(_scene(sign, rng))[:1] if sign is not None else ():
                yield script, features(reader.networks, crop)


def _scene(sign: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return a sign on a plain wall, which is as cheap to search as it can be."""
    size = (round(1.3 * sign.width) + 60, round(2.0 * sign.height) + 60)
    wall = Image.new("RGB", size, tuple(map(int, rng.uniform(0, 256, 3))))
    return signs.on_photo(wall, sign, rng, hidden=rng.choice([0.0, 0.05]))


def detected(tables: list[str]) -> Iterator[tuple[str, Float32Array]]:
    """Yield the features of lines of photos in countries that write only Latin letters."""
    reader, photos = TextReader(), list(placed_photos(tables))
    country = embedded_boundaries().country
    where = country.locate(np.array([[p.lat, p.lon] for p in photos]), OFFSHORE_KM)
    for photo, row in zip(photos, where, strict=True):
        if row < 0 or str(country.codes[row]) not in latin_countries():
            continue
        for crop in reader.crops(Image.open(photo.path).convert("RGB")):
            text, confidence = reader.networks.read(crop)
            latin = confidence > CERTAIN and len(text) > 3 and text.isascii()
            yield "Latin" if latin else NOTHING, features(reader.networks, crop)


@cache
def latin_countries() -> frozenset[str]:
    """Return the countries where no language in another script is read by many."""
    scripts: dict[str, set[str]] = {}
    for each in spoken():
        if each.rate >= READ_BY_MANY:
            scripts.setdefault(each.country, set()).add(each.script)
    return frozenset(country for country, own in scripts.items() if own == {"Latn"})


def features(networks: TextNetworks, crop: Image.Image) -> Float32Array:
    """Return the features of a line."""
    probabilities = networks.probabilities(crop)
    return describe(probabilities, characters(probabilities.shape[1]))


def fit(named: list[tuple[str, Float32Array]], path: Path = WEIGHTS) -> None:
    """Fit the classifier to scripts and features, and write it."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    x = np.array([each for _, each in named])
    scale = StandardScaler().fit(x)
    model = LogisticRegression(C=REGULARISATION, max_iter=500)
    model.fit(scale.transform(x), [name for name, _ in named])
    weight = (model.coef_ / scale.scale_).T
    bias = model.intercept_ - scale.mean_ @ weight
    tensors = {"weight": weight.astype(np.float16), "bias": bias.astype(np.float32)}
    save_file(tensors, path, {"names": " ".join(model.classes_)})


if __name__ == "__main__":
    rows = [*simulated(TextReader(), np.random.default_rng(0)), *detected(sys.argv[1:])]
    fit(rows)
