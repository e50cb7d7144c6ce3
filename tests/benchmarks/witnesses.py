"""Benchmark of witnesses: what clocks, shadows and attributes change in the answers of the starter.

    python tests/benchmarks/witnesses.py [FOLDER WITNESSES.json]

Trains rankers that leave collections out, fits the witnesses on half of the collections and
measures them on the others. Clocks and shadows are simulated from the true places, one in five with
a mistake, and once all of them mistaken. With FOLDER, which keeps the readings of
`witnesses_text.py`, the weights are fitted on all photos and written to WITNESSES.json: the
reliability of text on the photos with text, radii and claims on simulated texts as well.
Needs the development data beside the repository. Prints tables and one JSON line.
"""

import json
import os
import sys
import time
from pathlib import Path

# instead of this folder, where `import training` would import training.py
sys.path[0] = str(Path(__file__).parents[2])

import numpy as np

from tests.benchmarks._development import Development, texts
from training.calibrate.witnesses.fit import (
    MISTAKEN,
    Believed,
    fit_reliability,
    fit_weights,
    tempered,
)
from training.calibrate.witnesses.measure import Told, by_halves, gain_interval
from training.calibrate.witnesses.simulated import simulated_clocks, simulated_shadows
from training.calibrate.witnesses.simulated_text import simulated_texts
from training.experiments.attributes import GROUPS, ablate

MOST = int(os.environ.get("MOST", "1400"))
"""Photos of collections that were left out."""

TEXT_MISTAKEN = 0.15
"""Share of simulated texts that are about another place."""

COLUMNS = ("country", "within_200_km", "within_25_km", "cover50", "cover80", "cover95",
           "claims", "claims_right", "wrongly_sure")  # fmt: skip


def attribute_gains(held_out, training) -> dict[str, float]:
    """Print the ablation of attributes; return the best gain in nats of each group."""
    gains = {}
    for group in GROUPS:
        rows = ablate(held_out, training, group)
        for row in rows:
            print(f"{group:8s} {row['exponent']:.2f} {row['log_belief']:.3f} nats,"
                  f" country {row['country']:.3f}, 200 km {row['within_200_km']:.3f}")  # fmt: skip
        gains[group] = max(row["log_belief"] for row in rows) - rows[0]["log_belief"]
    return gains


def told_by(held_out, makers, mistaken, rng):
    """Return the simulated evidence of each witness."""
    cells = held_out.rankers[0].cells
    return [make(cells, held_out.latlon, mistaken, rng) for make in makers]


def measure(held_out, rng) -> dict[str, Told]:
    """Return the answers without and with witnesses, fitted on the other half of collections."""
    makers = (simulated_clocks, simulated_shadows)
    usual = told_by(held_out, makers, MISTAKEN, rng)
    always_wrong = told_by(held_out, makers, 1.0, rng)
    prior = held_out.rankers[0].heads.prior
    parts: dict[str, list[Told]] = {}

    def one_half(fitted, measured, asked):
        parts.setdefault("none", []).append(Told.of(measured, None))
        weights = fit_weights(fitted, [each.take(~asked) for each in usual])
        print({name: (r.exponent, r.wrong) for name, r in weights.reliability.items()})
        rows = []
        for each, wrong in zip(usual, always_wrong, strict=True):
            trusted = weights.reliability[each.witness]
            rows.append(tempered(each.take(asked).log_likelihood, trusted, prior))
            told = Told.of(measured, rows[-1])
            mistaken = each.take(asked).is_mistaken
            lied = tempered(wrong.take(asked).log_likelihood, trusted, prior)
            for name, answers in (
                (each.witness, told),
                (f"{each.witness}, right", told.take(~mistaken)),
                (f"{each.witness}, mistaken", told.take(mistaken)),
                (f"{each.witness}, always mistaken", Told.of(measured, lied)),
            ):
                parts.setdefault(name, []).append(answers)
        parts.setdefault("both", []).append(Told.of(measured, sum(rows)))

    by_halves(held_out, one_half)
    return {name: Told.joined(each) for name, each in parts.items()}


def refit(development, held_out, folder: Path, path: Path, rng) -> None:
    """Fit the weights of all witnesses, and write them."""
    found = texts(folder, development)
    told = found.evidence()
    known = fit_reliability(Believed.of(development.photos(found.rows)), told)
    cells = development.bundle.cells
    evidence = told_by(held_out, (simulated_clocks, simulated_shadows), MISTAKEN, rng)
    evidence.append(simulated_texts(cells, held_out.latlon, TEXT_MISTAKEN, rng))
    weights = fit_weights(held_out, evidence, {"text": known})
    print("fitted on all photos:", weights.reliability)
    weights.write(path)


def main() -> None:
    started, rng = time.monotonic(), np.random.default_rng(0)
    development = Development()
    held_out = development.photos(development.drawn(MOST))
    if sys.argv[1:]:
        refit(development, held_out, Path(sys.argv[1]), Path(sys.argv[2]), rng)
        return
    known = [development.fold != number for number in range(len(held_out.rankers))]
    manifest, embeddings = development.manifest, development.embeddings
    training = [(embeddings[rows], manifest.latlon[rows]) for rows in known]
    told = measure(held_out, rng)
    for name, answers in told.items():
        summary = answers.summary()
        print(f"{name:24s}", "  ".join(f"{column} {summary[column]:.3f}" for column in COLUMNS))
    gains = {}
    for name in ("file", "sun"):
        gains[name] = gain_interval(told[name].right_country, told["none"].right_country, rng)
        print(name, "gain of the country, with 95 % interval:", gains[name])
    attributes = attribute_gains(held_out, training)
    adverse = [told[f"{name}, always mistaken"].summary() for name in ("file", "sun")]
    covered = [told[name].summary()["cover80"] for name in ("file", "sun", "both")]
    print(json.dumps({
        "offset_gain": round(gains["file"][0], 4),
        "offset_gain_low": round(gains["file"][1], 4),
        "sun_gain": round(gains["sun"][0], 4),
        "cover80": round(min(covered), 4), "cover80_most": round(max(covered), 4),
        "wrongly_sure_if_always_mistaken": round(max(a["wrongly_sure"] for a in adverse), 4),
        **{f"{group}_nats": round(gain, 4) for group, gain in attributes.items()},
        "photos": len(held_out), "seconds": round(time.monotonic() - started),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
