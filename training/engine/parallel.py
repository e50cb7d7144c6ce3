"""Training on many devices: torchrun starts the processes, DDP or FSDP2 keeps them in step."""

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
    """This process among those that torchrun started; one of one without torchrun."""

    rank: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process writes what all have."""
        return self.rank == 0

    def total(self, value: Tensor) -> Tensor:
        """Sum over all processes."""
        if self.count > 1:
            torch.distributed.all_reduce(value)
        return value

    def wait(self) -> None:
        """Until all processes are here."""
        if self.count > 1:
            torch.distributed.barrier()


@contextmanager
def joined() -> Iterator[Processes]:
    """Join the other processes, with NCCL on GPUs and gloo on CPUs."""
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
    """The model, with its gradients averaged over all processes.

    Args:
        model: on the device of this process.
        strategy: ddp keeps a copy in each process; fsdp keeps a share of weights, gradients and
            optimiser state in each, for towers that do not fit otherwise.
        processes: see `joined`.
        dtype: of fsdp's computing; ddp leaves that to autocast.
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
    # without this the root's own weights stay whole after a measurement, and cannot be saved
    fully_shard(model, mp_policy=policy, reshard_after_forward=True)
    return model


def _blocks(model: nn.Module) -> list[nn.Module]:
    """The layers of the towers: what open_clip and timm keep in lists."""
    lists = [part for part in model.modules() if isinstance(part, nn.ModuleList | nn.Sequential)]
    inner = {id(part) for outer in lists for child in outer for part in child.modules()}
    return [block for part in lists if id(part) not in inner for block in part]


@contextmanager
def gradients_stay(model: nn.Module) -> Iterator[None]:
    """Within, a backward pass adds to the gradients of this process only."""
    if isinstance(model, nn.parallel.DistributedDataParallel):
        with model.no_sync():
            yield
    elif hasattr(model, "set_requires_gradient_sync"):
        model.set_requires_gradient_sync(False)
        yield
        model.set_requires_gradient_sync(True)
    else:
        yield


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor of which this process may hold a share."""
    full: Any = getattr(tensor, "full_tensor", None)
    return full() if full else tensor


def share_of(whole_tensor: Tensor, like: Tensor) -> Tensor:
    """This process's share of a tensor, distributed as another one is."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if isinstance(like, DTensor):
        return distribute_tensor(whole_tensor.to(like.device), like.device_mesh, like.placements)
    return whole_tensor.to(like.device)
