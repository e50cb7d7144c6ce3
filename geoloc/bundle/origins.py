"""Where downloaded files came from: recorded at the first download and compared at the next ones.

Of most open models no checksum is known when this program is published. The first download on a
machine says what it got, and a later one says if the publisher has changed the file since.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from geoloc.bundle import installed
from geoloc.io.atomic import atomic_write_text


@dataclass(frozen=True)
class Origin:
    """One downloaded file."""

    shown: str
    """Repository and name."""
    revision: str
    """Commit of the repository."""
    sha256: str

    def __str__(self) -> str:
        return f"{self.shown}: revision {self.revision[:12]}, sha256 {self.sha256}"


def compare_and_record(origins: Sequence[Origin]) -> list[str]:
    """Record files on this machine; return a line for each that its publisher has changed.

    Nothing is recorded where the folder of bundles is not writable.
    """
    path = _file()
    known = _read(path)
    lines = [
        f"{each.shown}: changed by its publisher since it was fetched before (sha256"
        f" {known[each.shown]['sha256']}, revision {known[each.shown]['revision'][:12]})"
        for each in origins
        if each.shown in known and known[each.shown]["sha256"] != each.sha256
    ]
    known |= {each.shown: asdict(each) for each in origins}
    try:
        atomic_write_text(path, json.dumps(known, indent=1) + "\n")
    except OSError:  # a read-only home folder: the next download is compared with nothing
        pass
    return lines


def _file() -> Path:
    return installed.folder().parent / "origins.json"


def _read(path: Path) -> dict[str, dict[str, str]]:
    """Return what was recorded, by file; nothing where it cannot be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {
            str(name): {"revision": "", "sha256": "", **values} for name, values in found.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
