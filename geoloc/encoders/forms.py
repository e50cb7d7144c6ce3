"""Forms of an encoder: in full precision, and quantised to int8. The faster one is chosen.

int8 is two to three times as fast on CPUs with VNNI, and may be slower on others. Both forms are
timed once for each machine, when a bundle is first used, and the choice is kept in the user's cache
folder. The environment variable GEOLOC_FORM (fp32 or int8) chooses instead.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import platformdirs

from geoloc.encoders.base import EncoderSpec, ImageEncoder
from geoloc.encoders.registry import build_encoder
from geoloc.errors import BundleError
from geoloc.io import machine
from geoloc.io.atomic import atomic_write_text

FP32, INT8 = "fp32", "int8"
FORMS = (FP32, INT8)

VARIABLE = "GEOLOC_FORM"
"""Environment variable that chooses the form; bundles without it are used in full precision."""

FILES = {FP32: "encoder.onnx", INT8: "encoder.int8.onnx"}

GAIN = 0.9
"""int8 is chosen if it takes at most this share of the time: its answers differ a little."""

RUNS = 5
"""Timed runs of each form, in turns; the fastest of each counts."""

PHOTOS = 2
"""Photos in a timed run."""


def int8_spec(spec: EncoderSpec, digest: str) -> EncoderSpec:
    """Return the spec of the int8 form, whose file has the sha256 `digest`, of an encoder."""
    return replace(spec, weights=digest, form=INT8)


def form_of(spec: EncoderSpec) -> str:
    """Return the form of an encoder, one of FORMS."""
    return spec.form or FP32


def named(bundle: str, encoder: ImageEncoder | None) -> str:
    """Return the name of a bundle with the form of its encoder, unless that is full precision."""
    return f"{bundle} ({encoder.spec.form})" if encoder and encoder.spec.form else bundle


def choose(specs: Sequence[EncoderSpec], folder: Path, form: str | None = None) -> EncoderSpec:
    """Return the form of an encoder that is fastest on this machine.

    Args:
        specs: the forms that the bundle has; the first is in full precision.
        folder: of the bundle.
        form: chooses the form, if the bundle has it; None for GEOLOC_FORM, or else the fastest.

    Raises:
        BundleError: the weights are missing or damaged, or GEOLOC_FORM is no form.
        MissingExtraError: a library is not installed.
    """
    by_form = {form_of(spec): spec for spec in specs}
    wanted = form or _forced()
    if wanted is None and len(by_form) > 1:
        note = _note(specs)
        wanted = _remembered(note) or _measure(by_form, folder, note)
    return by_form.get(wanted or FP32, specs[0])


def _forced() -> str | None:
    wanted = os.environ.get(VARIABLE) or None
    if wanted not in (None, *FORMS):
        raise BundleError(f"{VARIABLE}={wanted}: no form of an encoder; set it to fp32 or int8")
    return wanted


def _measure(by_form: dict[str, EncoderSpec], folder: Path, note: Path) -> str:
    """Time both forms, and return and keep the choice."""
    encoders = {form: build_encoder(spec, folder) for form, spec in by_form.items()}
    size = by_form[FP32].preprocessing.size
    pixels = np.zeros((PHOTOS, 3, size, size), np.float32)
    times: dict[str, list[float]] = {form: [] for form in encoders}
    for _ in range(RUNS + 1):
        for form, encoder in encoders.items():
            begin = time.perf_counter()
            encoder.embed(pixels)
            times[form].append(time.perf_counter() - begin)
    fastest = {form: min(taken[1:]) for form, taken in times.items()}
    chosen = INT8 if fastest[INT8] <= GAIN * fastest[FP32] else FP32
    kept = {"form": chosen, "ms": {form: round(1e3 * s, 2) for form, s in fastest.items()}}
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(note, json.dumps(kept))
    except OSError:  # a cache folder that is read-only or full: the next process measures again
        pass
    return chosen


def _remembered(note: Path) -> str | None:
    try:
        form = json.loads(note.read_text(encoding="utf-8"))["form"]
    except (OSError, ValueError, KeyError, TypeError):  # not measured yet, or damaged
        return None
    return form if form in FORMS else None


def _note(specs: Sequence[EncoderSpec]) -> Path:
    """Return the file with the choice for these forms on a machine like this one."""
    import onnxruntime

    name, features = machine.cpu()
    fingerprints = [spec.fingerprint for spec in specs]
    key = json.dumps(
        [name, sorted(features), machine.cores(), onnxruntime.__version__, fingerprints]
    )
    digest = hashlib.sha256(key.encode()).hexdigest()[:32]
    return platformdirs.user_cache_path("planet-geoloc", appauthor=False) / f"forms/{digest}.json"
