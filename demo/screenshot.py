"""Make the picture in the README: an answer of the starter bundle on the real page.

    python -m demo.screenshot demo/answer.png

Needs Chromium, and playwright from the extra `dev`.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image

from demo.page import app
from demo.page.game import photos
from demo.page.theme import appearance

EXAMPLE = 0
"""Row of the example: the Eiffel Tower, in a photo that the starter was not trained on."""

COLOURS = 256
"""Size of the palette: enough for the map and the page, and small."""

SIZE = {"width": 1180, "height": 1010}

MAP_IS_IDLE = """() => {
  const plot = document.querySelector("#world .js-plotly-plot");
  const map = plot?._fullLayout?.map?._subplot?.map;
  return map && map.loaded() && !map.isMoving();
}"""


def main(target: Path) -> None:
    """Serve the page, locate an example as a visitor would, and save a screenshot."""
    from playwright.sync_api import sync_playwright

    from geoloc.geolocator import Geolocator

    page = app.build({"starter": Geolocator.from_bundle("starter")})
    page.launch(**appearance(), prevent_thread_lock=True, quiet=True)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "page.png"
        arguments = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader"]
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=arguments
        )
        visit = browser.new_page(viewport=SIZE)
        visit.set_default_timeout(120_000)
        visit.goto(page.local_url)
        visit.get_by_role("button", name="Choose photos").wait_for()
        example = photos.read(photos.EXAMPLES)[EXAMPLE].file
        visit.locator("input[type=file]").set_input_files(example)
        visit.locator("table.places").wait_for()
        visit.get_by_text("Properties estimated from the photo").wait_for()
        visit.wait_for_function(MAP_IS_IDLE)
        visit.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
        visit.wait_for_timeout(2000)  # the last frame of the map is drawn without an event
        visit.screenshot(path=shot)
        browser.close()
        Image.open(shot).convert("RGB").quantize(COLOURS).save(target, optimize=True)
    page.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
