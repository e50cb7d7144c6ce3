"""The command `geoloc-train ablation`: the effect of each of PIGEON's steps."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from geoloc.cli.console import fail, fail_writing
from training.cli.console import Out, progress_line

app = App(name="ablation")


@app.default
def ablation(
    *,
    out: Out,
    quick: Annotated[bool, Parameter(negative=())] = False,
    embeddings: Path | None = None,
) -> int:
    """Measure the effect of each of PIGEON's steps on simulated data.

    Removes one step after the other, trains what the change affects, and compares the results.
    Finished parts of an earlier run are reused. All nine rows with three seeds take about an hour
    on 2 cores.

    Parameters
    ----------
    out
        Folder for planets, towers, embeddings, ablation.md and ablation.json.
    quick
        Use one seed and a small planet, to check in minutes that the experiment runs.
    embeddings
        Folder of embeddings to use instead of a synthetic planet: train.npy and test.npy of shape
        (N, views, D), train.parquet and test.parquet; or photos.npy and photos.parquet with a
        column "collection", which are answered by models of other collections. Rows that change
        the tower are left out.
    """
    from geoloc.errors import GeolocError

    started = time.perf_counter()

    def log(line: str) -> None:
        progress_line(f"{time.perf_counter() - started:6.0f} s  {line}")

    try:
        from training.config import QUICK_ABLATION, AblationConfig
        from training.experiments.ablation import run, run_embedded
        from training.experiments.ablation_report import findings, markdown

        out.mkdir(parents=True, exist_ok=True)
        config = QUICK_ABLATION if quick else AblationConfig()
        results = run_embedded(embeddings, config, log) if embeddings else run(out, config, log)
        text = "\n".join([
            (f"Embeddings of {embeddings.name}" if embeddings else
             "Simulated: drawn photographs of a synthetic planet")
            + f", {len(config.seeds)} seeds. Intervals of paired answers to the same places.",
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
