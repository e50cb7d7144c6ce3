"""Batches: accepted at once, answered one after the other, kept in memory for minutes."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from geoloc.errors import GeolocError

Item = TypeVar("Item")

State = Literal["waiting", "running", "finished", "failed"]

log = logging.getLogger("geoloc.service")


@dataclass(eq=False)
class Job(Generic[Item]):
    """One batch; its id is known to whoever sent it, and cannot be guessed."""

    work: Callable[[], Iterable[Item]] | None
    """Gives the results one by one; let go when it is done, with the photos it holds."""
    total: int
    about: str
    """Which bundle answers."""
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    state: State = "waiting"
    results: list[Item] = field(default_factory=list)
    error: str | None = None
    ended: float = 0.0
    fetched: bool = False

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self.state in ("finished", "failed")


class Jobs(Generic[Item]):
    """At most so many batches, each kept for a while after it is over."""

    def __init__(
        self, most: int, keep_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most, self._keep_s, self._clock = most, keep_s, clock
        self._jobs: dict[str, Job[Item]] = {}
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="batch")
        self._abandoned = False

    def add(self, work: Callable[[], Iterable[Item]], total: int, about: str) -> Job[Item] | None:
        """Accept a batch; None if there are too many already."""
        self.expire()
        with self._lock:
            if len(self._jobs) >= self._most:
                over = [job for job in self._jobs.values() if job.over and job.fetched]
                if not over:
                    return None
                del self._jobs[min(over, key=lambda job: job.ended).id]
            job = Job(work, total, about)
            self._jobs[job.id] = job
        self._worker.submit(self._run, job)
        return job

    def get(self, job_id: str) -> Job[Item] | None:
        """The batch of this id, unless it never was or is gone."""
        self.expire()
        return self._jobs.get(job_id)

    def left_s(self, job: Job[Item]) -> float | None:
        """How long it is still kept; None while it is not over."""
        return max(job.ended + self._keep_s - self._clock(), 0.0) if job.over else None

    def expire(self) -> None:
        """Forget what is over for longer than it is kept."""
        with self._lock:
            old = [job.id for job in self._jobs.values() if self.left_s(job) == 0.0]
            for job_id in old:
                del self._jobs[job_id]

    @property
    def unfinished(self) -> int:
        """Batches that wait or run."""
        with self._lock:
            return sum(not job.over for job in self._jobs.values())

    @property
    def awaited(self) -> int:
        """Batches that are not finished, or whose results nobody has fetched yet."""
        with self._lock:
            return sum(not (job.over and job.fetched) for job in self._jobs.values())

    def abandon(self) -> None:
        """Finish nothing any more: batches fail where they are."""
        self._abandoned = True
        self._worker.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Finish every accepted batch, then stop."""
        self._worker.shutdown()

    def _run(self, job: Job[Item]) -> None:
        job.state = "running"
        try:
            assert job.work is not None
            for result in job.work():
                job.results.append(result)
                if self._abandoned:
                    raise GeolocError("the service was stopped; ask again")
            state: State = "finished"
        except GeolocError as error:
            job.error, state = str(error), "failed"
        except Exception as error:
            log.error("a batch failed: %s", type(error).__name__)
            job.error, state = "internal error", "failed"
        job.work = None
        job.ended, job.state = self._clock(), state
