"""Make the picture in the README: an answer of the starter bundle on the real page.

    python -m demo.screenshot demo/answer.png

Needs Chromium, and playwright from the extra `dev`.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from demo.page.game import photos

EXAMPLE = 0
"""Of the examples: the Pont du Gard, in a photo that the starter was not made from."""

COLOURS = 256
"""Size of the palette: enough for the map and the page, and small."""

WIDTH, HEIGHT = 1180, 880

WEBGL = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]

MAP_IS_IDLE = """() => {
  const map = document.querySelector("#world .planet")?.planet?.map;
  return map && map.loaded() && !map.isMoving();
}"""


def main(target: Path) -> None:
    """Serve the page, locate an example as a visitor would, and save a screenshot."""
    from playwright.sync_api import sync_playwright

    with (
        _server() as address,
        sync_playwright() as playwright,
        tempfile.TemporaryDirectory() as folder,
    ):
        shot = Path(folder) / "page.png"
        chromium = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=WEBGL)
        visit = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        visit.set_default_timeout(120_000)
        visit.goto(address)
        visit.get_by_role("button", name="Choose photos").wait_for()
        visit.get_by_label("Photos", exact=True).set_input_files(photos.examples()[EXAMPLE])
        visit.get_by_text("What the photo suggests").wait_for()
        visit.wait_for_function(MAP_IS_IDLE)
        visit.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
        visit.wait_for_timeout(1000)  # the last frame of the map is drawn without an event
        visit.screenshot(path=shot)
        browser.close()
        Image.open(shot).convert("RGB").quantize(COLOURS).save(target, optimize=True)


@contextmanager
def _server() -> Iterator[str]:
    """Run the server with the starter; yield its address."""
    command = [sys.executable, "-m", "demo.server", "--bundle", "starter", "--port", "0", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline() if process.stdout else ""
        found = re.search(r"http://\S+", line)
        if found is None:
            raise RuntimeError("the server did not start")
        try:
            yield found[0]
        finally:
            process.terminate()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
