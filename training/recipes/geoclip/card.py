"""The model card of the world model: origin, limits and results."""

from __future__ import annotations

from typing import Any

from geoloc.answer.ranker import Ranker
from geoloc.bundle.installed import GEOCLIP_PACKAGE
from training.recipes.geoclip.encoder import WorldEncoder
from training.recipes.model_card import calibration_lines, markdown_table

PUBLISHED = """\
GeoCLIP's own accuracy on IM2GPS3k, as its authors published it (Vivanco Cepeda et al. 2023):
14.1 / 34.5 / 50.7 / 69.7 / 83.8 % within 1 / 25 / 200 / 750 / 2500 km, with their gallery of
100,000 points. This bundle was not measured on IM2GPS3k."""

UNTESTED = """\
**Not tested on photographs.** The weights come without photos. Radii and re-ranker were fitted on
simulated photos (location vectors mixed with look-alikes and noise). They describe the pipeline
behind the encoder and guarantee nothing for real photos, so the bundle never claims to be sure.
`geoloc bundle build geoclip --photos PHOTOS` calibrates it on geotagged photos."""


def world_card(name: str, ranker: Ranker, encoder: WorldEncoder, metrics: dict[str, Any]) -> str:
    """Return the text of MODEL_CARD.md."""
    gallery = ranker.gallery
    lines = [
        f"# {name}",
        "",
        f"GeoCLIP's image head and location encoder ({GEOCLIP_PACKAGE}, MIT) on OpenAI's CLIP"
        f" ({encoder.spec.model}, MIT), over {len(ranker.cells):,} geocells and"
        f" {len(gallery.members):,} points in {len(gallery.clusters):,} location clusters. Image"
        f" encoder: {encoder.note}. Made by `geoloc bundle build geoclip`.",
        "",
        PUBLISHED,
    ]
    if len(metrics) == 1:
        lines += ["", UNTESTED]
    for part_name, part in metrics.items():
        lines += ["", f"## {part_name}", "", markdown_table(part), "", *calibration_lines(part)]
    return "\n".join(lines) + "\n"
