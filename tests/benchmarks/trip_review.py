"""Benchmark of reviewing a trip: from a folder of 300 photos to tags, by the time of a person.

    python tests/benchmarks/trip_review.py [BUNDLE]

The library: a bicycle tour through Japan with real times (228 photos; the phone's 60 have geotags,
the camera's 168 have none) and 72 photos of a walk through Sydney (every second one of the phone,
the others of a camera without positions or a time zone; their clock is simulated), with a GPX file
of the walk. 204 of 300 have no position. BUNDLE is a folder (that of the starter:
geoloc/bundles/starter). Where it is missing, it is learned first, from all other development
photos, which takes 20 minutes.

The commands and Chromium run as for a person who follows the README, with keys and mouse, and who
accepts all within 5 km at 95 %, and then looks at each other group. A place as near to the true one
as its radius says, or 5 km, is accepted; else the name of the nearest town is typed. The time is
that of the keystroke-level model (Card, Moran and Newell 1980), with a pause to think and 1.4 s to
read for each group, and all waiting for the machine. JSON keys: person_s,
interactions, waiting_s, judged, corrected, tagged, near_5, near_25, undone.
"""

import csv
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image

sys.path[0] = str(Path(__file__).parents[2])  # `import training` must not find training.py beside

from geocells.places import describe
from geocells.sphere import haversine_km
from tests.browser import launched, playwright_driver
from tests.geoloc.photos.samples import gps_exif

ROOT = Path(__file__).parents[2]
PHOTOS = Path(os.environ.get("SHARED", ROOT.parent / "shared")) / "data/photos"
TOUR, WALK = "joelvonrotz/joelvonrotz.github.io", "milsonspoint-sydneyharbour-manly"
PHONE, CAMERA = "Google Pixel 7a", "Canon EOS 90D"
WALK_PHOTOS, WALK_STEP = 72, timedelta(seconds=150)
WALK_START = datetime.fromisoformat("2025-03-29T10:00:00+11:00")
POINTS = 5
"""Of the track, for each photo of the walk."""

KEY, CLICK, POINT, HOME, THINK = 0.28, 0.2, 1.1, 0.4, 1.35
"""Seconds of the operators of the keystroke-level model: a key of an average typist, a click,
moving the pointer to a target, moving a hand between mouse and keyboard, and preparing to act."""

READ = 1.4
"""Seconds for the pictures and the line of a group: six words at 250 a minute."""

FIRST_LOOK = 15.0
"""Seconds for understanding the page when it opens."""

ACCEPTED_KM = 5.0
DECISIONS = "decisions.json"

Places = dict[str, tuple[float, float]]


@dataclass
class Person:
    """Operates the page, and adds up what it costs a person."""

    tab: Any
    seconds: float = 0.0
    interactions: int = 0
    waiting: float = 0.0
    corrected: int = 0
    judged: int = 0

    def command(self, folder: Path, *words: str, untyped: tuple[str, ...] = ()) -> None:
        """Type a command of `geoloc`, and wait for it."""
        line = " ".join(("geoloc", *words)).replace(DECISIONS, f"~/Downloads/{DECISIONS}")
        self.seconds += THINK + KEY * (len(line) + 1)
        self.interactions += len(line) + 1
        program = (sys.executable, "-m", "geoloc")
        start = time.monotonic()
        done = subprocess.run(
            [*program, *words, *untyped], cwd=folder, check=False, env=environment(folder)
        )  # fmt: skip
        self.waiting += time.monotonic() - start
        if done.returncode:
            raise SystemExit(f"{line}: exit code {done.returncode}")

    def open(self, page: Path) -> None:
        """Double-click the page in a file manager, and look at it for the first time."""
        self.seconds += THINK + POINT + 2 * CLICK + FIRST_LOOK
        self.interactions += 2
        start = time.monotonic()
        self.tab.goto(page.as_uri())
        self.tab.locator("#list button").first.wait_for()
        self.waiting += time.monotonic() - start

    def click(self, target: Any) -> None:
        """Click a button, with a hand that was at the keyboard and goes back."""
        self.seconds += THINK + HOME + POINT + CLICK + HOME
        self.interactions += 1
        target.click()

    def button(self, name: str) -> None:
        """Click the button of a name."""
        self.click(self.tab.get_by_role("button", name=name))

    def press(self, keys: str, *, thinking: bool = False) -> None:
        """Press one key, or type a text."""
        number = 1 if keys == "Enter" else len(keys)
        self.seconds += KEY * number + THINK * thinking
        self.interactions += number
        self.tab.keyboard.press(keys) if number < len(keys) else self.tab.keyboard.type(keys)

    def review(self, truth: Places) -> None:
        """Judge the groups that are left, one after another, until all are decided."""
        self.press("n", thinking=True)
        while (group := self.tab.evaluate(CHOSEN)) and not group["accepted"]:
            self.seconds += READ + THINK
            self.judged += 1
            if away_km(group, truth) <= max(ACCEPTED_KM, group["radius_80_km"]):
                self.press("a")
                continue
            self.corrected += 1
            self.press("t", thinking=True)
            self.press(str(describe([middle(group, truth)])["town"][0]))
            self.press("Enter")
            self.press("n")


