"""The memory of decoded photos: conversion in strips, and a budget over all requests."""

import io
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from demo.api.memory import DECODED_BYTES, MemoryBudget
from geoloc.errors import PhotoError
from geoloc.photos import colour
from geoloc.photos.decode import load
from tests.demo.services import ROOT, jpeg


def png(side, mode="RGB"):
    return jpeg(Image.new(mode, (side, side)), "PNG")


def test_photos_wait_until_others_have_been_released():
    budget = MemoryBudget(1_300_000, 64)  # 300 x 300 take 1,080,000 while they are decoded
    first = budget.load(png(300), load)
    assert budget.held == 300 * 300 * DECODED_BYTES
    waits = threading.Event()

    def decoding(content):
        waits.set()
        return load(content)

    with ThreadPoolExecutor(1) as thread:
        second = thread.submit(budget.load, png(300), decoding)
        assert not waits.wait(0.05)  # there is no event to wait for: it does nothing
        del first
        assert second.result(60).image.size == (300, 300)
        del second
    assert budget.held == 0


def test_a_photo_above_the_budget_is_decoded_alone_and_errors_release_theirs():
    budget = MemoryBudget(1000, 1)
    large = budget.load(png(200), load)
    assert large.image.size == (200, 200)
    del large
    for broken in (b"text", png(200)[:60]):
        with pytest.raises(PhotoError):
            budget.load(broken, load)
    assert budget.held == 0


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_strips_are_converted_like_the_whole_picture(mode, monkeypatch):
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 255, (37, 53, 4), np.uint8), "RGBA").convert(mode)
    if mode == "P":
        picture.info["transparency"] = 3
    whole = colour.to_rgb(picture)
    monkeypatch.setattr(colour, "STRIP_PIXELS", 200)
    assert colour.to_rgb(picture).tobytes() == whole.tobytes()


@pytest.mark.parametrize("kind", ["uint16", "int32", "float32"])
def test_deep_grey_is_the_same_in_strips_and_scaled_by_its_white(kind, monkeypatch):
    values = np.random.default_rng(0).integers(0, 60_000, (37, 53)).astype(kind)
    picture = Image.fromarray(values)
    whole = colour.to_rgb(picture)
    monkeypatch.setattr(colour, "STRIP_PIXELS", 200)
    assert colour.to_rgb(picture).tobytes() == whole.tobytes()
    grey = np.asarray(whole)[..., 0]
    assert np.abs(grey - values.astype(float) / 257.0).max() <= 0.5


def test_a_small_file_of_64_megapixels_of_16_bits_takes_less_than_a_gigabyte():
    picture = Image.new("I;16", (8000, 8000))
    out = io.BytesIO()
    picture.save(out, "PNG")
    assert len(out.getvalue()) < 200_000
    code = (
        "import resource, sys; from geoloc.photos.decode import load\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak(); load(sys.stdin.buffer.read()); print(peak() - before)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        input=out.getvalue(),
        capture_output=True,
        cwd=ROOT,
        check=True,
    )
    assert int(run.stdout) * resource_unit() < 800e6


def resource_unit():
    """Bytes in one unit of ru_maxrss."""
    return 1 if sys.platform == "darwin" else 1024
