"""The model card of the world model: origin, limits and results."""

from __future__ import annotations

from typing import Any

from geoloc.answer.ranker import Ranker
from training.recipes.geoclip.models import WorldModel
from training.recipes.model_card import calibration_lines, markdown_table

UNTESTED = """\
**Not tested on photographs.** The weights come without photos. Radii and re-ranker were fitted on
simulated photos (location vectors mixed with look-alikes and noise). They describe the pipeline
behind the encoder and guarantee nothing for real photos, so the bundle never claims to be sure.
`geoloc bundle build geoclip --photos PHOTOS` calibrates it on geotagged photos."""


def world_card(name: str, ranker: Ranker, model: WorldModel, metrics: dict[str, Any]) -> str:
    """Return the text of MODEL_CARD.md.

    Args:
        name: of the bundle.
        ranker: cells and gallery, for their numbers.
        model: what it was built from.
        metrics: results by the name of their photos; a single one is that of simulated photos.
    """
    gallery = ranker.gallery
    lines = [
        f"# {name}",
        "",
        f"{model.title} ({model.encoder.spec.model}), over {len(ranker.cells):,} geocells and"
        f" {len(gallery.members):,} points in {len(gallery.clusters):,} location clusters."
        f" Licences: {'; '.join(model.licences)}. Image encoder: {model.encoder.note}. Made by"
        " `geoloc bundle`.",
    ]
    if model.results:
        lines += ["", model.results]
    if model.sources:
        lines += ["", "| file | sha256 |", "|---|---|"]
        lines += [f"| {file} | {digest} |" for file, digest in model.sources.items()]
    if len(metrics) == 1:
        lines += ["", UNTESTED]
    for part_name, part in metrics.items():
        lines += ["", f"## {part_name}", "", markdown_table(part), "", *calibration_lines(part)]
    return "\n".join(lines) + "\n"
