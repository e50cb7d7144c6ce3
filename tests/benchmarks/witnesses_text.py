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
from pathlib import Path

# instead of this folder, where `import training` would import training.py
sys.path[0] = str(Path(__file__).parents[2])

import numpy as np
from PIL import Image

from geocells.places import towns
from geocells.sphere import haversine_km
from geoloc.belief.witnesses.ocr.reader import TextReader
from geoloc.belief.witnesses.text.reliability import fitted, log_likelihood
from geoloc.belief.witnesses.text.witness import find_clues
from geoloc.belief.witnesses.weighing import Reliability
from geoloc.bundle import directory
from geoloc.metrics import same_country
from tests.benchmarks._development import Development, read_all, texts
from training.calibrate.witnesses.fit import Believed, fit_reliability, tempered
from training.calibrate.witnesses.measure import gain_interval
from training.witnesses import signs

SIGNS = int(os.environ.get("SIGNS", "5"))
"""Simulated signs in each language."""
HOMES = (
    "ko KR, ja JP, zh CN, ru RU, uk UA, el GR, ar EG, he IL, hi IN, bn BD, ta IN, th TH, ka GE, "
    "hy AM, de DE, pt BR, pl PL, hu HU, tr TR, vi VN"
)
HOME = dict(pair.split() for pair in HOMES.split(", "))
"""The largest country of each language."""
LATIN = "de pt pl hu tr vi".split()


def reading_of_large_photos(folder: Path) -> list[float]:
    """Return processor seconds of photos enlarged to 1,600 pixels, those with text."""
    reader, seconds = TextReader(), []
    for row in [r for r in read_all(folder).values() if r["lines"]][:20]:
        image = Image.open(row["file"]).convert("RGB")
        scale = 1600 / max(image.size)
        image = image.resize((round(image.width * scale), round(image.height * scale)))
        start = time.process_time()
        reader.read(image)
        seconds.append(time.process_time() - start)
    return seconds


def answers(held_out, evidence):
    """Return answers (N, 2), the country of each, belief in it, and 80 % radii."""
    count = len(held_out)
    points, surest, radius = np.zeros((count, 2)), np.zeros(count), np.zeros(count)
    for ranker, rows in held_out.batches():
        told = None if evidence is None else evidence[rows]
        ranking = ranker.rank(
            held_out.embeddings[rows], None, held_out.left_out(ranker, rows), evidence=told
        )
        points[rows], radius[rows] = ranking.answer, ranking.radii_km[:, 1]
        surest[rows] = by_country(ranking.belief, ranker.cells)[0].max(axis=1)
    return points, surest, radius


def by_country(belief, cells):
    """Return the belief (N, K) in each of K countries, and their codes."""
    codes, index = np.unique(cells.country, return_inverse=True)
    total = np.zeros((len(belief), len(codes)))
    np.add.at(total.T, index, belief.T)
    return total / total.sum(axis=1, keepdims=True), codes


def fitted_on_others(held_out, told, found) -> tuple[np.ndarray, list[Reliability]]:
    """Return evidence tempered by the reliability of text on the other half of the folds."""
    evidence, chosen = np.zeros_like(told.log_likelihood), []
    for half in (0, 1):
        own = found.fold % 2 == half
        others = Believed.of(held_out.take(np.flatnonzero(~own)))
        chosen.append(fit_reliability(others, told.take(~own)))
        prior = held_out.rankers[0].heads.prior
        evidence[own] = tempered(told.log_likelihood[own], chosen[-1], prior)
    return evidence, chosen


def ablation(found, held_out, truth, reliability, right) -> None:
    """Print how many right countries each cue is worth."""
    prior = held_out.rankers[0].heads.prior
    for cue in sorted({c.cue for clues in found.ratios.values() for c, _ in clues}):
        own = np.array([any(c.cue == cue for c, _ in found.ratios[p.file]) for p in found.photos])
        rows = np.flatnonzero(own)
        dropped = tempered(found.evidence((cue,)).log_likelihood[rows], reliability, prior)
        points, _, _ = answers(held_out.take(rows), dropped)
        change = int(same_country(points, truth[rows]).sum()) - int(right[rows].sum())
        print(f"without {cue} ({len(rows)} photos): country {change:+d} photos", flush=True)


def measure_photos(folder: Path, rng) -> dict[str, float]:
    development = Development()
    found = texts(folder, development)
    held_out, clued = development.photos(found.rows), found.clued
    truth, told = held_out.latlon, found.evidence()
    before, _, _ = answers(held_out, None)
    evidence, chosen = fitted_on_others(held_out, told, found)
    print("reliability on each half:", chosen)
    after, surest, radius = answers(held_out, evidence)
    country = [same_country(points, truth) for points in (before, after)]
    near = [haversine_km(points, truth) <= 200.0 for points in (before, after)]
    count = len(read_all(folder))
    print(f"{count} photos, {len(found.photos)} with text, {clued.sum()} with a clue")
    for name, (a, b) in {"country": country, "within 200 km": near}.items():
        print(f"{name}: with clues {a[clued].mean():.3f} -> {b[clued].mean():.3f},"
              f" gain {gain_interval(b[clued], a[clued], rng)}")  # fmt: skip
    ablation(found, held_out, truth, chosen[0], country[1])
    alone, codes = by_country(
        np.exp(told.log_likelihood) * held_out.rankers[0].heads.prior, development.bundle.cells
    )
    top, own = codes[alone.argmax(axis=1)], development.bundle.cells.country
    right = top == own[[photo.cell for photo in found.photos]]
    strong, sure = clued & (alone.max(axis=1) >= 0.9), clued & (surest >= 0.9)
    inside = haversine_km(after, truth) <= radius
    collection = np.array([photo.collection for photo in found.photos])[clued]
    alike = np.unique(collection, return_inverse=True, return_counts=True)
    each = 1.0 / alike[2][alike[1]]
    gain = float(country[1].sum() - country[0].sum()) / count
    return {
        "text_photos": len(found.photos), "text_clued": int(clued.sum()),
        "text_country_gain": round(float(country[1][clued].mean() - country[0][clued].mean()), 4),
        "text_200_gain": round(float(near[1][clued].mean() - near[0][clued].mean()), 4),
        "text_country_gain_all": round(gain, 4),
        "alone_right_90": round(float(right[strong].mean()), 4) if strong.any() else None,
        "alone_sure": int(strong.sum()), "text_sure": int(sure.sum()),
        "text_country_right_90": round(float(country[1][sure].mean()), 4),
        "text_cover80": round(float(inside[clued].mean()), 4),
        "text_cover80_collections": round(float(np.average(inside[clued], weights=each)), 4),
        "text_false": int(((haversine_km(before, after) > 1.0) & ~clued).sum()),
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
            belief = share * np.exp(log_likelihood(find_clues(lines), cells, fitted()))
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
