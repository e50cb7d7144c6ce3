"""`Ledger`: what a run really took, over all its interruptions, beside what was planned."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from geoloc.io.atomic import atomic_write_text


class Ledger:
    """Seconds of each stage and bytes on disk, in a file that later calls continue."""

    def __init__(self, path: Path, device: str) -> None:
        """Continue the ledger at a path, or begin one.

        Args:
            path: JSON file; an unreadable one is begun anew.
            device: what computes, such as "cpu" or the name of a GPU.
        """
        self._path = path
        self._device = device
        try:
            self.entries: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self.entries = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage; an interrupted stage is written as well."""
        started = time.perf_counter()
        finished = False
        try:
            yield
            finished = True
        finally:
            seconds = round(time.perf_counter() - started, 1)
            self.entries.append(
                {"stage": name, "seconds": seconds, "device": self._device, "finished": finished}
            )
            atomic_write_text(self._path, json.dumps(self.entries, indent=1) + "\n")

    def summary(self, photos: int, folder: Path) -> dict[str, Any]:
        """Return what the run took so far, ready for JSON.

        Args:
            photos: number of embedded photos.
            folder: of the stages, whose size on disk is measured.
        """
        hours: dict[str, float] = {}
        for entry in self.entries:
            hours[entry["stage"]] = hours.get(entry["stage"], 0.0) + entry["seconds"] / 3600.0
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        return {
            "photos": photos,
            "devices": sorted({entry["device"] for entry in self.entries}),
            "hours": {name: round(value, 4) for name, value in hours.items()},
            "total_hours": round(sum(hours.values()), 4),
            "interruptions": sum(not entry["finished"] for entry in self.entries),
            "disk_gb": round(size / 1e9, 3),
        }


def ledger_text(cost: dict[str, Any]) -> str:
    """Return the cost of a run in Markdown, for the end of the model card."""
    stages = ", ".join(f"{name} {value:.2f} h" for name, value in cost["hours"].items())
    return (
        "\n## Cost\n\n"
        f"{cost['photos']:,} photos embedded and learned in {cost['total_hours']:.2f} hours on"
        f" {', '.join(cost['devices'])} ({stages}), with {cost['interruptions']} interruptions;"
        f" {cost['disk_gb']:.1f} GB on disk.\n"
    )


def device_name() -> str:
    """Return the name of the GPUs, or "cpu"."""
    import torch

    if not torch.cuda.is_available():
        return "cpu"
    return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}"
