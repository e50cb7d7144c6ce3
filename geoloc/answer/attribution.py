"""Which parts of a photo speak for the answer: a signed map over the patches of a ViT."""

from __future__ import annotations

import math
from threading import get_ident
from typing import Any

import numpy as np
import numpy.typing as npt

from geoloc.belief.heads import Heads
from geoloc.encoders.base import ImageEncoder
from geoloc.encoders.torch import OpenClipTokensEncoder
from geoloc.types import Float32Array

_STEPS = 16
"""Points on the way from the average patch to the patches, in the integral."""


def attribution_map(
    encoder: ImageEncoder, pixels: Float32Array, direction: Float32Array
) -> Float32Array | None:
    """How much each patch speaks for the answer.

    Where the embedding is the mean of the last layer's tokens, a patch's value is exact: the share
    its token has in the mean, along the direction. Elsewhere it is gradient x activation of the
    tokens that enter the last block, integrated on the way from the average patch (integrated
    gradients, Sundararajan et al. 2017, arXiv:1703.01365). Gradient x activation at the photo alone
    would be 0 wherever the answer is read off the class token: a block looks at other tokens
    through a layer norm, which does not see how long they are.

    Args:
        encoder: any; only ViTs in torch have a map.
        pixels: (3, size, size) from `encoder.spec.preprocessing`.
        direction: (D,) gradient of the answer's score with respect to the unit embedding, for
            example from `answer_direction`.

    Returns:
        (rows, columns) float32 on the grid of patches, positive for and negative against the
        answer, compared with the rest of the photo, in units of direction @ embedding. For means of
        tokens the map and the class token's share sum to 0. Else the map sums, but for the error of
        the integral, to what the score loses if all patches were like the average one. None if the
        encoder has no patches or does not run in torch (ONNX exports, CNNs).
    """
    network: Any = getattr(encoder, "module", None)
    if network is None:
        return None
    if isinstance(encoder, OpenClipTokensEncoder):
        return _shares_of_mean(network.tower, pixels, direction)
    found = _last_block(network)
    return None if found is None else _integrated(network, *found, pixels, direction)


def answer_direction(heads: Heads, embedding: Float32Array, cell: int) -> Float32Array:
    """Gradient of a cell's log belief, as `heads.classify` has it, with respect to the embedding.

    Args:
        heads: of the encoder that made the embedding.
        embedding: (D,) unit vector.
        cell: row of the cell table.

    Returns:
        (D,) float32; zeros for a cell that is not active, whose belief no photo changes.
    """
    wanted = np.asarray(heads.active == cell)
    length = float(np.linalg.norm((embedding - heads.mean) @ heads.projection))
    if not wanted.any() or length == 0:
        return np.zeros(len(embedding), np.float32)
    feature = heads.features(embedding[None])
    belief = heads.classify(feature)[0, heads.active]
    by_feature = heads.weight @ (wanted - belief)
    by_component = _tangent(by_feature, feature[0]) / length
    return np.asarray(heads.projection @ by_component, np.float32)


def _tangent(
    gradient: npt.NDArray[np.floating], unit: npt.NDArray[np.floating]
) -> npt.NDArray[Any]:
    """What of a gradient (K,) with respect to a unit vector is left before it was normalised."""
    return np.asarray(gradient - (gradient @ unit) * unit)


def _shares_of_mean(
    tower: Any,  # noqa: ANN401
    pixels: Float32Array,
    direction: Float32Array,
) -> Float32Array | None:
    """The map where `encoders.torch.mean_of_tokens` makes the embedding."""
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
    """The last block of a ViT of open_clip or timm, and how many tokens precede the patches."""
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
    """The map by what enters a block; None if that is not one token for each patch."""
    import torch

    entered: list[tuple[Any, Any]] = []
    caller = get_ident()

    def spread(_: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:  # noqa: ANN401
        """Put the way from the average patch in the place of the photo, as a batch."""
        tokens = inputs[0] if inputs and get_ident() == caller else None  # others may embed now
        if tokens is None or tokens.ndim != 3 or len(tokens) != 1:
            return None
        if not _side(tokens.shape[1] - prefix):
            return None
        change = torch.zeros_like(tokens)
        patches = tokens[:, prefix:]
        change[:, prefix:] = patches - patches.mean(dim=1, keepdim=True)
        missing = (torch.arange(_STEPS, device=tokens.device) + 0.5) / _STEPS
        torch.set_grad_enabled(True)  # from here on only: earlier layers need keep nothing
        way = (tokens - missing[:, None, None].to(tokens.dtype) * change).requires_grad_()
        entered.append((way, change[0, prefix:]))
        return (way, *inputs[1:])

    with torch.inference_mode(False), torch.no_grad():  # which also undo what the hook sets
        hook = block.register_forward_pre_hook(spread)
        try:
            vectors = network(_batch(network, pixels))
        finally:
            hook.remove()
        if not entered:
            return None
        way, change = entered[-1]
        wanted = torch.as_tensor(direction, dtype=torch.float32, device=vectors.device)
        scores = torch.nn.functional.normalize(vectors.float(), dim=1) @ wanted
        (gradient,) = torch.autograd.grad(scores.sum(), way)
        values = (gradient[:, prefix:].mean(dim=0) * change).sum(dim=1)
    return _on_grid(np.asarray(values.float().cpu()))


def _batch(network: Any, pixels: Float32Array) -> Any:  # noqa: ANN401
    """One photo (1, 3, size, size) where the network is."""
    import torch

    return torch.from_numpy(pixels[None]).to(next(network.parameters()).device)


def _side(count: int) -> int:
    """Patches along a side of the square photo; 0 if so many are no square."""
    side = math.isqrt(max(count, 0))
    return side if side * side == count else 0


def _on_grid(values: npt.NDArray[np.floating]) -> Float32Array:
    side = _side(len(values))
    return np.asarray(values.reshape(side, side), np.float32)
