"""Batch jobs: accepted at once, run one after the other, results kept in memory for minutes."""

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
    """One batch job. Its random id is the only access control to its results."""

    work: Callable[[], Iterable[Item]] | None
    """Yields the results. Set to None at the end, to release the photos it holds."""
    total: int
    bundle: str
    """Name of the bundle that answers."""
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    state: State = "waiting"
    results: list[Item] = field(default_factory=list)
    error: str | None = None
    ended: float = 0.0
    """Time of the end, on the clock of `Jobs`."""
    fetched: bool = False
    """Whether a client has read the state after the end."""

    @property
    def done(self) -> bool:
        """Whether the job has finished or failed."""
        return self.state in ("finished", "failed")


class Jobs(Generic[Item]):
    """A bounded queue of jobs. Each one is kept for a limited time after its end."""

    def __init__(
        self, capacity: int, keep_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._capacity, self._keep_s, self._clock = capacity, keep_s, clock
        self._jobs: dict[str, Job[Item]] = {}
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="batch")
        self._cancelled = False

    def add(self, work: Callable[[], Iterable[Item]], total: int, bundle: str) -> Job[Item] | None:
        """Queue a job; return None if the queue is full.

        If it is full, the oldest job whose results have been fetched makes room.
        """
        self.expire()
        with self._lock:
            if len(self._jobs) >= self._capacity:
                fetched = [job for job in self._jobs.values() if job.done and job.fetched]
                if not fetched:
                    return None
                del self._jobs[min(fetched, key=lambda job: job.ended).id]
            job = Job(work, total, bundle)
            self._jobs[job.id] = job
        self._worker.submit(self._run, job)
        return job

    def get(self, job_id: str) -> Job[Item] | None:
        """Return the job with this id, or None if it is unknown or expired."""
        self.expire()
        return self._jobs.get(job_id)

    def remaining_s(self, job: Job[Item]) -> float | None:
        """Return the seconds until a job is deleted; None while it is not done."""
        return max(job.ended + self._keep_s - self._clock(), 0.0) if job.done else None

    def expire(self) -> None:
        """Delete the jobs whose keeping time has passed."""
        with self._lock:
            expired = [job.id for job in self._jobs.values() if self.remaining_s(job) == 0.0]
            for job_id in expired:
                del self._jobs[job_id]

    @property
    def unfinished(self) -> int:
        """The number of jobs that wait or run."""
        with self._lock:
            return sum(not job.done for job in self._jobs.values())

    @property
    def unfetched(self) -> int:
        """The number of jobs that are not done, or whose results have not been fetched."""
        with self._lock:
            return sum(not (job.done and job.fetched) for job in self._jobs.values())

    def cancel(self) -> None:
        """Cancel waiting jobs; a running job fails after its current result."""
        self._cancelled = True
        self._worker.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Finish all accepted jobs, then stop the worker."""
        self._worker.shutdown()

    def _run(self, job: Job[Item]) -> None:
        job.state = "running"
        try:
            assert job.work is not None
            for result in job.work():
                job.results.append(result)
                if self._cancelled:
                    raise GeolocError("the service was stopped; send the photos again later")
            state: State = "finished"
        except GeolocError as error:
            job.error, state = str(error), "failed"
        except Exception as error:
            log.error("batch failed: %s", type(error).__name__)  # a message may name a photo
            job.error, state = "internal error", "failed"
        job.work = None
        job.ended, job.state = self._clock(), state
