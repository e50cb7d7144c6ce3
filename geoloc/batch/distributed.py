"""The same batch on a Ray cluster: actors hold the encoder and answer parts.

What travels is where a part stands in the plan, not its photos: plan, parts and photos lie where
all machines see them, on shared storage. Ray Data hands parts out as actors become free, and gives
the part of a lost machine to another one; a part that is already kept is not answered again.
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
from geoloc.batch.run import Answer
from geoloc.batch.worker import Step, Worker
from geoloc.errors import GeolocError, MissingExtraError
from geoloc.photos import storage

IN_ORDER = 4
"""Parts that an actor gets at a time, so that it need not wait between them."""

PER_GPU = 4
"""Actors that share a GPU: one process ranks and writes fewer photos than a GPU encodes."""


class OnRay:
    """An actor: holds the encoder, answers the parts of a batch of rows."""

    def __init__(self, worker: Worker, file: str) -> None:
        """Nothing is loaded before the first part."""
        self._worker, self._file = worker, file

    def __call__(self, rows: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Answer parts that are not kept yet; tells of each batch of photos.

        Args:
            rows: arrays `at` and `length`: where the line of each part stands in the plan.
        """
        for step in self._worker.answer(self._missing(rows)):
            failures = json.dumps([asdict(each) for each in step.failures])
            yield {"photos": [step.photos], "failures": [failures]}

    def _missing(self, rows: dict[str, Any]) -> Iterator[Part]:
        for at, length in zip(rows["at"].tolist(), rows["length"].tolist(), strict=True):
            part = plan.parse(storage.read(self._file, at, length).decode("ascii"))
            if not storage.exists(answers.place(self._worker.parts, part.key)):
                yield part


def on_ray(address: str) -> Answer:
    """Answer parts on a cluster.

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
        _connect(ray, address)
    except Exception as error:  # Ray raises whatever it likes
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise GeolocError(f"--ray {address}: no cluster there ({reason})") from error

    def answer(worker: Worker, planned: Plan, waiting: Iterable[Part]) -> Iterator[Step]:
        keys = {part.key for part in waiting}
        rows = [
            {"at": at, "length": length} for key, _, at, length in planned.heads() if key in keys
        ]
        yield from _steps(ray, worker, planned, rows)

    return answer


def _check_reachable(address: str) -> None:
    """Raise OSError if nobody listens there: Ray itself tries for minutes."""
    import socket

    host, colon, port = address.rpartition("://")[2].partition(":")
    if colon:
        socket.create_connection((host, int(port)), timeout=10.0).close()


def _connect(ray: Any, address: str) -> None:  # noqa: ANN401
    import logging

    where = {} if address == "local" else {"address": address}
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # errors are raised too
    ray.init(
        **where,
        ignore_reinit_error=True,
        logging_level=logging.ERROR,
        log_to_driver=False,
        include_dashboard=None if where else False,
    )
    ray.data.DataContext.get_current().enable_progress_bars = False


def _steps(
    ray: Any,  # noqa: ANN401
    worker: Worker,
    planned: Plan,
    rows: list[dict[str, int]],
) -> Iterator[Step]:
    """Actors that are lost are started again, and their parts are handed out again."""
    each, number = _actors(ray.nodes())
    number = min(number, len(rows))
    size = max(1, min(IN_ORDER, len(rows) // number))
    answered = ray.data.from_items(rows, override_num_blocks=-(-len(rows) // size)).map_batches(
        OnRay,
        fn_constructor_args=(_from_anywhere(worker), os.path.abspath(planned.file)),
        batch_size=size,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=number),
        **each,
    )
    try:
        for row in answered.iter_rows():
            yield Step(row["photos"], [Failure(**values) for values in json.loads(row["failures"])])
    except ray.exceptions.RayError as error:
        raise _reason(error) from error


def _from_anywhere(worker: Worker) -> Worker:
    """The worker with paths that hold in any folder, and nothing loaded."""

    def absolute(name: str) -> str:
        return os.path.abspath(name) if os.path.exists(name) else name

    return replace(
        worker,
        bundle=absolute(worker.bundle),
        within=worker.within and absolute(worker.within),
        cache=worker.cache and worker.cache.absolute(),
    )


def _reason(error: BaseException) -> GeolocError:
    """What went wrong on a machine of the cluster: the last error of Ray's long text."""
    said = re.findall(r"^[\w.]*(?:Error|Interrupt|Exception): (.+)$", str(error), re.MULTILINE)
    reason = said[-1] if said else type(error).__name__
    return GeolocError(f"a machine of the cluster gave up: {reason}")


def _actors(nodes: list[dict[str, Any]]) -> tuple[dict[str, float], int]:
    """What each actor takes, and how many there are: PER_GPU, or one a machine without GPUs.

    An encoder on a CPU uses all cores of its machine by itself.
    """
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    gpus = int(sum(there.get("GPU", 0) for there in alive))
    if gpus:
        return {"num_gpus": 1 / PER_GPU}, gpus * PER_GPU
    cores = [there["CPU"] for there in alive if there.get("CPU")]
    if not cores:
        return {"num_cpus": 1}, 1
    return {"num_cpus": max(1.0, min(cores) - 1)}, len(cores)
