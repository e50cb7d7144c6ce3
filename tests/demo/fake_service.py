"""A real server whose answers identify the photo, so that tests notice answers mixed up.

Run as a process: its only argument is JSON with `limits`, `access`, `page`, `slow_s`, `proxies` and
`headers_s`.
"""

import json
import logging
import signal
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
from PIL import Image

from demo import server
from demo.api import application
from demo.api.inference import ConcurrentGeolocator
from demo.api.limits import Limits
from demo.page.app import build
from demo.security import sandbox
from demo.security.access import Access
from demo.security.connections import HEADERS_S, ClientConnection
from geoloc.encoders.base import EncoderSpec, Preprocessing
from geoloc.retrieval.tables import Clusters
from tests.demo.fakes import make_cells
from tests.demo.guesses import make_guess

SIDE = 32


class ColourEncoder:
    """Returns the mean colour of a photo, in 0..1, after `slow_s` seconds."""

    spec = EncoderSpec("fake", "colour", "", 3, Preprocessing(SIDE, (0, 0, 0), (1, 1, 1)))

    def __init__(self, slow_s: float = 0.0) -> None:
        self.slow_s, self.batches = slow_s, []

    def embed(self, pixels):
        self.batches.append(len(pixels))
        time.sleep(self.slow_s)
        return pixels.mean(axis=(2, 3))


class ColourGeolocator(ConcurrentGeolocator):
    """Derives the place from the colour of a photo: red is the latitude, green the longitude."""

    def __init__(self, slow_s: float = 0.0, megapixels: int = 64) -> None:
        cells = make_cells()
        clusters = Clusters(np.array([0, 1]), cells.centroids, cells.count)
        gallery = SimpleNamespace(members=range(2), clusters=clusters)
        bundle = SimpleNamespace(
            name="fake",
            cells=cells,
            encoder_spec=ColourEncoder.spec,
            ranker=SimpleNamespace(gallery=gallery),
            joined=SimpleNamespace(places=cells.centroids),
            thumbnails=None,
        )
        self.colours = ColourEncoder(slow_s)
        super().__init__(bundle, self.colours, megapixels)

    def guess(self, embeddings, photos, top=5, constraint=None):
        guesses = [
            make_guess(*place_of_colour(colour), photo=photo.name, exif=photo.exif)
            for colour, photo in zip(embeddings, photos, strict=True)
        ]
        return [replace(guess, bundle="fake (int8)") for guess in guesses]  # as real ones name it

    def guess_together(self, embeddings, groups, top=5, constraint=None):
        (members,) = groups
        (guess,) = self.guess(embeddings[:1], members[:1])
        return [replace(guess, photos=tuple(each.name for each in members))]


def place_of_colour(colour) -> tuple[float, float]:
    return float(colour[0]) * 80.0, float(colour[1]) * 170.0


def photo_of(number: int) -> Image.Image:
    """Return a photo of one colour, different for each number below 256."""
    return Image.new("RGB", (48, 40), (number, 255 - number, (number * 37) % 256))


def place_of(number: int) -> tuple[float, float]:
    return place_of_colour((number / 255.0, (255 - number) / 255.0))


def main() -> None:
    options = json.loads(sys.argv[1])
    logging.basicConfig(format="%(message)s")
    logging.getLogger("geoloc.service").setLevel(logging.INFO)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    limits = Limits(**options.get("limits", {}))
    temporary = sandbox.private_temp_folder(limits.keep_s)
    with server._listen("127.0.0.1", 0) as listener, temporary as folder:
        fake = ColourGeolocator(options.get("slow_s", 0.0), limits.megapixels)
        page = build({"fake": fake}) if options.get("page") else None
        access = Access(**options.get("access", {}))
        service = application.create({"fake": fake}, limits=limits, access=access, page=page)
        sandbox.block_connections()
        ClientConnection.headers_s = options.get("headers_s", HEADERS_S)
        config = server._config(service, options.get("proxies", ()), access.root_path)
        server._run_server(config, listener, folder)
        print("calls of the encoder:", len(fake.colours.batches), flush=True)


if __name__ == "__main__":
    main()
