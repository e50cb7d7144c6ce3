"""Data-parallel training: torchrun starts the processes, DDP or FSDP2 synchronises them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from training.config import Strategy


@dataclass(frozen=True)
class Processes:
    """The rank of this process and the size of its group; a group of one without torchrun."""

    rank: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process writes the files that belong to the whole group."""
        return self.rank == 0

    def sum(self, value: Tensor) -> Tensor:
        """Return the sum of a tensor over all processes, in place."""
        if self.count > 1:
            torch.distributed.all_reduce(value)
        return value

    def barrier(self) -> None:
        """Wait until every process has reached this call."""
        if self.count > 1:
            torch.distributed.barrier()


@contextmanager
def process_group() -> Iterator[Processes]:
    """Join the process group that torchrun describes: NCCL on GPUs, gloo on CPUs."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    on_gpu = torch.cuda.is_available()
    device = torch.device("cuda", local) if on_gpu else torch.device("cpu")
    if on_gpu:
        torch.cuda.set_device(device)
    if count == 1:
        yield Processes(0, 1, device)
        return
    torch.distributed.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield Processes(torch.distributed.get_rank(), count, device)
    finally:
        torch.distributed.destroy_process_group()


def distribute(
    model: nn.Module, strategy: Strategy, processes: Processes, dtype: torch.dtype
) -> nn.Module:
    """Wrap a model so that its gradients are averaged over all processes.

    Args:
        model: on the device of this process.
        strategy: ddp keeps a copy of the model in each process; fsdp shards weights, gradients and
            optimiser state, for towers that do not fit otherwise.
        processes: from `process_group`.
        dtype: compute type of fsdp; ddp leaves it to autocast.
    """
    if processes.count == 1:
        return model
    if strategy == "ddp":
        devices = [processes.device] if processes.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(model, device_ids=devices)
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    policy = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32)
    for block in _blocks(model):
        fully_shard(block, mp_policy=policy)
    # otherwise the root's own weights stay gathered after an evaluation and cannot be saved
    fully_shard(model, mp_policy=policy, reshard_after_forward=True)
    return model


def _blocks(model: nn.Module) -> list[nn.Module]:
    """Return the layers of the towers, which open_clip and timm keep in lists."""
    lists = [part for part in model.modules() if isinstance(part, nn.ModuleList | nn.Sequential)]
    inner = {id(part) for outer in lists for child in outer for part in child.modules()}
    return [block for part in lists if id(part) not in inner for block in part]


@contextmanager
def no_gradient_sync(model: nn.Module) -> Iterator[None]:
    """Accumulate gradients in this process without averaging them over the others."""
    if isinstance(model, nn.parallel.DistributedDataParallel):
        with model.no_sync():
            yield
    elif hasattr(model, "set_requires_gradient_sync"):
        model.set_requires_gradient_sync(False)
        yield
        model.set_requires_gradient_sync(True)
    else:
        yield


def full_tensor(tensor: Tensor) -> Tensor:
    """Gather a tensor that is sharded over the processes; return any other as it is."""
    gather: Any = getattr(tensor, "full_tensor", None)
    return gather() if gather else tensor


def shard_like(full: Tensor, like: Tensor) -> Tensor:
    """Return this process's shard of a tensor, distributed as `like` is."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if isinstance(like, DTensor):
        return distribute_tensor(full.to(like.device), like.device_mesh, like.placements)
    return full.to(like.device)
