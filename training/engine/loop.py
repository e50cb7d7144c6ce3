"""The training loop of pretraining and fine-tuning, and the log of a run."""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from geoloc.io.atomic import atomic_write_text
from training.config import Schedule
from training.data.loading import Batch
from training.data.sampler import Batches
from training.engine import checkpoint
from training.engine.checkpoint import CheckpointError, TrainState
from training.engine.parallel import Processes, full_tensor
from training.engine.readers import Batched, load_batches


@dataclass(frozen=True)
class LoopConfig:
    """Settings of `fit`, which a stage derives from its own."""

    steps: int
    """Steps of the whole run."""
    learning_rate: float = 1e-6
    """Peak learning rate."""
    warmup: float = 0.2
    """Share of the steps in which the learning rate rises from 0."""
    schedule: Schedule = "linear"
    """Decay of the learning rate to 0 after warm-up; none if constant."""
    clip_norm: float = 1.0
    """Maximum norm of the gradient."""
    accumulate: int = 1
    """Micro-batches per step; loss and gradient are those of the whole batch, see `grad_cache`."""
    bf16: bool = False
    """Compute in bfloat16; weights and optimiser state stay float32."""
    average: float | None = None
    """Decay of an exponential moving average of the weights, which is the result if given."""
    seed: int = 0
    """Seed of dropout and other randomness inside the towers."""
    save_every: int = 500
    """Steps between checkpoints."""
    measure_every: int = 500
    """Steps between measurements on held-out photos."""
    workers: int = 0
    """Processes that read photos."""

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        rising = max(1, round(self.warmup * self.steps))
        if step < rising:
            return self.learning_rate * (step + 1) / rising
        if self.schedule == "constant":
            return self.learning_rate
        left = (self.steps - step) / max(1, self.steps - rising)
        if self.schedule == "cosine":
            left = (1.0 - math.cos(math.pi * left)) / 2.0
        return self.learning_rate * left


class Measure(Protocol):
    """Evaluation on held-out photos during training."""

    def __call__(self, model: nn.Module) -> dict[str, float]:
        """Return metrics by name; all processes call it together."""
        ...


class Objective(Protocol):
    """Training objective: the loss of a step and its gradients."""

    def __call__(self, micro: list[Batch], step: int) -> Tensor:
        """Add the gradients of a step's micro-batches to the parameters; return the loss."""
        ...


def fit(
    state: TrainState,
    photos: Batched,
    batches: Batches,
    objective: Objective,
    config: LoopConfig,
    run: Run,
) -> None:
    """Train from the state of the run's newest checkpoint, or from the given one, to the last step.

    Args:
        state: model, optimiser and moving average; changed in place.
        photos: dataset.
        batches: rows of the micro-batches of this process.
        objective: computes losses and gradients.
        config: settings of the loop.
        run: log and checkpoints of the run.

    Raises:
        CheckpointError: a checkpoint cannot be written, or training diverges.
        TableError: too many photos cannot be read.
    """
    run.resume(state)
    model, optimiser = state.model, state.optimiser
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    stream = load_batches(photos, replace(batches, start=state.step), config.workers)
    for step in range(state.step, config.steps):
        began = time.perf_counter()
        micro = [next(stream).to(run.processes.device) for _ in range(config.accumulate)]
        for group in optimiser.param_groups:
            group["lr"] = config.rate(step)
        optimiser.zero_grad()
        loss = objective(micro, step)
        norm = full_tensor(nn.utils.clip_grad_norm_(parameters, config.clip_norm))
        optimiser.step()
        _clamp_logit_scale(model)
        if state.average is not None and config.average is not None:
            torch._foreach_lerp_(
                state.average, [p.detach() for p in parameters], 1.0 - config.average
            )
        state.step = step + 1
        run.log_step(state.step, loss, norm, config.rate(step), micro, began)
        if state.step % config.measure_every == 0 or state.step == config.steps:
            run.log_measurement(state.step, model)
        if state.step % config.save_every == 0 or state.step == config.steps:
            run.save(state)


def _clamp_logit_scale(model: nn.Module) -> None:
    """Limit the factor of the similarities to 100, as in CLIP."""
    for name, parameter in model.named_parameters():
        if name.endswith("logit_scale"):
            with torch.no_grad():
                parameter.clamp_(0.0, math.log(100.0))


