"""Checkpoints: folders that appear whole or not at all, without pickle.

step-00001200/ holds model.safetensors, optimiser.safetensors (the moments of AdamW), perhaps
average.safetensors, and state.json with step, settings and checksums, which is written last.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from geoloc.bundle.directory import sha256
from geoloc.errors import GeolocError
from geoloc.io.atomic import atomic_directory
from training.engine.parallel import Processes, share_of, whole
from training.types import Tensors

KEPT = 2
"""Checkpoints that stay: the last one, and one more in case it is damaged."""


class CheckpointError(GeolocError):
    """A run cannot be saved or resumed."""


@dataclass(frozen=True, eq=False)
class Trained:
    """What a step changes."""

    model: nn.Module
    optimiser: torch.optim.Optimizer
    average: list[Tensor] | None
    """Moving average of the trainable parameters, in their order."""


def save(folder: Path, step: int, trained: Trained, config: dict[str, Any], me: Processes) -> None:
    """Write a checkpoint of all processes; the first one writes.

    Raises:
        CheckpointError: the disk is full or not writable.
    """
    parts = _tensors(trained)
    failed = torch.zeros(1)
    reason = "see the first process"
    if me.first:
        try:
            _write(folder / f"step-{step:08}", step, parts, config)
        except (OSError, SafetensorError) as error:
            failed += 1
            reason = str(error).rpartition("I/O error: ")[2]
    # all stop together: one that went on alone would wait for the others for ever
    if me.total(failed.to(me.device)).item():
        raise CheckpointError(
            f"{folder}: cannot be written ({reason}); free some space and start the same command"
            " again: it goes on from the last checkpoint"
        )


def resume(folder: Path, trained: Trained, config: dict[str, Any]) -> int:
    """Load the newest whole checkpoint into the model; returns its step, 0 if there is none.

    Raises:
        CheckpointError: the checkpoint is of a run with other settings.
    """
    for path in reversed(complete(folder)):
        state = json.loads((path / "state.json").read_text(encoding="utf-8"))
        if any(sha256(path / name) != digest for name, digest in state["sha256"].items()):
            continue
        changed = [key for key in config if state["config"].get(key) != config[key]]
        if changed:
            key = changed[0]
            raise CheckpointError(
                f"{path}: was made with {key} = {state['config'].get(key)}, not {config[key]};"
                " give the run another folder, or the settings it was started with"
            )
        _load(path, trained)
        return int(state["step"])
    return 0


def is_finished(run_folder: Path, config: dict[str, Any]) -> bool:
    """Whether a run's result is there.

    Raises:
        CheckpointError: it is, but that of a run with other settings.
    """
    note = run_folder / "model" / "run.json"
    if not note.is_file():
        return False
    state = json.loads(note.read_text(encoding="utf-8"))
    changed = [key for key in config if state.get(key) != config[key]]
    if changed:
        key = changed[0]
        raise CheckpointError(
            f"{run_folder}: holds a finished run with {key} = {state.get(key)}, not {config[key]};"
            " give this run another folder"
        )
    return True


def digest_of(model: Path) -> str:
    """sha256 of a model's weights, by which a run knows what it started from."""
    return sha256(model / "open_clip_model.safetensors")


def complete(folder: Path) -> list[Path]:
    """Checkpoints of a run that were written to their end, oldest first."""
    return sorted(path.parent for path in folder.glob("step-*/state.json"))


def _tensors(trained: Trained) -> dict[str, Tensors]:
    """Tensors by file name, whole and on the CPU; all processes must call it."""
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    optimiser = get_optimizer_state_dict(trained.model, trained.optimiser, options=options)
    parts = {
        "model": get_model_state_dict(trained.model, options=options),
        "optimiser": {
            f"{name}/{kind}": tensor
            for name, moments in optimiser.get("state", {}).items()  # the first process has it
            for kind, tensor in moments.items()
        },
    }
    if trained.average is not None:
        tensors = [whole(tensor).detach().cpu() for tensor in trained.average]
        parts["average"] = dict(zip(trainable(trained.model), tensors, strict=True))
    return parts


def weights(trained: Trained) -> Tensors:
    """What training resulted in, whole and on the CPU: the moving average if one is kept.

    All processes must call it.
    """
    parts = _tensors(trained)
    return {**parts["model"], **parts.get("average", {})}


def trainable(model: nn.Module) -> list[str]:
    """Names of the parameters that are trained, without what wrappers add to them."""
    wrappers = ("module.", "_orig_mod.")
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    for wrapper in wrappers:
        names = [name.replace(wrapper, "") if wrapper in name else name for name in names]
    return names


def _write(target: Path, step: int, parts: dict[str, Tensors], config: dict[str, Any]) -> None:
    from safetensors.torch import save_file

    with atomic_directory(target, replace=True) as partial:
        for name, tensors in parts.items():
            contiguous = {key: tensor.contiguous() for key, tensor in tensors.items()}
            save_file(contiguous, partial / f"{name}.safetensors")
        digests = {path.name: sha256(path) for path in sorted(partial.iterdir())}
        state = {"step": step, "config": config, "sha256": digests}
        (partial / "state.json").write_text(json.dumps(state, indent=1), encoding="utf-8")
    for old in complete(target.parent)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def _load(path: Path, trained: Trained) -> None:
    from safetensors.torch import load_file

    options = StateDictOptions(full_state_dict=True)
    set_model_state_dict(trained.model, load_file(path / "model.safetensors"), options=options)
    state: dict[str, Tensors] = {}
    for key, tensor in load_file(path / "optimiser.safetensors").items():
        name, kind = key.rsplit("/", 1)
        state.setdefault(name, {})[kind] = tensor
    # rates and decay are the config's: the optimiser at hand has them
    groups = get_optimizer_state_dict(trained.model, trained.optimiser)["param_groups"]
    moments = {"state": state, "param_groups": groups}
    set_optimizer_state_dict(trained.model, trained.optimiser, moments, options=options)
    if trained.average is not None:
        averages = load_file(path / "average.safetensors")
        for name, tensor in zip(trainable(trained.model), trained.average, strict=True):
            tensor.copy_(share_of(averages[name], tensor))
