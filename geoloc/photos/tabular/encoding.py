"""Encodings of text tables: UTF-8, UTF-16 and UTF-32, and Windows-1252 for all other bytes."""

from __future__ import annotations

import codecs
import io
import logging
import os
import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from geoloc.photos.decode import printable

Report = Callable[[str], None]
"""Receives a line about a table."""

_log = logging.getLogger("geoloc")


def notice(line: str) -> None:
    """Log a line about a table; without another handler Python prints it on standard error."""
    _log.warning("%s", line)


_MARKS = {  # the longer ones first
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
UTF8 = "utf-8-sig"
_SAMPLE_BYTES = 256
_MIN_ZEROS = 0.7

_LOST = re.compile("[\ud800-\udfff]")
_CHARACTERS = {
    byte: bytes([byte]).decode("cp1252")
    for byte in range(0x80, 0xA0)
    if byte not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)  # undefined; they stay control characters
}
_BYTES = {ord(character): byte for byte, character in _CHARACTERS.items()}


def detect(sample: bytes, place: str = "") -> str:
    """Return the encoding of a text, judged by its first bytes; UTF-8 if nothing else is obvious.

    Args:
        sample: the first bytes.
        place: of the text, for a notice about an encoding other than UTF-8; "" for none.
    """
    found = next((name for mark, name in _MARKS.items() if sample.startswith(mark)), None)
    if found is None:
        start = sample[: min(_SAMPLE_BYTES, len(sample) // 2 * 2)]
        even, odd = (start[first::2].count(0) for first in (0, 1))
        enough = max(1.0, _MIN_ZEROS * len(start) / 2)  # of ASCII letters one byte of two is zero
        if not even and odd >= enough:
            found = "utf-16-le"
        elif not odd and even >= enough:
            found = "utf-16-be"
    if found and place:
        notice(f"{place}: is read as {found[:6].upper()}")
    return found or UTF8


def decode_start(sample: bytes) -> str:
    """Return the text of the first bytes of a file, without a character that is cut at the end."""
    encoding = detect(sample)
    return codecs.getincrementaldecoder(encoding)(_errors(encoding)).decode(sample)


def text_of(file: BinaryIO, encoding: str) -> io.TextIOWrapper:
    """Return a binary file as text; bytes that are not UTF-8 become surrogates (PEP 383)."""
    return io.TextIOWrapper(file, encoding, _errors(encoding), newline="")


def _errors(encoding: str) -> str:
    return "surrogateescape" if encoding == UTF8 else "backslashreplace"


def readable(text: str) -> str:
    """Return text without surrogates: bytes that are not UTF-8 are taken for Windows-1252."""
    if text.isascii() or not _is_lost(text):
        return text
    try:
        raw = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a character, which JSON can hold
        return _LOST.sub(lambda half: f"\\u{ord(half[0]):04x}", text)
    return raw.decode("latin-1").translate(_CHARACTERS)


_PRINTED = re.compile(r"\\(?:[tnr]|x[0-9a-f]{2}|u202[89]|ud[89a-f][0-9a-f]{2})")


def unprinted(name: str) -> str:
    """Return the name that `printable` wrote on one line."""
    return _PRINTED.sub(lambda match: match[0].encode().decode("unicode_escape"), name)


def spellings(name: str) -> Iterator[str]:
    """Yield other ways to write a file name, as disks may have it.

    Names may be composed of other Unicode characters (macOS), have bytes that are not UTF-8, which
    `readable` replaced, be escaped as in outputs, or have spaces around them in the table only.
    """
    for base in dict.fromkeys((name, name.strip(), unprinted(name))):
        yield base
        yield unicodedata.normalize("NFC", base)
        yield unicodedata.normalize("NFD", base)
        try:
            yield os.fsdecode(base.translate(_BYTES).encode("latin-1"))
        except UnicodeEncodeError:
            continue


class Readable:
    """Makes the text of rows readable, and counts the rows for which that was necessary."""

    def __init__(self) -> None:
        """Start with no row."""
        self._rows = 0
        self._first = ""

    def row(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return a row whose text is readable."""
        lost = [
            v
            for v in (*row, *row.values())
            if isinstance(v, str) and not v.isascii() and _is_lost(v)
        ]
        if not lost:
            return row
        self._rows += 1
        self._first = self._first or readable(lost[0])
        return {
            readable(name): readable(value) if isinstance(value, str) else value
            for name, value in row.items()
        }

    def report(self, place: str) -> None:
        """Give a notice about the rows of a table that were not UTF-8."""
        if self._rows:
            rows = "row is" if self._rows == 1 else "rows are"
            notice(
                f"{place}: {self._rows:,} {rows} not UTF-8 and read as Windows-1252, such as"
                f" {printable(self._first)}; save the table as UTF-8 if that is wrong"
            )


def _is_lost(text: str) -> bool:
    return _LOST.search(text) is not None
