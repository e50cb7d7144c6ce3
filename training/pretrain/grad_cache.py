"""Gradient caching: exact contrastive gradients of a batch that does not fit in memory.

Gao et al., Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup (2021).
"""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor, nn

from training.data.loading import Batch
from training.engine.loop import LoopConfig
from training.engine.parallel import no_gradient_sync
from training.pretrain.contrastive import CaptionLoss


def backward(
    model: nn.Module, loss: CaptionLoss, config: LoopConfig, micro: list[Batch], step: int
) -> Tensor:
    """Add the gradients of a step's batch to the parameters; return its loss.

    With several micro-batches, the features of all are computed first without a graph. The loss of
    the whole batch gives the gradient with respect to each feature. Each micro-batch is then
    computed again and that gradient is propagated through it. The result is exactly the gradient of
    one large batch.
    """
    if len(micro) == 1:
        value = _loss(_features(model, micro[0], config, step, 0), micro, loss)
        value.backward()
        return value.detach()
    with torch.no_grad():
        parts = [_features(model, batch, config, step, i) for i, batch in enumerate(micro)]
    joint = {
        name: torch.cat([part[name] for part in parts]) if "features" in name else parts[0][name]
        for name in parts[0]
    }
    leaves = {name: tensor.detach().requires_grad_() for name, tensor in joint.items()}
    value = _loss(leaves, micro, loss)
    value.backward()
    size = len(micro[0])
    for i, batch in enumerate(micro):
        last = i == len(micro) - 1
        with nullcontext() if last else no_gradient_sync(model):
            again = _features(model, batch, config, step, i)
            terms = [
                (again[name] * leaves[name].grad[i * size : (i + 1) * size]).sum()
                for name in again
                if "features" in name
            ]
            if last:  # scale and bias are shared by the micro-batches and count once
                terms += [
                    (again[name] * leaves[name].grad).sum()
                    for name in again
                    if "features" not in name
                ]
            torch.stack(terms).sum().backward()
    return value.detach()


def _features(
    model: nn.Module, batch: Batch, config: LoopConfig, step: int, micro: int
) -> dict[str, Tensor]:
    """Compute features, scale and bias; dropout is seeded by step and micro-batch."""
    torch.manual_seed(hash((config.seed, step, micro)) & 0x7FFFFFFF)
    with torch.autocast(batch.pixels.device.type, torch.bfloat16, enabled=config.bf16):
        out = model(batch.images, batch.tokens)
    return {name: tensor.float() for name, tensor in out.items()}


def _loss(features: dict[str, Tensor], micro: list[Batch], loss: CaptionLoss) -> Tensor:
    value: Tensor = loss(
        features["image_features"],
        features["text_features"],
        features["logit_scale"],
        features.get("logit_bias"),
        torch.cat([batch.caption for batch in micro]),
        torch.cat([batch.latlon for batch in micro]),
    )
    return value
