"""Benchmark of the text witness: what the text in photos changes in the answers of the starter.

    python tests/benchmarks/witnesses_text.py FOLDER

Reads the text of the development photos (not the Sydney walks, which are too small), once: FOLDER
keeps the readings. Rankers and reliabilities leave out the collections that they are measured on.
Then reads simulated signs: names of towns in Latin script, and words in 13 other scripts, in
perspective, with blur, noise and a pole before them, on photos without text. Needs the development
data beside the repository, Babel, rapidocr, and fonts. Prints tables and one JSON line.
"""

import json
import os
import resource
import sys
import time
from dataclasses import asdict
from pathlib import Path

sys.path.remove(
    str(Path(__file__).parent)
)  # or `import training` would import training.py beside this file

import numpy as np
from PIL import Image

from geocells.places import towns
from geocells.sphere import haversine_km
from geoloc.belief.witnesses.ocr.reader import Line, TextReader
from geoloc.belief.witnesses.text.reliability import BEFORE, log_likelihood
from geoloc.belief.witnesses.text.witness import find_clues
from geoloc.bundle import directory
from geoloc.encoders.cache import default_cache
from geoloc.io.progress import NullReporter
from geoloc.metrics import same_country
from training.calibrate.witnesses.folds import held_out_collections
from training.calibrate.witnesses.measure import gain_interval
from training.embed.encoders import load_encoder
from training.embed.library import read_library
from training.witnesses import signs, text
from training.witnesses.tables import placed_photos

ROOT = Path(__file__).parents[2]
PHOTOS = Path(os.environ.get("SHARED", ROOT.parent / "shared")) / "data/photos"
TABLES = [PHOTOS / name for name in ("photos.csv", "more.csv")]
SIGNS = int(os.environ.get("SIGNS", "5"))
"""Simulated signs in each language."""
HOMES = (
    "ko KR, ja JP, zh CN, ru RU, uk UA, el GR, ar EG, he IL, hi IN, bn BD, ta IN, th TH, ka GE, "
    "hy AM, de DE, pt BR, pl PL, hu HU, tr TR, vi VN"
)
HOME = dict(pair.split() for pair in HOMES.split(", "))
"""The largest country of each language."""
LATIN = "de pt pl hu tr vi".split()


def placed():
    return [row for row in placed_photos(map(str, TABLES)) if "/sydney/" not in row.path]


def read_all(folder: Path) -> dict[str, dict]:
    """Return lines and processor seconds by file, from FOLDER/readings.jsonl where known."""
    path = folder / "readings.jsonl"
    known = (
        [json.loads(row) for row in path.read_text("utf-8").splitlines()] if path.exists() else []
    )
    found, reader = {row["file"]: row for row in known}, TextReader()
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


def reading_of_large_photos(folder: Path) -> list[float]:
    """Return processor seconds of photos enlarged to 1,600 pixels, those with text."""
    reader, seconds = TextReader(), []
    for row in [r for r in read_all(folder).values() if r["lines"]][:30]:
        image = Image.open(row["file"]).convert("RGB")
        scale = 1600 / max(image.size)
        image = image.resize((round(image.width * scale), round(image.height * scale)))
        start = time.process_time()
        reader.read(image)
        seconds.append(time.process_time() - start)
    return seconds


def answers(rankers, fold, embeddings, evidence):
    """Return answers (N, 2), belief in the surest country and 80 % radii, each left out."""
    points, surest = np.zeros((len(fold), 2)), np.zeros(len(fold))
    radius = np.zeros(len(fold))
    for number, ranker in enumerate(rankers):
        rows = np.flatnonzero(fold == number)
        if len(rows):
            told = None if evidence is None else evidence[rows]
            ranking = ranker.rank(embeddings[rows], evidence=told)
            points[rows] = ranking.answer
            country = ranker.cells.country
            names = np.unique(country)
            belief = np.stack([ranking.belief[:, country == n].sum(axis=1) for n in names], axis=1)
            surest[rows] = belief.max(axis=1)
            radius[rows] = ranking.radii_km[:, 1]
    return points, surest, radius


def without_own_fold(photos, ratios, fold_of, cells, dropped=()):
    """Return the evidence (N, C) with reliabilities of the other folds, without some cues."""
    rows, collection = [], {p.file: p.collection for p in photos}
    for number in sorted(set(fold_of.values())):
        others = {f: r for f, r in ratios.items() if fold_of[f] != number}
        fitted = {**BEFORE, **text.reliabilities(others, collection)}
        for row, photo in enumerate(photos):
            if fold_of[photo.file] == number:
                clues = [c for c, _ in ratios[photo.file] if c.cue not in dropped]
                rows.append((row, log_likelihood(clues, cells, fitted)))
    return np.stack([each for _, each in sorted(rows, key=lambda one: one[0])])


