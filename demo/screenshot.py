"""Make the picture that opens the README: a real answer of the starter bundle, on the real page.

    python -m demo.screenshot demo/answer.png

It needs Debian's chromium, and playwright from the `dev` extra.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image

from demo.page import app
from demo.page.game import photos
from demo.page.theme import appearance

EXAMPLE = 3
"""Machu Picchu, which the starter bundle recognises once it is told the country."""

COLOURS = 256
"""Enough for a map and a page; keeps the picture small."""


def main(target: Path) -> None:
    """Serve the page, answer an example as a visitor would, and photograph the page."""
    from playwright.sync_api import sync_playwright

    from geoloc.geolocator import Geolocator

    page = app.build({"starter": Geolocator.from_bundle("starter")})
    page.launch(**appearance(), prevent_thread_lock=True, quiet=True)
    with sync_playwright() as browsers, tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "page.png"
        arguments = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader"]
        browser = browsers.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        visit = browser.new_page(viewport={"width": 1180, "height": 1010})
        visit.set_default_timeout(120_000)
        visit.goto(page.local_url)
        with visit.expect_file_chooser() as chooser:
            visit.get_by_role("button", name="Choose photos").click()
        chooser.value.set_files(photos.read(photos.EXAMPLES)[EXAMPLE].file)
        visit.locator("table.places").wait_for()
        visit.get_by_role("radio", name="Country or region").check()
        country = visit.get_by_label("Which country or region")
        country.fill("Peru")
        country.press("Enter")
        visit.get_by_text("Known beforehand: Peru").wait_for()
        visit.locator("#world .maplibregl-canvas").wait_for()
        visit.wait_for_timeout(8000)  # the map draws itself in frames
        visit.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
        visit.screenshot(path=shot)
        browser.close()
        Image.open(shot).convert("RGB").quantize(COLOURS).save(target, optimize=True)
    page.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
