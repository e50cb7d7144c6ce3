"""Benchmark of pictures of no place: photos that are taken for drawings, and drawings found.

    python tests/benchmarks/screens.py

Looks at all 7,778 development photos as if no metadata had a camera, and at pages that Chromium
draws: chats, settings, texts, tables, tickets, maps, and articles and chats with photos, on the
screens of six phones, tablets and computers, light and dark, as PNG and as a messenger sends them
(JPEG, at most 1,600 pixels); and at scanned letters, receipts and notes with grain and shade of the
paper. Pages and scans are simulated. Needs the development data beside the repository, and
Chromium. JSON keys: taken_for_drawings, photos, found_plain_png, found_plain_jpeg,
found_pictures_png, found_pictures_jpeg, found_scans.
"""

import csv
import io
import json
import os
import sys
from base64 import b64encode
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

sys.path[0] = str(Path(__file__).parents[2])

from geoloc.trips.clues.screens import is_drawn
from tests.browser import launched, playwright_driver

ROOT = Path(__file__).parents[2]
PHOTOS = Path(os.environ.get("SHARED", ROOT.parent / "shared")) / "data/photos"
SCREENS = (
    (390, 844, 3),
    (412, 915, 2.625),
    (360, 780, 3),
    (820, 1180, 2),
    (1440, 900, 1),
    (1920, 1080, 1),
)
"""Width, height and device pixels of a pixel."""

MESSENGER_PX, QUALITIES = 1600, (60, 75, 90)
WORDS = (
    "Your booking of 12 May is confirmed, gate B42 opens at 10:20. See you at the station then. "
)
STYLE = """<meta charset=utf-8><style>body{margin:0;font:16px sans-serif;background:%s;color:%s}
.bar{display:flex;justify-content:space-between;padding:10px 18px;font-size:13px}h1{padding:0 18px}
.b{margin:8px 14px;padding:10px;border-radius:14px;max-width:75%%;background:%s}.r{margin-left:auto}
.row{padding:16px 18px;border-bottom:1px solid #8884}img{max-width:100%%;display:block}
td{border:1px solid #8886;padding:6px 12px}p{padding:0 18px;line-height:1.5}</style>
<div class=bar><b>10:24</b><span>5G &#9646;&#9646; 84 %%</span></div>"""
THEMES = (("#fff", "#111", "#e3e9f2"), ("#121212", "#eee", "#2b3440"))
BUBBLES = "".join(
    f'<div class="b {"r" if i % 3 else ""}">{WORDS[: 20 + 17 * (i % 5)]}</div>' for i in range(14)
)
ROWS = "".join(f"<div class=row>{WORDS[i : i + 22]}</div>" for i in range(16))
TRAINS = "".join(
    f"<tr><td>{6 + i}:{10 + i}<td>Platform {i % 9}<td>{WORDS[:14]}</tr>" for i in range(20)
)
INK = ("#fff", "#000")
CODE = "".join(
    f"<rect x={k % 30} y={k // 30} width=1 height=1 fill={INK[k * (7 * k + 1) % 5 < 2]} />"
    for k in range(900)
)
ROADS = "".join(
    f"<path d='M0 {70 * i}L400 {70 * i - 90 + 31 * (i % 4)}' stroke=#fff stroke-width=8 />"
    f"<path d='M{57 * i} 0L{57 * i - 60} 800' stroke=#fbd26b stroke-width=5 />"
    for i in range(13)
)
PLAIN = (
    BUBBLES,
    f"<h1>Settings</h1>{ROWS}",
    "<h1>Terms of the journey</h1>" + f"<p>{WORDS * 3}</p>" * 6,
    f"<h1>Timetable</h1><table>{TRAINS}</table>",
    f"<h1>Boarding pass</h1><svg width=300 height=300 viewBox='0 0 30 30'>{CODE}</svg><p>{WORDS}",
    f"<svg width=100% height=800 viewBox='0 0 400 800' style='background:#e8ead9'>{ROADS}</svg>",
)
PICTURES = (
    f"<h1>Ten islands</h1>{{}}<p>{WORDS * 4}",
    f'<div class=b>{WORDS}</div><div class="b r">{{}}</div>' + f"<div class=b>{WORDS}</div>" * 3,
)


