"""`OnnxEncoder`: exported networks in ONNX Runtime, for CPUs."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import platformdirs

from geoloc.encoders.base import EncoderSpec, normalise
from geoloc.errors import BundleError, MissingExtraError
from geoloc.io import machine
from geoloc.io.atomic import atomic_path
from geoloc.types import Float32Array, UInt8Array

ROWS = 4
"""Photos in one run of ONNX Runtime. Activations of 4 photos fit in a CPU's cache: compared with 32
photos this is 5 % faster for a small network and 25 % faster for ViT-L/14."""

GRAPHS = 8
"""Optimised graphs that are kept; the oldest ones are deleted."""

LARGEST_BYTES = 2**29
"""Larger networks are not kept as optimised graphs, which would fill the disk."""

SIDE_BY_SIDE_BYTES = 2**27
"""Networks up to this size are loaded twice: with all threads for a few photos, and with one thread
to run side by side on parts of a batch. That takes two thirds of the time, as no thread waits."""

PACKED_FROM = 24
"""Photos from which packing the weights of a larger network, which takes a second, is worth it:
packed weights save a twentieth of the time of a photo."""


class OnnxEncoder:
    """A network in a bundle's `encoder.onnx` or, quantised, in its `encoder.int8.onnx`."""

    def __init__(self, spec: EncoderSpec, folder: Path | None, file: str | None = None) -> None:
        """Load a network from a file of a bundle's folder; by default that of the spec's form.

        Raises:
            BundleError: the file is missing or not an ONNX model.
            MissingExtraError: ONNX Runtime is not installed.
        """
        name = file or (f"encoder.{spec.form}.onnx" if spec.form else "encoder.onnx")
        path = (folder or Path()) / name
        self.spec = spec
        self._path, self._loading, self._photos = path, threading.Lock(), 0
        size, self._cores = _bytes(path), machine.cores()
        self._packed = size <= LARGEST_BYTES
        self._side_by_side = size <= SIDE_BY_SIDE_BYTES and self._cores > 1
        self._network = load_network(path, packed=self._packed)
        self.takes_bytes = self._network.takes_bytes
        """Whether normalisation is part of the network."""

    def embed(self, pixels: Float32Array | UInt8Array) -> Float32Array:
        """See `ImageEncoder.embed`."""
        if not self._packed:
            self._pack(len(pixels))
        many = self._side_by_side and len(pixels) >= 2 * self._cores
        rows = min(ROWS, -(-len(pixels) // self._cores)) if many else ROWS
        parts = [pixels[at : at + rows] for at in range(0, max(1, len(pixels)), rows)]
        if many:
            run = partial(self._run, self._of_one_thread)
            return normalise(np.concatenate([*_runners(os.getpid()).map(run, parts)]))
        return normalise(np.concatenate([self._run(self._network, part) for part in parts]))

    @cached_property
    def _of_one_thread(self) -> Network:
        return load_network(self._path, threads=1)

    def _pack(self, photos: int) -> None:
        """Load a large network anew with packed weights, once it is known to be worth it."""
        with self._loading:
            self._photos += photos
            if self._photos >= PACKED_FROM and not self._packed:
                self._network, self._packed = load_network(self._path), True

    def _run(self, network: Network, pixels: npt.NDArray[Any]) -> Float32Array:
        if self.takes_bytes and pixels.dtype != np.uint8:
            pixels = self.spec.preprocessing.to_bytes(pixels)
        elif not self.takes_bytes and pixels.dtype == np.uint8:
            pixels = self.spec.preprocessing.normalised(pixels)
        return network(pixels)


@functools.cache
def _runners(process: int) -> ThreadPoolExecutor:
    """Return the threads on which networks of one thread run; a fork has none of them."""
    return ThreadPoolExecutor(machine.cores(), thread_name_prefix=f"network-{process}")


class Network:
    """A network with one input, in ONNX Runtime."""

    def __init__(self, session: Any) -> None:  # noqa: ANN401
        """Wrap a session; of several outputs the one that is named as an embedding counts."""
        outputs = [each.name for each in session.get_outputs()]
        named = [name for name in outputs if "embed" in name]
        (given,) = session.get_inputs()
        self.takes_bytes = given.type == "tensor(uint8)"
        self._session, self._input, self._outputs = session, given.name, (named or outputs)[:1]

    def __call__(self, values: npt.NDArray[Any]) -> Float32Array:
        """Return the output (N, D) for an input (N, …)."""
        return np.asarray(self._session.run(self._outputs, {self._input: values})[0])


def load_network(path: Path, *, packed: bool = True, threads: int | None = None) -> Network:
    """Load a network, by default with as many threads as there are cores for this process.

    It comes from its optimised graph in the user's cache folder if that is there, which takes a
    third of the time. Without a usable cache folder the network itself is loaded.

    Raises:
        BundleError: the file is missing or not an ONNX model.
        MissingExtraError: ONNX Runtime is not installed.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # disables usage reports
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError("onnxruntime", "cpu") from error
    graph = _graph_file(path, onnxruntime.__version__)
    if graph is not None:
        with suppress(Exception):  # none yet, or a damaged one, which is written again
            return _open(graph, optimised=True, threads=threads)
        with suppress(Exception):  # no place to keep it, or an unusable network, see below
            return _open_and_keep(path, graph, threads)
    try:
        return _open(path, packed=packed, threads=threads)
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise BundleError(
            f"{path}: not a usable ONNX encoder ({reason}); fetch or make the bundle again"
        ) from error


def _open(
    path: Path,
    *,
    optimised: bool = False,
    keep: Path | None = None,
    packed: bool = True,
    threads: int | None = None,
) -> Network:
    """Open a network; writes its optimised graph to `keep`.

    Weights that are not packed for products are mapped from the file, not read.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4 if optimised or keep else 3  # expected failures are silent
    options.intra_op_num_threads = threads or machine.cores()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not packed:
        options.add_session_config_entry("session.disable_prepacking", "1")
    if optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if keep is not None:
        options.optimized_model_filepath = str(keep)
    return Network(onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]))


def _open_and_keep(path: Path, graph: Path, threads: int | None) -> Network:
    """Open a network, and write its optimised graph; only the newest graphs are kept."""
    graph.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(graph) as temporary:
        network = _open(path, keep=temporary, threads=threads)
    kept = sorted(graph.parent.glob("*.onnx"), key=lambda each: each.stat().st_mtime)
    for old in kept[:-GRAPHS]:
        old.unlink(missing_ok=True)
    return network


def _files(path: Path) -> list[Path]:
    """Return the files of a network: large weights are beside it, see `towers.graph`."""
    beside = path.with_suffix(".data")
    return [path, beside] if beside.is_file() else [path]


def _bytes(path: Path) -> int:
    """Return the size of a network; 0 if it is missing, which loading it reports."""
    return sum(each.stat().st_size for each in _files(path)) if path.is_file() else 0


def _graph_file(path: Path, version: str) -> Path | None:
    """Return the file for an optimised graph on a machine like this; None for large networks."""
    try:
        path = path.resolve()
        found = [each.stat() for each in _files(path)]
    except OSError:
        return None
    if sum(each.st_size for each in found) > LARGEST_BYTES:
        return None
    name, features = machine.cpu()
    stamps = [(each.st_size, each.st_mtime_ns) for each in found]
    key = [str(path), stamps, version, name, sorted(features)]
    digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]
    return platformdirs.user_cache_path("planet-geoloc", appauthor=False) / f"graphs/{digest}.onnx"
