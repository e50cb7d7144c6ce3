"""What one client may ask of the service, and how often."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds of requests; whoever needs more has to ask again."""

    upload_mb: int = 64
    """Of one request, all its photos together."""
    photos: int = 16
    """Of one question."""
    batch_photos: int = 256
    megapixels: int = 64
    """Of one photo."""
    requests: int = 96
    """Questions that are being answered at once."""
    batches: int = 16
    """Batches that wait, run or are kept."""
    receive_s: float = 60.0
    """For an upload to arrive."""
    answer_s: float = 60.0
    """For an answer."""
    keep_s: float = 300.0
    """For the answers of a batch to be fetched."""
    drain_s: float = 120.0
    """For accepted work to be finished, and its answers to be fetched, when the service stops."""
    posts_per_minute: int = 0
    """Of one client, page and API together; 0 is no limit."""


class RateLimit:
    """A bucket of tokens for each client: a minute's worth at once, refilled evenly."""

    MOST_CLIENTS = 10_000

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute, self._clock = per_minute, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, client: str) -> float:
        """Take a token; 0 if there was one, else the seconds until there is one."""
        if self._per_minute <= 0:
            return 0.0
        now = self._clock()
        tokens, since = self._buckets.pop(client, (float(self._per_minute), now))
        tokens = min(tokens + (now - since) * self._per_minute / 60.0, float(self._per_minute))
        allowed = tokens >= 1.0
        self._buckets[client] = (tokens - allowed, now)
        if len(self._buckets) > self.MOST_CLIENTS:
            self._buckets.popitem(last=False)  # who has not asked for the longest time
        return 0.0 if allowed else (1.0 - tokens) * 60.0 / self._per_minute
