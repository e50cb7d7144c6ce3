"""Accounts of witnesses as text: what was found in a photo or its file, and what it changed."""

from __future__ import annotations

from geoloc.guess import Account, Finding, Guess
from geoloc.photos.decode import printable

MOST_FINDINGS = 12
"""Findings of one witness that texts show; JSON and the page have all."""

STRENGTHS = (
    (4.0, "strong evidence"),
    (1.0, "evidence"),
    (0.1, "weak evidence"),
    (0.0, "hardly any evidence"),
)
"""Words for the information of a witness by its least bits; one halves the places in question."""

LEAST_BITS = 0.05
"""Of a witness that changed anything."""

TITLES = {"text": "text in the photo", "file": "metadata of the file", "sun": "position of the sun"}
"""What a witness is called in texts; others keep their name."""


def account_lines(guess: Guess) -> list[str]:
    """Return lines for people about everything that the witnesses of an answer found."""
    return [line for account in guess.witnesses for line in _lines(account)]


def one_line(guess: Guess) -> str | None:
    """Return all findings in one line, for a cell of a table; None without findings."""
    found = [finding_text(each) for account in guess.witnesses for each in account.findings]
    return "; ".join(found) or None


def finding_text(finding: Finding) -> str:
    """Return a finding as text on one line: "+49 30 12345": a telephone number of Germany."""
    reading = printable(finding.reading)
    shown = f'"{reading}": {finding.meaning}' if reading else finding.meaning
    return shown if finding.used else f"{shown} (not used)"


def _lines(account: Account) -> list[str]:
    title = TITLES.get(account.witness, account.witness)
    lines = [f"{title}: {effect(account)}"]
    lines += [f"  {finding_text(each)}" for each in account.findings[:MOST_FINDINGS]]
    more = len(account.findings) - MOST_FINDINGS
    return lines + ([f"  and {more} more"] if more > 0 else [])


def effect(account: Account) -> str:
    """Return what a witness changed: its information, and the answer without it."""
    if not account.counted:
        return "shown, not used for the answer"
    if account.bits < LEAST_BITS:
        return "no evidence about the place"
    strength = next(words for least, words in STRENGTHS if account.bits >= least)
    told = f"{strength} ({account.bits:.1f} bits)"
    place = account.place_without
    return f"{told}; without it the answer would be {place}" if place else told
