"""Checkpoints of a training run: folders that appear complete or not at all, without pickle.

step-00001200/ holds model.safetensors, optimiser.safetensors (the moments of AdamW), optionally
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

from geoloc.errors import GeolocError
from geoloc.io.atomic import atomic_directory
from geoloc.io.digests import sha256
from training.engine.parallel import Processes, full_tensor, shard_like
from training.types import Tensors

KEPT = 2
"""Checkpoints that are kept: the newest, and the one before in case the newest is damaged."""


class CheckpointError(GeolocError):
    """A run cannot be saved or resumed."""


@dataclass(eq=False)
class TrainState:
    """Everything that a training step changes, and so all that a run is resumed from.

    The photos of a step, their crops and captions, and every random number of the towers depend on
    the seed and on `step` only.
    """

    model: nn.Module
    optimiser: torch.optim.Optimizer
    average: list[Tensor] | None = None
    """Moving average of the trainable parameters, in their order."""
    step: int = 0
    """Steps taken."""


def save(folder: Path, state: TrainState, config: dict[str, Any], processes: Processes) -> None:
    """Write a checkpoint; all processes must call it, the first one writes.

    Raises:
        CheckpointError: the disk is full or not writable.
    """
    parts = _tensors(state)
    failed = torch.zeros(1)
    reason = "see the first process"
    if processes.first:
        try:
            _write(folder / f"step-{state.step:08}", state.step, parts, config)
        except (OSError, SafetensorError) as error:
            failed += 1
            reason = str(error).rpartition("I/O error: ")[2]
    # all processes stop together: one that continued would wait for the others without end
    if processes.sum(failed.to(processes.device)).item():
        raise CheckpointError(
            f"{folder}: cannot be written ({reason}); free some space and run the same command"
            " again: it resumes from the last checkpoint"
        )


def resume(folder: Path, state: TrainState, config: dict[str, Any]) -> None:
    """Load the newest undamaged checkpoint into the state, if there is one.

    Raises:
        CheckpointError: the checkpoint belongs to a run with other settings.
    """
    for path in reversed(complete_checkpoints(folder)):
        stored = json.loads((path / "state.json").read_text(encoding="utf-8"))
        if any(sha256(path / name) != digest for name, digest in stored["sha256"].items()):
            continue
        if changed := _changed(stored["config"], config):
            raise CheckpointError(
                f"{path}: was made with {changed}; use another folder, or the settings that the run"
                " was started with"
            )
        _load(path, state)
        state.step = int(stored["step"])
        return


def is_finished(run_folder: Path, config: dict[str, Any]) -> bool:
    """Whether the folder holds the result of a finished run with these settings.

    Raises:
        CheckpointError: it holds the result of a run with other settings.
    """
    note = run_folder / "model" / "run.json"
    if not note.is_file():
        return False
    if changed := _changed(json.loads(note.read_text(encoding="utf-8")), config):
        raise CheckpointError(
            f"{run_folder}: holds a finished run with {changed}; use another folder"
        )
    return True


def _changed(stored: dict[str, Any], config: dict[str, Any]) -> str:
    """Return the first setting that differs, as text; "" for none.

    A setting that the stored run does not have is newer than the run, and not compared.
    """
    for key, value in config.items():
        if stored.get(key, value) != value:
            return f"{key} = {stored[key]}, not {value}"
    return ""


def model_digest(model: Path) -> str:
    """Return the sha256 of a model's weights; a run records it to identify its starting point."""
    return sha256(model / "open_clip_model.safetensors")


def complete_checkpoints(folder: Path) -> list[Path]:
    """Return the completely written checkpoints of a run, oldest first."""
    return sorted(path.parent for path in folder.glob("step-*/state.json"))


def _tensors(state: TrainState) -> dict[str, Tensors]:
    """Gather the tensors of each file on the CPU; all processes must call it."""
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    optimiser = get_optimizer_state_dict(state.model, state.optimiser, options=options)
    parts = {
        "model": get_model_state_dict(state.model, options=options),
        "optimiser": {
            f"{name}/{kind}": tensor
            for name, moments in optimiser.get("state", {}).items()  # in the first process only
            for kind, tensor in moments.items()
        },
    }
    if state.average is not None:
        tensors = [full_tensor(tensor).detach().cpu() for tensor in state.average]
        parts["average"] = dict(zip(trainable_names(state.model), tensors, strict=True))
    return parts


def result_weights(state: TrainState) -> Tensors:
    """Gather the result of training on the CPU: the moving average if one is kept.

    All processes must call it.
    """
    parts = _tensors(state)
    return {**parts["model"], **parts.get("average", {})}


def trainable_names(model: nn.Module) -> list[str]:
    """Return the names of the trainable parameters, without the prefixes of wrappers."""
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
        stored = {"step": step, "config": config, "sha256": digests}
        (partial / "state.json").write_text(json.dumps(stored, indent=1), encoding="utf-8")
    kept = complete_checkpoints(target.parent)[-KEPT:]
    for path in set(target.parent.glob("*step-*")).difference(kept):  # also of killed processes
        (path / "state.json").unlink(missing_ok=True)  # half deleted, it must not count as complete
        shutil.rmtree(path, ignore_errors=True)


def _load(path: Path, state: TrainState) -> None:
    from safetensors.torch import load_file

    options = StateDictOptions(full_state_dict=True)
    set_model_state_dict(state.model, load_file(path / "model.safetensors"), options=options)
    moments: dict[str, Tensors] = {}
    for key, tensor in load_file(path / "optimiser.safetensors").items():
        name, kind = key.rsplit("/", 1)
        moments.setdefault(name, {})[kind] = tensor
    # learning rate and weight decay come from the config, which the new optimiser already has
    groups = get_optimizer_state_dict(state.model, state.optimiser)["param_groups"]
    stored = {"state": moments, "param_groups": groups}
    set_optimizer_state_dict(state.model, state.optimiser, stored, options=options)
    if state.average is not None:
        averages = load_file(path / "average.safetensors")
        for name, tensor in zip(trainable_names(state.model), state.average, strict=True):
            tensor.copy_(shard_like(averages[name], tensor))