@dataclass(eq=False)
class Run:
    """The folder of a run: checkpoints, losses.jsonl, left_out.RANK.jsonl, TensorBoard events."""

    folder: Path
    processes: Processes
    settings: dict[str, Any]
    measure: Measure
    _events: Any = None
    _left_out: set[str] = field(default_factory=set)

    def resume(self, state: TrainState) -> None:
        """Load the newest checkpoint into the state, and remove log lines of later steps.

        Raises:
            CheckpointError: the checkpoint belongs to a run with other settings.
        """
        checkpoint.resume(self.folder / "checkpoints", state, self.settings)
        if self.processes.first:
            from torch.utils.tensorboard import SummaryWriter

            self.folder.mkdir(parents=True, exist_ok=True)
            for file in self.folder.glob("*.jsonl"):
                _truncate_log(file, state.step)
            self._events = SummaryWriter(str(self.folder / "events"), purge_step=state.step + 1)
        self.processes.barrier()
        self._left_out = {line["reason"] for line in _lines(self._left_out_file)}

    def log_step(
        self, step: int, loss: Tensor, norm: Tensor, rate: float, micro: list[Batch], began: float
    ) -> None:
        """Log loss, gradient norm, learning rate, speed and substituted photos of a step.

        Raises:
            CheckpointError: loss or gradient is no finite number; it is never saved.
        """
        mean = self.processes.sum(loss.clone()).item() / self.processes.count
        self._log_left_out(step, micro)
        if not (math.isfinite(mean) and math.isfinite(norm.item())):
            raise CheckpointError(
                f"{self.folder}: step {step} has the loss {mean} and a gradient of norm"
                f" {norm.item()}, so training diverges; start again in another folder with a lower"
                " learning rate, and look for wrong numbers in the photo table"
            )
        seconds = time.perf_counter() - began
        photos = sum(len(batch) for batch in micro) * self.processes.count
        self._log(
            "losses",
            step,
            {
                "loss": mean,
                "gradient_norm": norm.item(),
                "learning_rate": rate,
                "photos_per_s": photos / seconds,
            },
        )

    def log_measurement(self, step: int, model: nn.Module) -> None:
        """Evaluate on held-out photos and log the metrics; all processes must call it."""
        self._log("measurements", step, self.measure(model))

    def save(self, state: TrainState) -> None:
        """Write a checkpoint; all processes must call it."""
        checkpoint.save(self.folder / "checkpoints", state, self.settings, self.processes)

    def _log(self, name: str, step: int, values: dict[str, float]) -> None:
        if self._events is None:
            return
        with (self.folder / f"{name}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        for key, value in values.items():
            self._events.add_scalar(key, value, step)

    def _log_left_out(self, step: int, micro: list[Batch]) -> None:
        """Log each reason once, though a damaged shard or photo comes again and again."""
        reasons = dict.fromkeys(line for batch in micro for line in batch.left_out)
        new = [reason for reason in reasons if reason not in self._left_out]
        if new:
            self._left_out.update(new)
            with self._left_out_file.open("a", encoding="utf-8") as file:
                file.writelines(
                    json.dumps({"step": step, "reason": reason}, ensure_ascii=False) + "\n"
                    for reason in new
                )

    @property
    def _left_out_file(self) -> Path:
        return self.folder / f"left_out.{self.processes.rank}.jsonl"


def left_out_lines(run_folder: Path) -> list[str]:
    """Return a line about each shard and photo that a run could not use."""
    files = sorted(run_folder.glob("left_out.*.jsonl"))
    return list(dict.fromkeys(line["reason"] for file in files for line in _lines(file)))


def _lines(file: Path) -> list[dict[str, Any]]:
    """Read a log, without a last line that was cut short."""
    if not file.is_file():
        return []
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _truncate_log(file: Path, step: int) -> None:
    """Remove the lines of later steps, and a last line that was cut short."""
    kept = [line for line in _lines(file) if line["step"] <= step]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in kept)
    atomic_write_text(file, text)


def as_settings(*configs: Any) -> dict[str, Any]:  # noqa: ANN401
    """Merge config dataclasses into one JSON-serialisable dictionary, for state.json."""
    merged: dict[str, Any] = {}
    for config in configs:
        merged |= json.loads(json.dumps(asdict(config), default=str))
    return merged
