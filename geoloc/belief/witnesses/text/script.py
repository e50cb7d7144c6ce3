"""The script cue: Hangul, Cyrillic, kana; and which of the Chinese characters are used."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence

from geoloc.belief.witnesses.ocr.reader import Line
from geoloc.belief.witnesses.text.clue import Clue
from geoloc.belief.witnesses.text.speakers import name_countries, script_rates

SURE_HAN = 0.85
"""Confidence of lines of Chinese characters, which noise is read as."""

SURE_UNREAD = 0.6
"""Probability of the script of a line whose letters are not read."""

FEWEST = 2
"""Letters of a script in a line that is read."""

_BY_NAME = {"CJK": "Han", "HIRAGANA": "Kana", "KATAKANA": "Kana", "HANGUL": "Hangul"}

_NAMES = {"Hangul": "Korean script (Hangul)", "Kana": "Japanese script (kana)"}
"""What scripts are called where "script" and their name do not say it."""

_HAN = {
    "simplified": {"CN": 1.0, "SG": 0.8, "MY": 0.3},
    "traditional": {"TW": 1.0, "HK": 1.0, "MO": 1.0, "MY": 0.2},
    "unsimplified": {"TW": 1.0, "HK": 1.0, "MO": 1.0, "JP": 1.0, "MY": 0.2},
    "Japanese": {"JP": 1.0},
    "shared": {"CN": 1.0, "JP": 1.0, "TW": 1.0, "HK": 1.0, "MO": 1.0, "SG": 0.6, "MY": 0.3},
}
"""Rates of Chinese characters by the kind of their forms."""


def script_of(text: str) -> str:
    """Return the script of most letters of a text, "" if there are fewer than FEWEST.

    A line with kana is kana, however many Chinese characters stand between.
    """
    names = (unicodedata.name(c, "").split(" ")[0] for c in text if c.isalpha())
    found = Counter(_BY_NAME.get(name, name.title()) for name in names if name)
    if found["Kana"] >= FEWEST:
        return "Kana"
    script, count = max(found.items(), key=lambda one: one[1], default=("", 0))
    return script if count >= FEWEST else ""


def han_form(text: str) -> str:
    """Return which forms the Chinese characters of a text have: a key of the rates.

    The character sets of the countries decide: GB 2312 has the simplified forms, Big5 the
    traditional ones, and JIS X 0208 those of Japan.
    """
    forms: Counter[str] = Counter()
    for letter in text:
        sets = tuple(_encodable(letter, name) for name in ("gb2312", "big5", "shift_jis"))
        if sets == (True, False, False):
            forms["simplified"] += 1
        elif sets == (False, True, False):
            forms["traditional"] += 1
        elif sets == (False, True, True):
            forms["unsimplified"] += 1
        elif sets == (False, False, True) and letter.isalpha():
            forms["Japanese"] += 1
    if len(forms) > 1:
        forms.pop("unsimplified", None)  # of Taiwan or Japan, as the others say
    return next(iter(forms)) if len(forms) == 1 else "shared"


def clues(lines: Sequence[Line]) -> list[Clue]:
    """Return one clue for each script but Latin, from its longest line."""
    best: dict[str, tuple[int, int]] = {}
    for row, line in enumerate(lines):
        script = script_of(line.text) or line.script
        least = SURE_HAN if script == "Han" else 0.0 if line.text else SURE_UNREAD
        if line.confidence < least:
            continue
        if script and script != "Latin":
            best[script] = max(best.get(script, (-1, row)), (len(line.text), row))
    if "Kana" in best:
        best.pop("Han", None)
    if {"Kana", "Han"} & {*best}:  # blurred ones are taken for other scripts
        best = {script: found for script, found in best.items() if lines[found[1]].text}
    return [_clue(script, row, lines[row]) for script, (_, row) in best.items()]


def _clue(script: str, row: int, line: Line) -> Clue:
    if script == "Han":
        form = han_form(line.text)
        kind = "of no particular country" if form == "shared" else f"in {form} forms"
        meaning = f"Chinese characters {kind}, used in {name_countries(_HAN[form])}"
        return Clue("Chinese characters", row, line.text, meaning, _HAN[form])
    rates = script_rates(script)
    meaning = f"{_NAMES.get(script, f'{script} script')}, used in {name_countries(rates)}"
    if not line.text:
        meaning += "; its letters could not be read"
        return Clue("unread script", row, script, meaning, rates)
    return Clue("script", row, line.text, meaning, rates)


def _encodable(letter: str, charset: str) -> bool:
    try:
        return len(letter.encode(charset)) > 1
    except UnicodeEncodeError:
        return False
