"""Write `words.parquet`: how common the names of places are as words, from the package wordfreq.

    python geocells/data/make_words.py

with wordfreq 3.1 installed. Its lists count names of people as well.
"""

from __future__ import annotations

import math

import pyarrow as pa
import pyarrow.parquet as pq
from wordfreq import available_languages, get_frequency_dict

from geocells.borders.hierarchy import DATA
from geocells.names import countries_by_name, fold, known_towns, regions_by_name

LEAST_ZIPF = 3.0
"""Words that occur less often than once in a million words say nothing about a name."""


def zipf_by_name() -> dict[str, float]:
    """Return the largest Zipf frequency of each name of one word, over all languages.

    It is the logarithm to base 10 of how often a word occurs in a billion words.
    """
    known = (*known_towns(), *regions_by_name(), *countries_by_name())
    names = {name for name in known if " " not in name}
    found: dict[str, float] = {}
    for language in sorted(available_languages("small")):
        for word, frequency in get_frequency_dict(language, "small").items():
            name = fold(word)
            if name in names:
                found[name] = max(found.get(name, 0.0), frequency)
    zipf = {name: round(math.log10(value) + 9.0, 1) for name, value in found.items()}
    return {name: value for name, value in sorted(zipf.items()) if value >= LEAST_ZIPF}


if __name__ == "__main__":
    words = zipf_by_name()
    table = pa.table({"name": [*words], "zipf": pa.array(words.values(), pa.float32())})
    pq.write_table(table, DATA / "words.parquet", compression="zstd")
