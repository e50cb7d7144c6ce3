"""Attribution maps: how much each patch of a photo supports the answer, for vision transformers."""

from __future__ import annotations

import math
from threading import get_ident
from typing import Any

import numpy as np
import numpy.typing as npt

from geoloc.answer.ranker import Ranker
from geoloc.belief.fusion import ConstraintMask
from geoloc.belief.heads import Heads
from geoloc.encoders.base import ImageEncoder, innermost
from geoloc.encoders.torch import OpenClipTokensEncoder
from geoloc.types import Float32Array

_STEPS = 16
"""Steps of the integral from the average patch to the patches."""


def explain_answer(
    encoder: ImageEncoder,
    ranker: Ranker,
    pixels: Float32Array,
    constraint: ConstraintMask | None = None,
) -> Float32Array | None:
    """Return the `attribution_map` of one photo's answer.

    Args:
        encoder: the one that the ranker's models belong to.
        ranker: gives the answer.
        pixels: (3, size, size) from `encoder.spec.preprocessing`.
        constraint: of the answer.

    Returns:
        (rows, columns) float32; None if the encoder has no map, or if the answer does not depend on
        the classifier.
    """
    embedding = encoder.embed(pixels[None])
    cell = int(ranker.rank(embedding, constraint).answer_cell[0])
    direction = answer_direction(ranker.heads, embedding[0], cell, constraint)
    return attribution_map(encoder, pixels, direction) if direction.any() else None


def attribution_map(
    encoder: ImageEncoder, pixels: Float32Array, direction: Float32Array
) -> Float32Array | None:
    """Return how much each patch supports the answer.

    If the embedding is the mean of the last layer's tokens, a patch's value is exact: the
    contribution of its token to the mean, along the direction. Otherwise it is gradient x
    activation of the tokens that enter the last block, integrated along the path from the average
    patch (integrated gradients, Sundararajan et al. 2017, arXiv:1703.01365). Gradient x activation
    at the photo itself would be 0 if the embedding is read from the class token: the block sees
    other tokens through a layer norm, which is invariant to their length.

    Args:
        encoder: only vision transformers in torch have a map.
        pixels: (3, size, size) from `encoder.spec.preprocessing`.
        direction: (D,) gradient of the answer's score with respect to the unit embedding, for
            example from `answer_direction`.

    Returns:
        (rows, columns) float32 on the grid of patches, in units of direction @ embedding: positive
        for and negative against the answer, relative to the rest of the photo. For means of tokens,
        the map and the class token's share sum to 0. Otherwise the map sums, up to the error of the
        integral, to the score lost if all patches equalled the average patch. None if the encoder
        has no patches or does not run in torch (ONNX exports, CNNs).
    """
    encoder = innermost(encoder)
    network: Any = getattr(encoder, "module", None)
    if network is None:
        return None
    if isinstance(encoder, OpenClipTokensEncoder):
        return _shares_of_mean(network.tower, pixels, direction)
    found = _last_block(network)
    return None if found is None else _integrated(network, *found, pixels, direction)


def may_have_map(encoder: ImageEncoder) -> bool:
    """Return False if `attribution_map` returns None for every photo; needs no photo."""
    encoder = innermost(encoder)
    network: Any = getattr(encoder, "module", None)
    tokens = isinstance(encoder, OpenClipTokensEncoder)
    return network is not None and (tokens or _last_block(network) is not None)


def answer_direction(
    heads: Heads, embedding: Float32Array, cell: int, constraint: ConstraintMask | None = None
) -> Float32Array:
    """Return the gradient of a cell's log belief in `heads.classify` with respect to the embedding.

    Args:
        heads: of the encoder that made the embedding.
        embedding: (D,) unit vector.
        cell: row of the cell table.
        constraint: the belief is confined to it, so that the cell is compared with the others
            inside.

    Returns:
        (D,) float32; zeros for a cell whose belief is constant: it is not active, or the classifier
        has no belief inside the constraint.
    """
    target = np.asarray(heads.active == cell)
    length = float(np.linalg.norm((embedding - heads.mean) @ heads.projection))
    feature = heads.features(embedding[None])
    belief = heads.classify(feature)[0, heads.active]
    if constraint is not None:
        belief = belief * constraint.share[heads.active]
    total = float(belief.sum())
    if not target.any() or length == 0 or total == 0:
        return np.zeros(len(embedding), np.float32)
    belief = belief / total
    by_feature = heads.weight @ (target - belief)
    by_component = _tangent(by_feature, feature[0]) / length
    return np.asarray(heads.projection @ by_component, np.float32)


