"""Export torch encoders to ONNX, so that the runtime needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from geoloc.encoders.base import EncoderSpec
from geoloc.encoders.onnx import OnnxEncoder
from geoloc.errors import BundleError
from geoloc.io.digests import sha256
from geoloc.types import Float32Array

LEAST_COSINE = 0.9999
"""Minimum cosine between embeddings of the exported and the original network."""

_HALF_PRECISION_FROM = 1024
"""Tensors of at least this many elements are stored in half precision."""


def export_onnx(encoder: Any, folder: Path) -> EncoderSpec:  # noqa: ANN401
    """Write `encoder.onnx` with fp16 weights, which ONNX Runtime converts to fp32 on loading.

    Args:
        encoder: a torch encoder of `geoloc.encoders.torch`.
        folder: folder to write to.

    Returns:
        The spec of the exported encoder.

    Raises:
        BundleError: the cosine between both networks is below LEAST_COSINE.
    """
    import onnx

    path = folder / "encoder.onnx"
    onnx.save(_in_half_precision(trace(encoder)), path)
    spec = exported_spec(encoder.spec, path)
    pixels = _noise(encoder.spec)
    cosine = (encoder.embed(pixels) * OnnxEncoder(spec, folder).embed(pixels)).sum(axis=1)
    if cosine.min() < LEAST_COSINE:
        raise BundleError(
            f"{path}: the exported network differs from the torch network (cosine"
            f" {cosine.min():.6f}, expected at least {LEAST_COSINE}); try other versions of torch"
            " and onnxruntime"
        )
    return spec


def trace(encoder: Any) -> Any:  # noqa: ANN401
    """Return the network of a torch encoder as an ONNX model with a free batch size."""
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
    """Return the spec of an encoder that was exported to a file."""
    model = "/".join(Path(source.model).parts[-2:])  # a local model keeps no absolute path
    return EncoderSpec("onnx", model, sha256(path), source.dim, source.preprocessing)


def _noise(spec: EncoderSpec) -> Float32Array:
    """Draw two random inputs (2, 3, size, size)."""
    shape = 2, 3, spec.preprocessing.size, spec.preprocessing.size
    return np.random.default_rng(0).uniform(-1.0, 1.0, shape).astype(np.float32)


def _in_half_precision(model: Any) -> Any:  # noqa: ANN401
    """Store large initialisers as float16 with a Cast node, which is folded at load time."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < _HALF_PRECISION_FROM:
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
