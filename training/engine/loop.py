"""The training loop of pretraining and fine-tuning, and the log of a run."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from geoloc.io.atomic import atomic_write_text
from training.config import Schedule
from training.data.loading import Batch
from training.engine import checkpoint
from training.engine.checkpoint import TrainState
from training.engine.parallel import Processes, full_tensor


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
    batches: Iterator[Batch],
    objective: Objective,
    config: LoopConfig,
    run: Run,
    start: int = 0,
) -> None:
    """Train from step `start` to the last one.

    Args:
        state: model, optimiser and moving average; changed in place.
        batches: micro-batches of this process, starting with the first of step `start`.
        objective: computes losses and gradients.
        config: settings of the loop.
        run: log and checkpoints of the run.
        start: number of steps already taken.

    Raises:
        CheckpointError: a checkpoint cannot be written.
    """
    model, optimiser = state.model, state.optimiser
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for step in range(start, config.steps):
        began = time.perf_counter()
        micro = [next(batches).to(run.processes.device) for _ in range(config.accumulate)]
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
        run.log_step(step + 1, loss, norm, config.rate(step), micro, began)
        if (step + 1) % config.measure_every == 0 or step + 1 == config.steps:
            run.log_measurement(step + 1, model)
        if (step + 1) % config.save_every == 0 or step + 1 == config.steps:
            run.save(step + 1, state)


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
    start: int = 0
    """Steps already taken; log lines of later steps are removed."""

    def __post_init__(self) -> None:
        self._events = None
        if self.processes.first:
            from torch.utils.tensorboard import SummaryWriter

            self.folder.mkdir(parents=True, exist_ok=True)
            for file in self.folder.glob("*.jsonl"):
                _truncate_log(file, self.start)
            self._events = SummaryWriter(str(self.folder / "events"), purge_step=self.start + 1)
        self.processes.barrier()

    def log_step(
        self, step: int, loss: Tensor, norm: Tensor, rate: float, micro: list[Batch], began: float
    ) -> None:
        """Log loss, gradient norm, learning rate, speed and substituted photos of a step."""
        mean = self.processes.sum(loss.clone()).item() / self.processes.count
        self._log_left_out(step, micro)
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

    def save(self, step: int, state: TrainState) -> None:
        """Write a checkpoint; all processes must call it."""
        checkpoint.save(self.folder / "checkpoints", step, state, self.settings, self.processes)

    def _log(self, name: str, step: int, values: dict[str, float]) -> None:
        if self._events is None:
            return
        with (self.folder / f"{name}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        for key, value in values.items():
            self._events.add_scalar(key, value, step)

    def _log_left_out(self, step: int, micro: list[Batch]) -> None:
        lines = [line for batch in micro for line in batch.left_out]
        if lines:
            rank = self.processes.rank
            with (self.folder / f"left_out.{rank}.jsonl").open("a", encoding="utf-8") as file:
                file.writelines(
                    json.dumps({"step": step, "reason": line}, ensure_ascii=False) + "\n"
                    for line in lines
                )


def _truncate_log(file: Path, step: int) -> None:
    """Remove the lines of later steps, and a last line that was cut short."""
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
    atomic_write_text(file, "".join(kept))


def as_settings(*configs: Any) -> dict[str, Any]:  # noqa: ANN401
    """Merge config dataclasses into one JSON-serialisable dictionary, for state.json."""
    merged: dict[str, Any] = {}
    for config in configs:
        merged |= json.loads(json.dumps(asdict(config), default=str))
    return merged
