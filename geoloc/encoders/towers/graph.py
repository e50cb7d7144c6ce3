"""`Graph`: an ONNX network under construction, whose weights go straight to a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from geoloc.errors import MissingExtraError

NETWORK, WEIGHTS = "encoder.onnx", "encoder.data"
"""Files of a written network: nodes, and the weights that ONNX Runtime maps into memory."""

OPSET = 20
"""The first operators with Gelu."""

_IR = 9
_INLINE = 256
"""Tensors of fewer numbers are kept among the nodes."""

_ALIGNED = 4096
"""Weights start at multiples of a page, so that they can be mapped."""


class Graph:
    """Nodes and weights of a network with the input `pixels` (N, 3, S, S).

    Methods take and return names of values; an array among the inputs becomes a constant. Weights
    are written to disk at once: a tower of 2 GB needs no memory of its own.
    """

    def __init__(self, folder: Path) -> None:
        """Start a network in a folder.

        Raises:
            MissingExtraError: the package onnx is not installed.
            OSError: the folder is not writable.
        """
        try:
            import onnx
        except ImportError as error:
            raise MissingExtraError("onnx", "cpu") from error
        self._onnx, self._folder = onnx, folder
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._file = (folder / WEIGHTS).open("wb")

    def __enter__(self) -> Graph:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def op(self, kind: str, *inputs: str | npt.NDArray[Any], **attributes: Any) -> str:  # noqa: ANN401
        """Add a node; return the name of its only output."""
        names = [each if isinstance(each, str) else self.constant(each) for each in inputs]
        output = f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(kind, names, [output], **attributes))
        return output

    def constant(self, array: npt.NDArray[Any]) -> str:
        """Add a tensor, floating-point ones as float32; return its name."""
        if np.issubdtype(array.dtype, np.floating):
            array = np.asarray(array, np.float32)
        name = f"weight_{len(self._constants)}"
        if array.size < _INLINE:
            tensor = self._onnx.numpy_helper.from_array(np.ascontiguousarray(array), name)
        else:
            tensor = self._onnx.TensorProto(name=name, dims=array.shape)
            tensor.data_type = self._onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
            self._write(tensor, np.ascontiguousarray(array))
        self._constants.append(tensor)
        return name

    def linear(
        self, value: str, weight: npt.NDArray[Any], bias: npt.NDArray[Any] | None = None
    ) -> str:
        """Return `value` (..., in) times `weight` (out, in) transposed, plus `bias`."""
        product = self.op("MatMul", value, np.asarray(weight).T)
        return product if bias is None else self.op("Add", product, bias)

    def norm(self, value: str, scale: npt.NDArray[Any], shift: npt.NDArray[Any], eps: float) -> str:
        """Return the layer norm over the last axis."""
        return self.op("LayerNormalization", value, scale, shift, axis=-1, epsilon=eps)

    def reshape(self, value: str, *shape: int) -> str:
        """Return a value in another shape; 0 keeps a side, -1 is what is left."""
        return self.op("Reshape", value, np.array(shape, np.int64))

    def token(self, value: str, first: int, last: int) -> str:
        """Return the tokens `first` to `last` - 1 of a value (N, T, D)."""
        one = [np.array([number], np.int64) for number in (first, last, 1)]
        return self.op("Slice", value, *one)

    def save(self, output: str, dim: int, size: int) -> Path:
        """Write the network that maps `pixels` to the value `output` (N, dim); return its path."""
        helper, proto = self._onnx.helper, self._onnx.TensorProto
        value = [
            helper.make_tensor_value_info(name, proto.FLOAT, ["photos", *shape])
            for name, shape in (("pixels", (3, size, size)), ("embedding", (dim,)))
        ]
        self._nodes.append(helper.make_node("Identity", [output], ["embedding"]))
        graph = helper.make_graph(
            self._nodes, "encoder", value[:1], value[1:], initializer=self._constants
        )
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=_IR)
        path = self._folder / NETWORK
        path.write_bytes(model.SerializeToString())
        return path

    def _write(self, tensor: Any, array: npt.NDArray[Any]) -> None:  # noqa: ANN401
        """Append an array to the file of weights and refer to it."""
        self._file.write(bytes(-self._file.tell() % _ALIGNED))
        tensor.data_location = self._onnx.TensorProto.EXTERNAL
        place: Sequence[tuple[str, int | str]] = (
            ("location", WEIGHTS),
            ("offset", self._file.tell()),
            ("length", array.nbytes),
        )
        for key, value in place:
            tensor.external_data.add(key=key, value=str(value))
        self._file.write(array.tobytes())
