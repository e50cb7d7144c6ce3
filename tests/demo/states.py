"""What holds in every state of the page: words for people, and nothing serious for axe.

Screenshots of the states go to the folder in the environment variable GEOLOC_SCREENSHOTS.
"""

import os
import re
from pathlib import Path

import pytest

JARGON = (
    *("bundle", "belief", "cell", "geocell", "witness", "nats", "posterior", "prior", "likelihood"),
    *("gallery", "embedding", "softmax", "logit", "köppen", "cfb", "nan", "undefined", "none none"),
)
"""Words of the trade, and of programs."""

FORBIDDEN = re.compile(rf"\b({'|'.join(JARGON)})(e?s)?\b", re.IGNORECASE)

READ = """() => {
  const told = ["alt", "title", "aria-label", "aria-description", "placeholder"];
  const said = [document.body.innerText];
  for (const node of document.querySelectorAll("*"))
    for (const name of told) if (node.getAttribute(name)) said.push(node.getAttribute(name));
  return said.join("\\n");
}"""


def check_words(page):
    """Fail if what visitors see or hear in a page, or in a frame of it, has words of the trade."""
    told = page.evaluate(READ)
    found = [line for line in told.splitlines() if FORBIDDEN.search(line)]
    assert found == [], found


def check_state(page, state):
    """Check words and accessibility of a state, in light and in dark mode."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    check_words(page)
    page.emulate_media(reduced_motion="reduce")  # else axe sees colours on their way to others
    for dark in (False, True):
        page.evaluate("dark => document.body.classList.toggle('dark', dark)", dark)
        violations = axe.run(page).response["violations"]
        grave = [v for v in violations if v["impact"] in ("serious", "critical")]
        found = [(state, dark, v["id"], v["nodes"][0]["html"]) for v in grave]
        assert found == [], found
        keep(page, f"{state}-{'dark' if dark else 'light'}")
    page.evaluate("document.body.classList.remove('dark')")


def keep(page, name):
    """Save a screenshot, if wanted."""
    folder = os.environ.get("GEOLOC_SCREENSHOTS")
    if folder:
        page.wait_for_timeout(1000)  # the map is drawn in frames
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
