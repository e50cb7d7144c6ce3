"""Torch networks to ONNX, once, when a bundle is made: answering needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from geoloc.bundle import sha256
from geoloc.encoder import EncoderSpec, OnnxEncoder
from geoloc.errors import BundleError

LEAST_COSINE = 0.9999
"""Agreement of an exported network with the original."""

_HALF_FROM = 1024
"""Tensors of at least so many numbers are stored in half precision."""


def export_onnx(encoder: Any, folder: Path) -> EncoderSpec:  # noqa: ANN401
    """Write `encoder.onnx` with weights in fp16, which ONNX Runtime widens when it loads.

    Args:
        encoder: a torch encoder of `geoloc.torch_encoder`.
        folder: where to write.

    Returns:
        The spec of the exported encoder.

    Raises:
        BundleError: the exported network does not agree with the original.
    """
    import onnx
    import torch

    size = encoder.spec.preprocessing.size
    pixels = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    path = folder / "encoder.onnx"
    program = torch.onnx.export(
        encoder.module.cpu(),
        (pixels,),
        input_names=["pixels"],
        output_names=["embedding"],
        dynamic_shapes=({0: torch.export.Dim("photos", min=1, max=4096)},),
        dynamo=True,
        verbose=False,
    )
    onnx.save(_in_half_precision(program.model_proto), path)
    source = encoder.spec
    model = "/".join(Path(source.model).parts[-2:])  # of an own model, not where it was made
    spec = EncoderSpec("onnx", model, sha256(path), source.dim, source.preprocessing)
    cosine = (encoder.embed(pixels.numpy()) * OnnxEncoder(spec, folder).embed(pixels.numpy())).sum(
        1
    )
    if cosine.min() < LEAST_COSINE:
        raise BundleError(f"{path}: differs from the torch network (cosine {cosine.min():.6f})")
    return spec


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
