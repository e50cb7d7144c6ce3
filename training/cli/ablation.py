"""The command `geoloc-train ablation`."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from geoloc.cli.console import fail, fail_writing

app = App(name="ablation", help="What each of PIGEON's steps is worth, on simulated data.")


@app.default
def ablation(
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    quick: Annotated[bool, Parameter(negative=())] = False,
    embeddings: Path | None = None,
) -> int:
    """Remove one step after the other, train what has to be trained, and compare.

    What is finished is not repeated. On 2 cores all nine rows with three seeds take about an hour.

    Parameters
    ----------
    out
        Folder for planets, towers, embeddings, ablation.md and ablation.json.
    quick
        One seed of a small planet, in minutes: to see that it runs, not what it says.
    embeddings
        Instead of a synthetic planet: a folder with embeddings of places (train.npy, test.npy of
        shape (N, views, D), train.parquet, test.parquet). Only rows that need no tower are
        measured.
    """
    from geoloc.errors import GeolocError

    started = time.perf_counter()

    def tell(line: str) -> None:
        print(f"{time.perf_counter() - started:6.0f} s  {line}", flush=True)

    try:
        from training.config import QUICK_ABLATION, AblationConfig
        from training.experiments.ablation import run, run_embedded
        from training.experiments.ablation_report import findings, markdown

        out.mkdir(parents=True, exist_ok=True)
        config = QUICK_ABLATION if quick else AblationConfig()
        results = run_embedded(embeddings, config, tell) if embeddings else run(out, config, tell)
        text = "\n".join([
            "Simulated: " + (f"embeddings of {embeddings.name}." if embeddings else
                             "drawn photographs of a synthetic planet.")
            + f" {len(config.seeds)} seeds.",
            "", markdown(results), "", *(f"- {line}" for line in findings(results)), "",
        ])  # fmt: skip
        (out / "ablation.md").write_text(text, encoding="utf-8")
        (out / "ablation.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    except GeolocError as error:
        return fail("geoloc-train ablation", error)
    except OSError as error:
        return fail_writing("geoloc-train ablation", error, out)
    print(text)
    return 0
