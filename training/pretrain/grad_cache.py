"""Gradients of a contrastive step whose batch is larger than the memory (gradient caching)."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor, nn

from training.data.loading import Batch
from training.engine.loop import LoopConfig
from training.engine.parallel import gradients_stay
from training.pretrain.contrastive import CaptionLoss


def backward(
    model: nn.Module, loss: CaptionLoss, config: LoopConfig, micro: list[Batch], step: int
) -> Tensor:
    """Leave the gradients of a step's batch in the parameters; returns its loss.

    With several micro-batches the features of all are computed first, without what a backward pass
    needs; the loss of all tells how it changes with every feature; and each micro-batch is computed
    again and passes that back. The gradient is exactly that of one large batch.
    """
    if len(micro) == 1:
        value = _compare(_features(model, micro[0], config, step, 0), micro, loss)
        value.backward()
        return value.detach()
    with torch.no_grad():
        seen = [_features(model, batch, config, step, i) for i, batch in enumerate(micro)]
    joint = {
        name: torch.cat([one[name] for one in seen]) if "features" in name else seen[0][name]
        for name in seen[0]
    }
    leaves = {name: tensor.detach().requires_grad_() for name, tensor in joint.items()}
    value = _compare(leaves, micro, loss)
    value.backward()
    size = len(micro[0])
    for i, batch in enumerate(micro):
        last = i == len(micro) - 1
        with nullcontext() if last else gradients_stay(model):
            again = _features(model, batch, config, step, i)
            passed = [
                (again[name] * leaves[name].grad[i * size : (i + 1) * size]).sum()
                for name in again
                if "features" in name
            ]
            if last:  # scale and bias are the same in all micro-batches, so they count once
                passed += [
                    (again[name] * leaves[name].grad).sum()
                    for name in again
                    if "features" not in name
                ]
            torch.stack(passed).sum().backward()
    return value.detach()


def _features(
    model: nn.Module, batch: Batch, config: LoopConfig, step: int, micro: int
) -> dict[str, Tensor]:
    """Features, scale and bias; what is random in the towers is so by step and micro-batch."""
    torch.manual_seed(hash((config.seed, step, micro)) & 0x7FFFFFFF)
    with torch.autocast(batch.pixels.device.type, torch.bfloat16, enabled=config.bf16):
        out = model(batch.pixels, batch.tokens)
    return {name: tensor.float() for name, tensor in out.items()}


def _compare(features: dict[str, Tensor], micro: list[Batch], loss: CaptionLoss) -> Tensor:
    value: Tensor = loss(
        features["image_features"],
        features["text_features"],
        features["logit_scale"],
        features.get("logit_bias"),
        torch.cat([batch.caption for batch in micro]),
        torch.cat([batch.latlon for batch in micro]),
    )
    return value