def drawn(path: Path) -> bool:
    """Return whether a photo is taken for a drawing."""
    with Image.open(path) as picture:
        return is_drawn(picture)


def screens() -> dict[str, list[Image.Image]]:
    """Return screenshots by what they show: "plain", or "pictures" among text."""
    photos = sorted((PHOTOS / "world").glob("*.jpg"))[:40]
    found: dict[str, list[Image.Image]] = {"plain": [], "pictures": []}
    with playwright_driver() as driver, launched(driver) as browser:
        for number, (width, height, scale) in enumerate(SCREENS):
            tab = browser.new_context(
                viewport={"width": width, "height": height}, device_scale_factor=scale
            ).new_page()
            encoded = b64encode(photos[number].read_bytes()).decode()
            for theme in THEMES:
                for kind, pages in (("plain", PLAIN), ("pictures", PICTURES)):
                    for body in pages:
                        image = f"<img src='data:image/jpeg;base64,{encoded}'>"
                        tab.set_content(
                            STYLE % theme + body.replace("{}", image), wait_until="load"
                        )
                        found[kind].append(Image.open(io.BytesIO(tab.screenshot())).convert("RGB"))
    return found


def scans(rng: np.random.Generator) -> list[Image.Image]:
    """Return scanned pages with the grain and the shade of paper."""
    found = []
    for number in range(36):
        width, height = ((1240, 1754), (620, 1600), (1600, 1200))[number % 3]
        picture = Image.new("L", (width, height), 245)
        draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=22)
        for y in range(60, int(height * rng.uniform(0.4, 0.95)), 34):
            draw.text((60, y), (WORDS * 2)[: (width - 120) // 12], 40, font)
        shade = np.linspace(0.0, rng.uniform(0.0, 25.0), width)[None]
        grain = rng.normal(0.0, (0.0, 1.0, 3.0)[number // 3 % 3], (height, width))
        pixels = np.clip(np.asarray(picture, float) - shade + grain, 0, 255).astype(np.uint8)
        found.append(sent(Image.fromarray(pixels).convert("RGB"), QUALITIES[number % 3]))
    return found


def sent(picture: Image.Image, quality: int) -> Image.Image:
    """Return a picture as a messenger sends it."""
    small, buffer = picture.copy(), io.BytesIO()
    small.thumbnail((MESSENGER_PX, MESSENGER_PX))
    small.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


def share(pictures: list[Image.Image]) -> float:
    """Return how many pictures are found."""
    return round(float(np.mean([is_drawn(each) for each in pictures])), 3)


def main() -> None:
    """Measure, and print the results."""
    files = []
    for table in ("photos.csv", "more.csv"):
        with (PHOTOS / table).open(encoding="utf-8") as file:
            files += [PHOTOS / row["file"] for row in csv.DictReader(file)]
    with ProcessPoolExecutor() as pool:
        taken = list(pool.map(drawn, files, chunksize=64))
    for file in (file for file, each in zip(files, taken, strict=True) if each):
        print(file.relative_to(PHOTOS))
    results = {"taken_for_drawings": sum(taken), "photos": len(files)}
    for kind, pages in screens().items():
        results[f"found_{kind}_png"] = share(pages)
        as_jpeg = [sent(each, QUALITIES[i % len(QUALITIES)]) for i, each in enumerate(pages)]
        results[f"found_{kind}_jpeg"] = share(as_jpeg)
    results["found_scans"] = share(scans(np.random.default_rng(0)))
    print(json.dumps(results))


if __name__ == "__main__":
    main()
