"""The card of a learned bundle: results on new collections first, or why they are missing."""

import numpy as np
import pytest

from training.recipes.learned_card import HEADLINE, Facts, learned_card, summary
from training.recipes.model_card import NEW_COLLECTIONS, QUESTIONS


def part(median_km: float) -> dict:
    """Return results as `measure_part` gives them."""
    row = {
        "photos": 300, "median_km": median_km, "within": {"25": 0.25, "200": 0.5},
        "country": 0.5, "geoscore": 2000.0,
    }  # fmt: skip
    levels = {"50": 0.51, "80": 0.79, "95": 0.94}
    return {
        "accuracy": {"full": row},
        "coverage": levels,
        "median_radius_km": dict.fromkeys(levels, 100.0),
        "region_coverage": levels,
        "selective_risk": {"100": 0.5},
        "claims": {
            "city": {"photos": 30, "right": 0.9},
            "region": {"photos": 0, "right": float("nan")},
        },
    }


QUESTION = {
    "photos": 2168, "coverage": {"50": 0.5, "80": 0.8, "95": 0.95}, "claims_made": 0,
    "claims_right": float("nan"), "geoscore": 1234.5, "constant": 1078.0,
}  # fmt: skip


def facts(collections: int, background: int = 0) -> Facts:
    return Facts("mine", 300, 20, collections, 900, "net (onnx)", "collection", background)


def test_new_collections_come_first_then_in_collection():
    metrics = {
        "sydney": part(10.0), NEW_COLLECTIONS: part(3000.0),
        QUESTIONS: {"one photo": QUESTION, "together, 4": QUESTION},
    }  # fmt: skip
    card = learned_card(facts(7, 2400), metrics)
    headings = [line for line in card.splitlines() if line.startswith("#")]
    assert headings == [
        "# mine", f"## {HEADLINE}", "## In collection", "### In collection: sydney"
    ]  # fmt: skip
    assert "| one photo | 2,168 | 50 / 80 / 95 % | 0 | – | 1,234 | 1,078 |" in card
    assert card.index("3,000") < card.index("## In collection")
    assert "prior of use: collection" in card
    assert "2,400 photos from all over the world" in card


@pytest.mark.parametrize("collections", [1, 4])
def test_too_few_collections_are_named_as_the_reason(collections):
    card = learned_card(facts(collections), {"photos": part(10.0)})
    section = card[card.index(HEADLINE) : card.index("## In collection")]
    assert f"at least 5 collections, and these are of {collections}" in section
    assert "|" not in section


def test_summary_has_few_lines_and_the_new_collections_before_the_others():
    parts = {str(name): part(float(name)) for name in range(8)}
    lines = summary(facts(7), {**parts, "all": part(10.0), NEW_COLLECTIONS: part(3000.0)})
    assert len(lines) == 5
    assert lines[3].startswith(f"{HEADLINE}: median error 3,000 km, 25.0 % within 25 km")
    assert lines[3].endswith("30 claims, 90.0 % of them right.")
    assert lines[4].startswith("In collection (all): median error 10 km")


def test_summary_of_a_bundle_without_claims():
    without = part(10.0) | {"claims": {"city": {"photos": 0, "right": float(np.nan)}}}
    assert summary(facts(1), {"photos": without})[-1].endswith("; 0 claims.")
