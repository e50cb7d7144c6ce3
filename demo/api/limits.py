"""Limits on the size, number and rate of requests."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

RETRY_SOON = {"Retry-After": "5"}
"""Headers of the answer that the service is busy or stopping."""


@dataclass(frozen=True)
class Limits:
    """Limits of one server."""

    upload_mb: int = 64
    """Megabytes in the body of one request, all photos together."""
    receiving_mb: int = 1024
    """Megabytes in the bodies of all requests that are not answered yet; at least one request."""
    kept_mb: int = 8192
    """Megabytes of the page's uploads that are kept; at least one request."""
    photos: int = 16
    """Photos in one `locate` request."""
    batch_photos: int = 256
    """Photos in one batch."""
    megapixels: int = 64
    """Size of one photo: more than cameras of consumers produce."""
    decode_mb: int = 1024
    """Megabytes of the decoded photos of all requests together."""
    requests: int = 96
    """Requests answered at the same time."""
    page_requests: int = 256
    """Uploads and events of the page handled or waiting at the same time."""
    batches: int = 8
    """Batches of one client that are waiting, running or kept."""
    queued_mb: int = 1024
    """Megabytes of photos in all batches that are waiting or running."""
    receive_s: float = 60.0
    """Seconds for an upload to arrive."""
    answer_s: float = 60.0
    """Seconds for an answer."""
    keep_s: float = 300.0
    """Seconds that the results of a batch, and temporary files, are kept."""
    drain_s: float = 120.0
    """Seconds for accepted work to finish, and its results to be fetched, when the server stops."""
    posts_per_minute: int = 0
    """POST requests of one client, page and API together; 0 means no limit."""


class RateLimit:
    """A token bucket for each client, with one minute's allowance, refilled evenly."""

    MAX_CLIENTS = 10_000

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute, self._clock = per_minute, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, client: str) -> float:
        """Take one token; return 0 on success, else the seconds until the next token."""
        if self._per_minute <= 0:
            return 0.0
        now = self._clock()
        tokens, since = self._buckets.pop(client, (float(self._per_minute), now))
        tokens = min(tokens + (now - since) * self._per_minute / 60.0, float(self._per_minute))
        allowed = tokens >= 1.0
        self._buckets[client] = (tokens - allowed, now)
        if len(self._buckets) > self.MAX_CLIENTS:
            self._buckets.popitem(last=False)  # the least recent client
        return 0.0 if allowed else (1.0 - tokens) * 60.0 / self._per_minute