def _tangent(
    gradient: npt.NDArray[np.floating], unit: npt.NDArray[np.floating]
) -> npt.NDArray[Any]:
    """Return the part of a gradient (K,) that is orthogonal to a unit vector (K,)."""
    return np.asarray(gradient - (gradient @ unit) * unit)


def _shares_of_mean(
    tower: Any,  # noqa: ANN401
    pixels: Float32Array,
    direction: Float32Array,
) -> Float32Array | None:
    """Return the exact map for embeddings from `encoders.torch.mean_of_tokens`."""
    import torch

    with torch.inference_mode():
        out = tower.forward_intermediates(
            _batch(tower, pixels),
            indices=1,
            output_fmt="NLC",
            output_extra_tokens=True,
            intermediates_only=True,
        )
    patches = out["image_intermediates"]
    parts = [*out.get("image_intermediates_prefix", []), *patches]
    tokens = np.asarray(torch.cat(parts, dim=1)[0].float().cpu(), np.float64)
    mean = tokens.mean(axis=0)
    length = max(float(np.linalg.norm(mean)), 1e-12)
    shares = tokens @ _tangent(direction, mean / length) / (len(tokens) * length)
    count = patches[0].shape[1]
    return _on_grid(shares[len(shares) - count :]) if _side(count) else None


def _last_block(network: Any) -> tuple[Any, int] | None:  # noqa: ANN401
    """Return the last block of a ViT and the number of tokens before its patches, or None."""
    for tower in (network, getattr(network, "trunk", None)):
        blocks, prefix = getattr(tower, "blocks", None), getattr(tower, "num_prefix_tokens", None)
        if blocks is not None and prefix is not None:
            return blocks[-1], int(prefix)
        blocks = getattr(getattr(tower, "transformer", None), "resblocks", None)
        if blocks is not None:
            return blocks[-1], 1
    return None


def _integrated(
    network: Any,  # noqa: ANN401
    block: Any,  # noqa: ANN401
    prefix: int,
    pixels: Float32Array,
    direction: Float32Array,
) -> Float32Array | None:
    """Return the map for the input of a block; None if that is not one token per patch."""
    import torch

    entered: list[tuple[Any, Any]] = []
    caller = get_ident()

    def interpolate(_: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:  # noqa: ANN401
        """Replace the photo by a batch: the path from the average patch to its patches."""
        tokens = inputs[0] if inputs and get_ident() == caller else None  # ignores other threads
        if tokens is None or tokens.ndim != 3 or len(tokens) != 1:
            return None
        if not _side(tokens.shape[1] - prefix):
            return None
        change = torch.zeros_like(tokens)
        patches = tokens[:, prefix:]
        change[:, prefix:] = patches - patches.mean(dim=1, keepdim=True)
        missing = (torch.arange(_STEPS, device=tokens.device) + 0.5) / _STEPS
        torch.set_grad_enabled(True)  # only from here on: earlier layers need no activations
        path = (tokens - missing[:, None, None].to(tokens.dtype) * change).requires_grad_()
        entered.append((path, change[0, prefix:]))
        return (path, *inputs[1:])

    with torch.inference_mode(False), torch.no_grad():  # restores the mode that the hook changes
        hook = block.register_forward_pre_hook(interpolate)
        try:
            vectors = network(_batch(network, pixels))
        finally:
            hook.remove()
        if not entered:
            return None
        path, change = entered[-1]
        target = torch.as_tensor(direction, dtype=torch.float32, device=vectors.device)
        scores = torch.nn.functional.normalize(vectors.float(), dim=1) @ target
        (gradient,) = torch.autograd.grad(scores.sum(), path)
        values = (gradient[:, prefix:].mean(dim=0) * change).sum(dim=1)
    return _on_grid(np.asarray(values.float().cpu()))


def _batch(network: Any, pixels: Float32Array) -> Any:  # noqa: ANN401
    """Return one photo (1, 3, size, size) on the device of the network."""
    import torch

    return torch.from_numpy(pixels[None]).to(next(network.parameters()).device)


def _side(count: int) -> int:
    """Return the number of patches along a side; 0 if they do not form a square."""
    side = math.isqrt(max(count, 0))
    return side if side * side == count else 0


def _on_grid(values: npt.NDArray[np.floating]) -> Float32Array:
    side = _side(len(values))
    return np.asarray(values.reshape(side, side), np.float32)
