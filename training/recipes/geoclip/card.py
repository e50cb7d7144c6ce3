"""The world model's card: what it is, whose work, and what its figures are worth."""

from __future__ import annotations

from typing import Any

from geoloc.answer.ranker import Ranker
from training.recipes.geoclip.encoder import WorldEncoder
from training.recipes.geoclip.published import PACKAGE
from training.recipes.model_card import honesty, markdown_table

PUBLISHED = """\
GeoCLIP's own accuracy on IM2GPS3k, as its authors published it (Vivanco Cepeda et al. 2023):
14.1 / 34.5 / 50.7 / 69.7 / 83.8 % within 1 / 25 / 200 / 750 / 2500 km. It is theirs, for their
gallery of 100,000 points; this bundle was not measured on IM2GPS3k."""

UNTRIED = """\
**Not tried on photographs.** The weights come without photos. The radii and the order of
candidates were fitted on simulated photos (location vectors mixed with look-alikes and noise), so
they say what the pipeline behind the encoder does, and nothing certain about yours: the bundle
never says that it is sure. `geoloc bundle build geoclip --photos PHOTOS` calibrates it on geotagged
photos."""


def world_card(name: str, ranker: Ranker, encoder: WorldEncoder, metrics: dict[str, Any]) -> str:
    """MODEL_CARD.md."""
    gallery = ranker.gallery
    lines = [
        f"# {name}",
        "",
        f"GeoCLIP's image head and location encoder ({PACKAGE}, MIT) on OpenAI's CLIP"
        f" ({encoder.spec.model}, MIT), over {len(ranker.cells):,} geocells and"
        f" {len(gallery.members):,} points in {len(gallery.clusters):,} location clusters. Image"
        f" encoder: {encoder.note}. Made by `geoloc bundle build geoclip`.",
        "",
        PUBLISHED,
    ]
    if len(metrics) == 1:
        lines += ["", UNTRIED]
    for part_name, part in metrics.items():
        lines += ["", f"## {part_name}", "", markdown_table(part), "", *honesty(part)]
    return "\n".join(lines) + "\n"
