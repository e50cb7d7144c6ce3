"""Stopping without losing what was accepted."""

from __future__ import annotations

import time
from types import FrameType

import uvicorn

from demo.api.service import Service


class DrainingServer(uvicorn.Server):
    """Takes no new work after a signal, and stops when the accepted work is fetched.

    Until then it still listens, so that the answers of a batch can be asked for. A second signal
    stops it as soon as the photos that are being encoded allow.
    """

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self._deadline = float("inf")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The base class would raise the signal again at the end, and skip what cleans up."""
        if self._service.stopping:
            self._service.jobs.abandon()
            self.should_exit = True
        self._service.stopping = True
        self._deadline = time.monotonic() + self._service.limits.drain_s

    async def on_tick(self, counter: int) -> bool:
        """See uvicorn; ten times a second."""
        waited = time.monotonic() > self._deadline
        if self._service.stopping and (self._service.idle or waited):
            self.should_exit = True
        return await super().on_tick(counter)
