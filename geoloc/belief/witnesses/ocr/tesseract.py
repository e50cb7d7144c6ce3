"""Script models of Tesseract, for lines in scripts that the networks cannot read.

Tesseract is a program of the system (Apache-2.0), run where it is installed:
`apt install tesseract-ocr tesseract-ocr-script-hang`. Lines of one script are read in one run, as
lines of one page.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from PIL import Image, ImageOps

MODELS = {
    "Arabic": "arab",
    "Armenian": "armn",
    "Bengali": "beng",
    "Cyrillic": "cyrl",
    "Devanagari": "deva",
    "Ethiopic": "ethi",
    "Georgian": "geor",
    "Greek": "grek",
    "Gujarati": "gujr",
    "Gurmukhi": "guru",
    "Hangul": "hang",
    "Hebrew": "hebr",
    "Kannada": "knda",
    "Khmer": "khmr",
    "Lao": "laoo",
    "Malayalam": "mlym",
    "Myanmar": "mymr",
    "Sinhala": "sinh",
    "Tamil": "taml",
    "Telugu": "telu",
    "Thai": "thai",
}
"""Name of each script model of Tesseract, and the ending of its Debian package."""

UNSPACED = ("Khmer", "Lao", "Myanmar", "Thai")
"""Scripts without spaces between words."""

_EDGES = " |[](){}!.,;:'’‘"
"""What the edges of a board are read as."""

_SPLIT_SYLLABLES = re.compile(r"(?<=(?<!\S)[가-힣]) (?=[가-힣](?!\S))")
"""Spaces between single syllables of Hangul, whose gaps are as wide as those between words."""

_LINE_PX = 48
_GAP_PX = 40
_WIDEST_PX = 2000
_PATIENCE_S = 30.0


@dataclass(frozen=True)
class Word:
    """A word of a page in Tesseract's table."""

    top: int
    text: str
    confidence: float
    """0..1"""


class ScriptModels:
    """The script models of this system."""

    @cached_property
    def installed(self) -> dict[str, str]:
        """Names of the installed models by script; none without the program."""
        if self._program is None:
            return {}
        listed = self._run(["--list-langs"]).split()
        names = {name.removeprefix("script/"): name for name in listed}
        return {script: names[script] for script in MODELS if script in names}

    def remedy(self, script: str) -> str:
        """Return what to install to read a script."""
        program = "" if self._program else "tesseract-ocr "
        return f"apt install {program}tesseract-ocr-script-{MODELS[script]}"

    def read(self, crops: Sequence[Image.Image], script: str) -> list[tuple[str, float]]:
        """Return text and confidence (0..1) of upright lines in one script.

        Lines are empty if the model is not installed, or gives no answer in half a minute.
        """
        model = self.installed.get(script)
        if not crops or model is None:
            return [("", 0.0)] * len(crops)
        page = io.BytesIO()
        _page(crops).save(page, "PNG")
        table = self._run(["-", "-", "-l", model, "--psm", "6", "tsv"], page.getvalue())
        return _lines(_words(table), len(crops), "" if script in UNSPACED else " ")

    @cached_property
    def _program(self) -> str | None:
        return shutil.which("tesseract")

    def _run(self, arguments: list[str], page: bytes = b"") -> str:
        try:
            done = subprocess.run(
                [str(self._program), *arguments], input=page, capture_output=True,
                timeout=_PATIENCE_S, env={**os.environ, "OMP_THREAD_LIMIT": "1"}, check=True,
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError):
            return ""
        return done.stdout.decode("utf-8", "replace")


def _page(crops: Sequence[Image.Image]) -> Image.Image:
    """Return lines below each other, dark on white, at a fixed distance."""
    lines = []
    for crop in crops:
        width = max(1, min(_WIDEST_PX, round(_LINE_PX * crop.width / crop.height)))
        grey = ImageOps.autocontrast(crop.convert("L").resize((width, _LINE_PX)), cutoff=2)
        dark = sum(grey.histogram()[:128]) > grey.width * grey.height / 2
        lines.append(ImageOps.invert(grey) if dark else grey)
    step = _LINE_PX + _GAP_PX
    page = Image.new("L", (max(line.width for line in lines) + _GAP_PX, step * len(lines)), 255)
    for at, line in enumerate(lines):
        page.paste(line, (_GAP_PX // 2, at * step + _GAP_PX // 2))
    return page


def _words(table: str) -> list[Word]:
    """Return the words of Tesseract's table of tab-separated values."""
    rows = [row.split("\t") for row in table.splitlines()[1:]]
    return [
        Word(int(row[7]) + int(row[9]) // 2, row[11].strip(), float(row[10]) / 100.0)
        for row in rows
        if len(row) == 12 and row[0] == "5" and row[11].strip()
    ]


def _lines(words: Sequence[Word], count: int, space: str) -> list[tuple[str, float]]:
    """Return text and mean confidence of each line of a page."""
    by_line: list[list[Word]] = [[] for _ in range(count)]
    for word in words:
        by_line[min(word.top // (_LINE_PX + _GAP_PX), count - 1)].append(word)
    return [_joined(line, space) for line in by_line]


def _joined(words: Sequence[Word], space: str) -> tuple[str, float]:
    words = [word for word in words if any(c.isalnum() for c in word.text)]
    if not words:
        return "", 0.0
    letters = sum(len(word.text) for word in words)
    confidence = sum(len(word.text) * word.confidence for word in words) / letters
    joined = _SPLIT_SYLLABLES.sub("", space.join(word.text for word in words))
    return joined.replace("\u200e", "").replace("\u200f", "").strip(_EDGES), confidence
