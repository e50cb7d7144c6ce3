"""Beginning of the benchmarks of witnesses: development photos, rankers, and the text of photos."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Collection
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from geoloc.belief.witnesses.ocr.reader import Line, TextReader
from geoloc.belief.witnesses.text.reliability import BEFORE, log_likelihood
from geoloc.bundle import directory
from geoloc.encoders.cache import default_cache
from geoloc.io.progress import NullReporter
from training.calibrate.witnesses.folds import drawn_rows, photos_of, rankers_without_collections
from training.calibrate.witnesses.simulated import Simulated
from training.embed.encoders import load_encoder
from training.embed.library import read_library
from training.witnesses import text
from training.witnesses.tables import placed_photos

ROOT = Path(__file__).parents[2]
PHOTOS = Path(os.environ.get("SHARED", ROOT.parent / "shared")) / "data/photos"
TABLES = [PHOTOS / name for name in ("photos.csv", "more.csv")]
ENCODER = "efficientnet_lite2"


class Development:
    """All development photos, and rankers of the starter that each left collections out."""

    def __init__(self) -> None:
        network = load_encoder(ENCODER, default_cache()).network
        library = read_library(TABLES, network, default_cache(), NullReporter())
        self.manifest, self.embeddings = library.manifest, library.embeddings
        self.bundle = directory.load("starter")
        self.rankers, self.fold = rankers_without_collections(
            self.bundle, self.manifest, self.embeddings, progress=print
        )

    def photos(self, rows):
        """Return some photos, each answered by the ranker without its collection."""
        return photos_of(self.rankers, self.manifest, self.embeddings, self.fold, rows)

    def drawn(self, most: int):
        """Return rows of photos with balanced collections."""
        return drawn_rows(self.manifest, self.embeddings, self.fold, most)


@dataclass(frozen=True, eq=False)
class Texts:
    """The T development photos with text."""

    photos: list[text.ReadPhoto]
    rows: np.ndarray
    """(T,) of the manifest."""
    fold: np.ndarray
    """(T,)"""
    cells: object

    @cached_property
    def ratios(self):
        """Clues and their likelihood ratios by file."""
        return {photo.file: text.ratios(photo, self.cells) for photo in self.photos}

    @cached_property
    def fitted(self):
        """Reliabilities of the cues on the other folds, by fold."""
        collection = {photo.file: photo.collection for photo in self.photos}
        fold_of = {p.file: f for p, f in zip(self.photos, self.fold.tolist(), strict=True)}
        return {
            fold: BEFORE
            | text.reliabilities(
                {file: found for file, found in self.ratios.items() if fold_of[file] != fold},
                collection,
            )
            for fold in sorted(set(self.fold.tolist()))
        }

    def evidence(self, dropped: Collection[str] = ()) -> Simulated:
        """Return the evidence (T, C) with reliabilities of other folds, without some cues."""
        rows = [
            log_likelihood(
                [clue for clue, _ in self.ratios[photo.file] if clue.cue not in dropped],
                self.cells, self.fitted[fold],
            )
            for photo, fold in zip(self.photos, self.fold.tolist(), strict=True)
        ]  # fmt: skip
        return Simulated("text", np.array(rows), np.zeros(len(rows), bool))

    @property
    def clued(self) -> np.ndarray:
        """(T,) whether there is a clue."""
        return np.array([bool(self.ratios[photo.file]) for photo in self.photos])


def placed():
    """Return the photos whose text can be read: the Sydney walks are too small."""
    return [row for row in placed_photos(map(str, TABLES)) if "/sydney/" not in row.path]


def read_all(folder: Path) -> dict[str, dict]:
    """Return lines and processor seconds by file, from FOLDER/readings.jsonl where known."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "readings.jsonl"
    known = path.read_text("utf-8").splitlines() if path.exists() else []
    found, reader = {row["file"]: row for row in map(json.loads, known)}, TextReader()
    with path.open("a", encoding="utf-8") as file:
        for row in placed():
            if row.path not in found:
                image = Image.open(row.path).convert("RGB")
                start = time.process_time()
                lines = [asdict(line) for line in reader.read(image).lines]
                seconds = time.process_time() - start
                found[row.path] = {"file": row.path, "lines": lines, "seconds": seconds}
                file.write(json.dumps(found[row.path]) + "\n")
                file.flush()
    return found


def texts(folder: Path, development: Development) -> Texts:
    """Return the development photos with text."""
    readings, cells = read_all(folder), development.bundle.cells
    where = {Path(name).name: at for at, name in enumerate(development.manifest.file)}
    photos, rows = [], []
    for row in placed():
        lines = tuple(Line(**{**v, "box": tuple(v["box"])}) for v in readings[row.path]["lines"])
        if lines and Path(row.path).name in where:
            cell = int(cells.locate(np.array([[row.lat, row.lon]]))[0])
            photos.append(text.ReadPhoto(row.path, row.collection, lines, cell))
            rows.append(where[Path(row.path).name])
    return Texts(photos, np.array(rows), development.fold[rows], cells)
