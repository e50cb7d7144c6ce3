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
    bundle: str = ""
    """Name of the bundle that answers."""
    client: str = ""
    """Address of the client."""
    size: int = 0
    """Bytes of the photos, which are held until the end."""
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    state: State = "waiting"
    results: list[Item] = field(default_factory=list)
    error: str | None = None
    ended: float = 0.0
    """Time of the end, on the clock of `Jobs`."""
    fetched: bool = False
    """Whether a client has read the state after the end."""
    deleted: bool = False
    """Whether the client does not want the results any more."""

    @property
    def done(self) -> bool:
        """Whether the job has finished or failed."""
        return self.state in ("finished", "failed")


class Jobs(Generic[Item]):
    """A bounded queue of jobs. Each one is kept for a limited time after its end."""

    def __init__(
        self,
        per_client: int,
        max_bytes: int,
        keep_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start an empty queue.

        Args:
            per_client: jobs of one client that are waiting, running or kept.
            max_bytes: photos of all jobs that are waiting or running.
            keep_s: seconds that results are kept.
            clock: the time in seconds.
        """
        self._per_client, self._max_bytes = per_client, max_bytes
        self._keep_s, self._clock = keep_s, clock
        self._jobs: dict[str, Job[Item]] = {}
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="batch")
        self._cancelled = False

    def add(self, job: Job[Item]) -> str:
        """Queue a job; return "", or the reason why it is refused.

        Of a client with too many jobs, the oldest one whose results have been fetched makes room.
        """
        self.expire()
        with self._lock:
            held = sum(each.size for each in self._jobs.values() if not each.done)
            if held and held + job.size > self._max_bytes:
                return "too many photos are waiting in batches; try again later"
            own = [each for each in self._jobs.values() if each.client == job.client]
            if len(own) >= self._per_client:
                fetched = [each for each in own if each.done and each.fetched]
                if not fetched:
                    return f"one client may have {len(own)} batches here; fetch or delete one first"
                del self._jobs[min(fetched, key=lambda each: each.ended).id]
            self._jobs[job.id] = job
        self._worker.submit(self._run, job)
        return ""

    def delete(self, job_id: str) -> bool:
        """Forget a job, and stop it if it runs; return whether it was known."""
        with self._lock:
            job = self._jobs.pop(job_id, None)
            if job is not None:
                job.deleted, job.work = True, None  # releases the photos of a waiting job
        return job is not None

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
            for result in job.work() if job.work else ():
                job.results.append(result)
                if self._cancelled or job.deleted:
                    raise GeolocError("the service was stopped; send the photos again later")
            state: State = "finished"
        except GeolocError as error:
            job.error, state = str(error), "failed"
        except Exception as error:
            log.error("batch failed: %s", type(error).__name__)  # a message may name a photo
            job.error, state = "internal error", "failed"
        job.work = None
        job.ended, job.state = self._clock(), state
