"""A batch on a Ray cluster: actors load the bundle and answer parts.

Only positions in the plan file are sent to actors; the plan, parts and photos are on storage that
all machines share. Ray Data assigns parts to free actors, and reassigns the parts of a lost
machine; a part that is already stored is not answered again.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from typing import Any

from geoloc.batch import answers, plan
from geoloc.batch.answers import Failure
from geoloc.batch.plan import Part, Plan
from geoloc.batch.run import AnswerParts
from geoloc.batch.worker import Step, Worker
from geoloc.errors import GeolocError, MissingExtraError
from geoloc.photos import storage

PARTS_PER_CALL = 4
"""Parts that an actor gets at a time, so that it does not wait between them."""

ACTORS_PER_GPU = 4
"""Actors that share a GPU: one process ranks and writes fewer photos than a GPU encodes."""


class PartActor:
    """A Ray actor that answers parts."""

    def __init__(self, worker: Worker, file: str) -> None:
        """Hold a worker, which loads its bundle for the first part.

        Args:
            worker: answers the parts.
            file: the plan file.
        """
        self._worker, self._file = worker, file

    def __call__(self, rows: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Answer the parts that are not stored yet, and yield the progress after each batch.

        Args:
            rows: arrays `offset` and `length`, the positions of parts in the plan file.
        """
        for step in self._worker.answer(self._missing(rows)):
            failures = json.dumps([asdict(each) for each in step.failures])
            yield {"photos": [step.photos], "failures": [failures]}

    def _missing(self, rows: dict[str, Any]) -> Iterator[Part]:
        positions = zip(rows["offset"].tolist(), rows["length"].tolist(), strict=True)
        for offset, length in positions:
            part = plan.parse(storage.read(self._file, offset, length).decode("ascii"))
            if not storage.exists(answers.part_path(self._worker.parts, part.key)):
                yield part


def connect(address: str) -> AnswerParts:
    """Connect to a cluster, and return a function that answers parts on it.

    Args:
        address: of the cluster ("auto", "ray://host:10001"), or "local" for one on this machine.

    Raises:
        MissingExtraError: Ray is not installed.
        GeolocError: there is no cluster at that address.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("ray", "ray") from error
    try:
        _check_reachable(address)
        _initialise(ray, address)
    except Exception as error:  # Ray has no common base of its exceptions
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise GeolocError(f"--ray {address}: no cluster there ({reason})") from error

    def answer(worker: Worker, batch_plan: Plan, missing: Iterable[Part]) -> Iterator[Step]:
        keys = {part.key for part in missing}
        rows = [
            {"offset": entry.offset, "length": entry.length}
            for entry in batch_plan.entries()
            if entry.key in keys
        ]
        yield from _steps(ray, worker, batch_plan, rows)

    return answer


def _check_reachable(address: str) -> None:
    """Raise OSError if no server listens at an address with a port; Ray would try for minutes."""
    import socket

    host, colon, port = address.rpartition("://")[2].partition(":")
    if colon:
        socket.create_connection((host, int(port)), timeout=10.0).close()


def _initialise(ray: Any, address: str) -> None:  # noqa: ANN401
    """Start Ray without its log output and progress bars."""
    import logging

    cluster = {} if address == "local" else {"address": address}
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # its errors are raised as well
    ray.init(
        **cluster,
        ignore_reinit_error=True,
        logging_level=logging.ERROR,
        log_to_driver=False,
        include_dashboard=None if cluster else False,
    )
    ray.data.DataContext.get_current().enable_progress_bars = False


def _steps(
    ray: Any,  # noqa: ANN401
    worker: Worker,
    batch_plan: Plan,
    rows: list[dict[str, int]],
) -> Iterator[Step]:
    """Answer the parts at the given positions; Ray restarts lost actors and repeats their parts."""
    resources, count = _actors(ray.nodes())
    count = min(count, len(rows))
    size = max(1, min(PARTS_PER_CALL, len(rows) // count))
    blocks = -(-len(rows) // size)
    progress = ray.data.from_items(rows, override_num_blocks=blocks).map_batches(
        PartActor,
        fn_constructor_args=(_with_absolute_paths(worker), os.path.abspath(batch_plan.file)),
        batch_size=size,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=count),
        **resources,
    )
    try:
        for row in progress.iter_rows():
            yield Step(row["photos"], [Failure(**values) for values in json.loads(row["failures"])])
    except ray.exceptions.RayError as error:
        raise _to_geoloc_error(error) from error


def _with_absolute_paths(worker: Worker) -> Worker:
    """Return a copy of the worker with absolute paths, and without loaded models."""

    def absolute(name: str) -> str:
        return os.path.abspath(name) if os.path.exists(name) else name

    return replace(
        worker,
        bundle=absolute(worker.bundle),
        form=worker.chosen_form,
        within=worker.within and absolute(worker.within),
        cache=worker.cache and worker.cache.absolute(),
    )


def _to_geoloc_error(error: BaseException) -> GeolocError:
    """Return the last exception in Ray's long text, the cause, as one line."""
    causes = re.findall(r"^[\w.]*(?:Error|Interrupt|Exception): (.+)$", str(error), re.MULTILINE)
    cause = causes[-1] if causes else type(error).__name__
    return GeolocError(f"a machine of the Ray cluster failed: {cause}")


def _actors(nodes: list[dict[str, Any]]) -> tuple[dict[str, float], int]:
    """Return the resources of each actor and the number of actors.

    There are ACTORS_PER_GPU per GPU, or one per machine if no machine has a GPU: on a CPU, one
    encoder uses all cores.
    """
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    gpus = int(sum(resources.get("GPU", 0) for resources in alive))
    if gpus:
        return {"num_gpus": 1 / ACTORS_PER_GPU}, gpus * ACTORS_PER_GPU
    cores = [resources["CPU"] for resources in alive if resources.get("CPU")]
    if not cores:
        return {"num_cpus": 1}, 1
    return {"num_cpus": max(1.0, min(cores) - 1)}, len(cores)