def measure_photos(folder: Path, rng) -> dict[str, float]:
    network = load_encoder("efficientnet_lite2", default_cache()).network
    library = read_library(TABLES, network, default_cache(), NullReporter())
    bundle = directory.load("starter")
    held_out, fold = held_out_collections(
        bundle, library.manifest, library.embeddings, 100, progress=print
    )
    cells, readings = bundle.cells, read_all(folder)
    where = {Path(name).name: at for at, name in enumerate(library.manifest.file)}
    photos, rows = [], []
    for row in placed():
        lines = tuple(Line(**{**v, "box": tuple(v["box"])}) for v in readings[row.path]["lines"])
        if lines and Path(row.path).name in where:
            cell = int(cells.locate(np.array([[row.lat, row.lon]]))[0])
            photos.append(text.ReadPhoto(row.path, row.collection, lines, cell))
            rows.append(where[Path(row.path).name])
    rows = np.array(rows)
    ratios = {p.file: text.ratios(p, cells) for p in photos}
    fold_of = {p.file: int(fold[r]) for p, r in zip(photos, rows, strict=True)}
    truth, embedded = library.manifest.latlon[rows], library.embeddings[rows]
    before, _, _ = answers(held_out.rankers, fold[rows], embedded, None)
    evidence = without_own_fold(photos, ratios, fold_of, cells)
    after, surest, radius = answers(held_out.rankers, fold[rows], embedded, evidence)
    clued = np.array([bool(ratios[p.file]) for p in photos])
    country = [same_country(points, truth) for points in (before, after)]
    near = [haversine_km(points, truth) <= 200.0 for points in (before, after)]
    print(f"{len(readings)} photos, {len(photos)} with text, {clued.sum()} with a clue")
    for name, (a, b) in {"country": country, "within 200 km": near}.items():
        print(f"{name}: with clues {a[clued].mean():.3f} -> {b[clued].mean():.3f},"
              f" gain {gain_interval(b[clued], a[clued], rng)}")  # fmt: skip
    base = country[1].mean()
    for cue in sorted({c.cue for found in ratios.values() for c, _ in found}):
        dropped = without_own_fold(photos, ratios, fold_of, cells, (cue,))
        points, _, _ = answers(held_out.rankers, fold[rows], embedded, dropped)
        got = same_country(points, truth)
        count = sum(any(c.cue == cue for c, _ in found) for found in ratios.values())
        print(
            f"without {cue} ({count} photos): country {len(got) * (got.mean() - base):+.0f} photos"
        )
    sure = clued & (surest >= 0.9)
    alone = [np.exp(e) * bundle.ranker.heads.prior for e in evidence]
    belief = [{n: a[cells.country == n].sum() / a.sum() for n in set(cells.country)} for a in alone]
    top = [max(b, key=b.get) for b in belief]
    strong = np.array([b[t] >= 0.9 for b, t in zip(belief, top, strict=True)])
    right = np.array([t == cells.country[p.cell] for t, p in zip(top, photos, strict=True)])
    inside = haversine_km(after, truth) <= radius
    changed = (haversine_km(before, after) > 1.0) & ~clued
    return {
        "text_photos": len(photos), "text_clued": int(clued.sum()),
        "text_country_gain": round(float(country[1][clued].mean() - country[0][clued].mean()), 4),
        "text_200_gain": round(float(near[1][clued].mean() - near[0][clued].mean()), 4),
        "text_country_gain_all": round(
            float((country[1].sum() - country[0].sum()) / len(readings)), 4),
        "alone_right_90": round(float(right[strong].mean()), 4) if strong.any() else None,
        "alone_sure": int(strong.sum()), "text_sure": int(sure.sum()),
        "text_country_right_90": round(float(country[1][sure].mean()), 4),
        "text_cover80": round(float(inside[clued].mean()), 4),
        "text_false": int(changed.sum()),
    }  # fmt: skip


def words_of(language: str) -> list[str]:
    """Return names of large towns in Latin script; else words of CLDR that are no places."""
    from babel import Locale

    if language in LATIN:
        own = np.flatnonzero((towns().country == HOME[language]) & (towns().population > 20_000))
        return [towns().name[int(row)].as_py() for row in own]
    return sorted(Locale.parse(language).languages.values())


def measure_signs(folder: Path, rng) -> dict[str, float]:
    """Read simulated signs on photos without text."""
    readings = read_all(folder)
    empty = [f for f, row in readings.items() if not row["lines"]]
    cells, reader = directory.load("starter").cells, TextReader()
    fitted = text.reliabilities({}, {}) | BEFORE
    share = (cells.count + 1.0) / (cells.count + 1.0).sum()
    right = {}
    for language in HOME:
        names = words_of(language)
        right[language] = []
        for word in rng.choice([n for n in names if 3 < len(n) < 18], SIGNS):
            sign = signs.line(str(word), rng, rng.uniform(30, 70), test=True)
            photo = Image.open(empty[rng.integers(len(empty))]).convert("RGB").resize((1200, 900))
            if sign is None:
                continue
            lines = reader.read(
                signs.on_photo(photo, sign, rng, hidden=rng.choice([0, 0.05]))
            ).lines
            belief = share * np.exp(log_likelihood(find_clues(lines), cells, fitted))
            names_of = np.unique(cells.country)
            by = {n: belief[cells.country == n].sum() for n in names_of}
            ranked = sorted(by, key=by.get, reverse=True)[:3]
            right[language].append(HOME[language] in ranked and bool(lines))
        print(f"{language}: home country among the first three {np.mean(right[language]):.2f}")
    return {"signs_country": round(float(np.mean([v for r in right.values() for v in r])), 4)}


def main() -> None:
    folder, rng = Path(sys.argv[1]), np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    readings = read_all(folder)
    large = reading_of_large_photos(folder)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    quiet = [row["seconds"] for row in readings.values() if not row["lines"]]
    result = {
        "text_s": round(float(np.mean(large)), 3), "text_quiet_s": round(float(np.mean(quiet)), 3),
        "text_rss_mb": round(memory),
    }  # fmt: skip
    print(result, flush=True)
    result |= measure_signs(folder, rng)
    print(result, flush=True)
    print(json.dumps(result | measure_photos(folder, rng)))


if __name__ == "__main__":
    main()
