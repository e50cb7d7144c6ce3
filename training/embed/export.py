"""Torch networks to ONNX, once, when a bundle is made: answering needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from geoloc.bundle.directory import sha256
from geoloc.encoders.base import EncoderSpec
from geoloc.encoders.onnx import OnnxEncoder
from geoloc.errors import BundleError
from geoloc.types import Float32Array

LEAST_COSINE = 0.9999
"""Agreement of an exported network with the original."""

_HALF_FROM = 1024
"""Tensors of at least so many numbers are stored in half precision."""


def export_onnx(encoder: Any, folder: Path) -> EncoderSpec:  # noqa: ANN401
    """Write `encoder.onnx` with weights in fp16, which ONNX Runtime widens when it loads.

    Args:
        encoder: a torch encoder of `geoloc.encoders.torch`.
        folder: where to write.

    Returns:
        The spec of the exported encoder.

    Raises:
        BundleError: the exported network does not agree with the original.
    """
    import onnx

    path = folder / "encoder.onnx"
    onnx.save(_in_half_precision(trace(encoder)), path)
    spec = exported_spec(encoder.spec, path)
    pixels = _noise(encoder.spec)
    cosine = (encoder.embed(pixels) * OnnxEncoder(spec, folder).embed(pixels)).sum(axis=1)
    if cosine.min() < LEAST_COSINE:
        raise BundleError(f"{path}: differs from the torch network (cosine {cosine.min():.6f})")
    return spec


def trace(encoder: Any) -> Any:  # noqa: ANN401
    """The network of a torch encoder as an ONNX model, for any number of photos."""
    import torch

    program = torch.onnx.export(
        encoder.module.cpu(),
        (torch.from_numpy(_noise(encoder.spec)),),
        input_names=["pixels"],
        output_names=["embedding"],
        dynamic_shapes=({0: torch.export.Dim("photos", min=1, max=4096)},),
        dynamo=True,
        verbose=False,
    )
    encoder.module.to(encoder.device)
    return program.model_proto


def exported_spec(source: EncoderSpec, path: Path) -> EncoderSpec:
    """The spec of an encoder that was written to a file."""
    model = "/".join(Path(source.model).parts[-2:])  # of an own model, not where it was made
    return EncoderSpec("onnx", model, sha256(path), source.dim, source.preprocessing)


def _noise(spec: EncoderSpec) -> Float32Array:
    """Two inputs (2, 3, size, size)."""
    shape = 2, 3, spec.preprocessing.size, spec.preprocessing.size
    return np.random.default_rng(0).uniform(-1.0, 1.0, shape).astype(np.float32)


def _in_half_precision(model: Any) -> Any:  # noqa: ANN401
    """Store large initialisers as float16 and cast them back, which is folded at load time."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < _HALF_FROM:
            continue
        name = tensor.name
        half = numpy_helper.from_array(
            numpy_helper.to_array(tensor).astype(np.float16), f"{name}.half"
        )
        tensor.CopyFrom(half)
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model
