"""Tensors in the files that others publish, read without torch and without running their code.

safetensors hold no code. A checkpoint of torch is a zip with a pickle, and a pickle
can run any program: it is read here with an unpickler that knows the handful of names which make
up tensors, and refuses every other one by name, as `torch.load(weights_only=True)` does.
"""

from __future__ import annotations

import collections
import io
import json
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from geoloc.errors import BundleError

Tensors = dict[str, npt.NDArray[Any]]

_SAFETENSORS = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4",
    "I16": "<i2", "I8": "i1", "U8": "u1", "BOOL": "?",
}  # fmt: skip
_TORCH = {
    "DoubleStorage": "<f8", "FloatStorage": "<f4", "HalfStorage": "<f2", "BFloat16Storage": "<u2",
    "LongStorage": "<i8", "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "i1",
    "ByteStorage": "u1", "BoolStorage": "?",
}  # fmt: skip
_BFLOAT = ("BF16", "BFloat16Storage")
_LONGEST_HEADER = 100_000_000


def read_tensors(path: Path) -> Tensors:
    """Return the tensors of a file by name: safetensors, or else a checkpoint of torch.

    Arrays of safetensors are mapped, not read; bfloat16 becomes float32.

    Raises:
        BundleError: the file is missing, damaged or of another kind, or holds code.
    """
    try:
        if path.suffix == ".safetensors":
            return _safetensors(path)
        return read_checkpoint(path.read_bytes(), str(path))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable(str(path), error) from error


def read_checkpoint(content: bytes, name: str) -> Tensors:
    """Return the tensors of a torch checkpoint, also of one that nests them under "state_dict".

    Args:
        content: of the file.
        name: of the file, for messages.

    Raises:
        BundleError: it is no checkpoint, or its pickle names anything that is not part of a tensor.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            (pickled,) = [each for each in archive.namelist() if each.endswith("/data.pkl")]
            stored = _Unpickler(archive, pickled.removesuffix("data.pkl"), name).load()
    except BundleError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        raise _unreadable(name, error) from error
    while isinstance(stored, Mapping) and isinstance(stored.get("state_dict"), Mapping):
        stored = stored["state_dict"]
    if isinstance(stored, np.ndarray):
        return {"": stored}
    if not isinstance(stored, Mapping):
        raise _unreadable(name, "it holds no tensors")
    return {str(key): value for key, value in stored.items() if isinstance(value, np.ndarray)}


class _Unpickler(pickle.Unpickler):
    """Unpickler of tensors, and of nothing else."""

    def __init__(self, archive: zipfile.ZipFile, prefix: str, name: str) -> None:
        super().__init__(io.BytesIO(archive.read(prefix + "data.pkl")))
        self._archive, self._prefix, self._name = archive, prefix, name

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401
        """Return what a name of the pickle stands for; refuse every name that is not a tensor's."""
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _strided
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return lambda data, *_: data
        if (module, name) == ("torch", "Size"):
            return tuple
        if module in ("torch", "torch.storage") and name in _TORCH:
            return name
        raise BundleError(
            f"{self._name}: its pickle contains code ({module}.{name}) and was not opened; ask the"
            " publisher for safetensors"
        )

    def persistent_load(self, reference: Any) -> npt.NDArray[Any]:  # noqa: ANN401
        """Return the numbers of a storage, which is a file of the zip."""
        kind, storage, key = reference[:3]
        if kind != "storage" or storage not in _TORCH:
            raise pickle.UnpicklingError(f"unknown storage {storage}")
        content = self._archive.read(f"{self._prefix}data/{key}")
        return _plain(np.frombuffer(content, _TORCH[storage]), storage)


def _strided(storage: Any, offset: int, shape: Any, stride: Any, *_: Any) -> npt.NDArray[Any]:  # noqa: ANN401
    """Return the tensor in a storage, copied."""
    last = offset + sum((side - 1) * step for side, step in zip(shape, stride, strict=True))
    if offset < 0 or min(stride, default=0) < 0 or (0 not in shape and last >= len(storage)):
        raise pickle.UnpicklingError("a tensor reaches beyond its storage")
    steps = [step * storage.itemsize for step in stride]
    view = np.lib.stride_tricks.as_strided(storage[offset:], tuple(shape), steps)
    return np.array(view)


def _safetensors(path: Path) -> Tensors:
    """Map the tensors of a safetensors file; see its published format."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(_LONGEST_HEADER, path.stat().st_size):
            raise ValueError("it is cut off, or no safetensors file")
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    mapped = np.memmap(path, np.uint8, "r", offset=8 + length) if header else np.empty(0, np.uint8)
    tensors: Tensors = {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        if not 0 <= first <= last <= len(mapped):
            raise ValueError("it is cut off")
        numbers = np.asarray(mapped[first:last]).view(_SAFETENSORS[entry["dtype"]])
        tensors[name] = _plain(numbers, entry["dtype"]).reshape(entry["shape"])
    return tensors


def _plain(numbers: npt.NDArray[Any], kind: str) -> npt.NDArray[Any]:
    """Return bfloat16, which NumPy lacks, as float32, and other numbers as they are."""
    if kind not in _BFLOAT:
        return numbers
    return (numbers.astype(np.uint32) << 16).view(np.float32)


def _unreadable(name: str, reason: Exception | str) -> BundleError:
    shown = str(reason).splitlines()[:1] or [type(reason).__name__]
    return BundleError(f"{name}: not a readable file of tensors ({shown[0]}); fetch it again")
