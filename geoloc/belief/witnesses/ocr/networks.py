"""The text detection and recognition networks of PP-OCRv6, run in ONNX Runtime.

They are files of the package `rapidocr` (Apache-2.0), of which nothing else is used, so that
neither it nor OpenCV is imported: `pip install --no-deps rapidocr`. The detector marks pixels of
text lines; the recogniser reads a line of Han, kana or about 50 languages in Latin script.
"""

from __future__ import annotations

import os
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from geoloc.errors import GeolocError, MissingExtraError
from geoloc.types import Float32Array

STRIDE = 32
"""Sides of the detector's input are multiples of this."""

LINE_HEIGHT = 48
"""Pixels of a line in the recogniser."""

LONGEST_LINE = 1600
"""Pixels; longer lines are squeezed."""


class TextModelsError(GeolocError):
    """The networks that read text are not installed."""


def models() -> Path:
    """Return the folder of the networks.

    Raises:
        TextModelsError: there is none.
    """
    spec = find_spec("rapidocr")
    for folder in spec.submodule_search_locations or () if spec else ():
        if (Path(folder) / "models").is_dir():
            return Path(folder) / "models"
    raise TextModelsError(
        "text cannot be read: the networks are missing; run  pip install --no-deps rapidocr"
    )


class TextNetworks:
    """Both networks, each loaded on first use."""

    def __init__(self, threads: int = 1) -> None:
        """Take the number of CPU threads of each run."""
        self._threads = threads
        self._folder = models()

    def heat(self, image: Image.Image) -> Float32Array:
        """Return the probability that each pixel belongs to a line of text.

        Args:
            image: RGB.

        Returns:
            (H, W) in 0..1, of the sides rounded to multiples of STRIDE.
        """
        width, height = (max(STRIDE, round(side / STRIDE) * STRIDE) for side in image.size)
        pixels = _scaled(image.resize((width, height), Image.Resampling.BILINEAR))
        return np.asarray(self._detector.run(None, {"x": pixels[None]})[0][0, 0])

    def read(self, crop: Image.Image) -> tuple[str, float]:
        """Return the text and the confidence (0..1) of an upright line."""
        return self.decode(self.probabilities(crop))

    def probabilities(self, crop: Image.Image) -> Float32Array:
        """Return the probability (T, number of characters) of each character at T steps.

        Each line is its own run: padding a batch to its longest line costs more than it saves.
        """
        width = int(np.clip(LINE_HEIGHT * crop.width / crop.height, LINE_HEIGHT, LONGEST_LINE))
        line = crop.resize((width, LINE_HEIGHT), Image.Resampling.BILINEAR)
        return np.asarray(self._recogniser.run(None, {"x": _scaled(line)[None]})[0][0])

    def decode(self, probabilities: Float32Array) -> tuple[str, float]:
        """Return the best path of connectionist temporal classification: class 0 is the blank."""
        best = probabilities.argmax(axis=1)
        kept = (best != 0) & (best != np.concatenate([[0], best[:-1]]))
        text = "".join(self._characters[index] for index in best[kept])
        chance = probabilities.max(axis=1)[kept]
        return text.strip(), float(chance.mean()) if len(chance) else 0.0

    @cached_property
    def _characters(self) -> list[str]:
        listed = self._recogniser.get_modelmeta().custom_metadata_map["character"]
        return ["", *listed.splitlines(), " "]

    @cached_property
    def _detector(self) -> Any:  # noqa: ANN401
        return self._session("*_det_*.onnx")

    @cached_property
    def _recogniser(self) -> Any:  # noqa: ANN401
        return self._session("*_rec_*.onnx")

    def _session(self, pattern: str) -> Any:  # noqa: ANN401
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingExtraError("onnxruntime", "text") from error
        files = sorted(self._folder.glob(pattern))
        if not files:
            raise TextModelsError(
                f"{self._folder}: no file {pattern}; run  pip install --no-deps 'rapidocr>=3.10,<4'"
            )
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = self._threads
        options.enable_cpu_mem_arena = False  # every picture has another size: memory would grow
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return onnxruntime.InferenceSession(files[-1], options, providers=["CPUExecutionProvider"])


def _scaled(image: Image.Image) -> Float32Array:
    """Return RGB pixels as (3, H, W) in -1..1, blue first as the networks were trained."""
    pixels = np.asarray(image, np.float32)[:, :, ::-1] / 127.5 - 1.0
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))