CHOSEN = """() => chosen && ({
  names: chosen.photos.map(photo => photo.name), lat: chosen.lat, lon: chosen.lon,
  accepted: chosen.accepted, radius_80_km: chosen.radius_80_km})"""


def middle(group: dict, truth: Places) -> tuple[float, float]:
    """Return where the photo in the middle of a group was taken."""
    names = group["names"]
    return truth[names[len(names) // 2]]


def away_km(group: dict, truth: Places) -> float:
    """Return how far the place of a group is from that of its photo in the middle."""
    return float(haversine_km([group["lat"], group["lon"]], middle(group, truth)))


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a new user."""
    return os.environ | {"XDG_CACHE_HOME": str(folder / "cache"), "PYTHONPATH": str(ROOT)}


def rows(table: str) -> list[dict[str, str]]:
    """Return the rows of a table of the development photos."""
    with (PHOTOS / table).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def in_library(row: dict[str, str]) -> bool:
    """Whether a development photo is of the tour or the walk."""
    return row.get("collection") == TOUR or row["group"] == WALK


def write_photo(
    row: dict[str, str], target: Path, camera: str, at: datetime, *, phone: bool
) -> None:
    """Copy a photo with the metadata of a phone, or of a camera that has no GPS and no zone."""
    taken = at.strftime("%Y:%m:%d %H:%M:%S")
    place = float(row["lat"]), float(row["lon"])
    exif = gps_exif(*place, taken) if phone else Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = camera.split(" ", 1)
    times = {ExifTags.Base.DateTimeOriginal: taken}
    if phone:
        times[ExifTags.Base.OffsetTimeOriginal] = f"{at:%z}"[:3] + ":00"
    exif[ExifTags.IFD.Exif] = times
    with Image.open(PHOTOS / row["file"]) as image:
        image.save(target, exif=exif, quality="keep")


def write_library(folder: Path) -> Places:
    """Write the 300 photos to `holiday` and the track beside it; return the true places."""
    (folder / "holiday").mkdir()
    truth = {}
    for row in filter(in_library, rows("more.csv")):
        at = datetime.fromisoformat(row["time"] + row["offset"])
        name = f"{at:%Y%m%d-%H%M%S}-{Path(row['file']).name[-9:]}"
        phone = row["camera"] == PHONE
        write_photo(row, folder / "holiday" / name, row["camera"], at, phone=phone)
        truth[name] = float(row["lat"]), float(row["lon"])
    walk = sorted(filter(in_library, rows("photos.csv")), key=lambda row: row["source"])
    for number, row in enumerate(walk[:WALK_PHOTOS]):
        phone = number % 2 == 0
        name = f"{'PXL' if phone else 'IMG'}_{number:04}.jpg"
        at, camera = WALK_START + number * WALK_STEP, PHONE if phone else CAMERA
        write_photo(row, folder / "holiday" / name, camera, at, phone=phone)
        truth[name] = float(row["lat"]), float(row["lon"])
    path = np.array(list(truth.values()))[-WALK_PHOTOS:]
    steps = np.arange(0, WALK_PHOTOS - 1, 1 / POINTS)
    track = [np.interp(steps, np.arange(WALK_PHOTOS), path[:, axis]) for axis in (0, 1)]
    points = "".join(
        f'<trkpt lat="{lat:.6f}" lon="{lon:.6f}"><time>'
        f"{(WALK_START + step * WALK_STEP).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}</time></trkpt>"
        for step, lat, lon in zip(steps, *track, strict=True)
    )
    (folder / "walk.gpx").write_text(
        '<gpx version="1.1" creator="test" xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>'
        f"{points}</trkseg></trk></gpx>"
    )
    return truth


def learn(bundle: Path, scratch: Path) -> None:
    """Learn a bundle from all photos that are not in the library."""
    tables = []
    for name in ("photos.csv", "more.csv"):
        others = [row for row in rows(name) if not in_library(row)]
        tables.append(scratch / name)
        with tables[-1].open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, others[0])
            writer.writeheader()
            writer.writerows(row | {"file": PHOTOS / row["file"]} for row in others)
    program = (sys.executable, "-m", "training", "learn")
    subprocess.run([*program, *map(str, tables), "-o", str(bundle)], check=True)


def contents(folder: Path) -> dict[Path, bytes]:
    """Return the content of each file of a folder."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def tagged_place(sidecar: Path) -> tuple[float, float]:
    """Return the position in a sidecar, in degrees."""
    text = sidecar.read_text(encoding="utf-8")
    found = [
        re.search(rf'GPS{axis}="(\d+),([\d.]+)([NSEW])"', text)
        for axis in ("Latitude", "Longitude")
    ]
    lat, lon = (
        (float(each[1]) + float(each[2]) / 60) * (-1 if each[3] in "SW" else 1) for each in found
    )
    return lat, lon


def measure(bundle: Path, folder: Path) -> dict[str, float]:
    """Go from the folder to tags and back, and return the results."""
    truth = write_library(folder)
    before = contents(folder / "holiday")
    with playwright_driver() as driver, launched(driver) as browser:
        tab = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        person = Person(tab)
        place = ("trip", "holiday", "--track", "walk.gpx", "-o", "review.html")
        person.command(folder, *place, untyped=("--bundle", str(bundle)))
        person.open(folder / "review.html")
        person.button("Accept all within")
        person.review(truth)
        with tab.expect_download() as download:
            person.button("Export decisions")
        download.value.save_as(folder / DECISIONS)
    person.command(folder, "trip", "apply", DECISIONS, "--xmp", "digikam")
    tags = {path.name[:-4]: tagged_place(path) for path in (folder / "holiday").glob("*.xmp")}
    error_km = haversine_km(list(tags.values()), [truth[name] for name in tags])
    person_s, waiting_s = person.seconds + person.waiting, person.waiting
    Person(None).command(folder, "trip", "undo", "decisions.log.jsonl")
    return {
        "person_s": person_s, "interactions": person.interactions, "waiting_s": waiting_s,
        "judged": person.judged, "corrected": person.corrected, "tagged": len(tags),
        "near_5": float(np.mean(error_km <= 5)), "near_25": float(np.mean(error_km <= 25)),
        "undone": contents(folder / "holiday") == before,
    }  # fmt: skip


def main() -> None:
    """Measure, and print the results."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        bundle = Path(sys.argv[1] if sys.argv[1:] else folder / "others.bundle").resolve()
        if not bundle.exists():
            learn(bundle, folder)
        results = measure(bundle, folder)
    print("| figure | value |\n|---|---:|")
    for name, value in results.items():
        print(f"| {name} | {value:,.4g} |")
    print(json.dumps({name: round(value, 3) for name, value in results.items()}))


if __name__ == "__main__":
    main()
