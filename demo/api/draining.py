"""Graceful shutdown of the web server."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from types import FrameType

import uvicorn

from demo.api.service import Service

log = logging.getLogger("geoloc.service")


class DrainingServer(uvicorn.Server):
    """A server that finishes accepted work after a signal before it stops, and says so in the log.

    Until then it refuses new work but still listens, so that batch results can be fetched. A second
    signal stops it at once.
    """

    def __init__(
        self, config: uvicorn.Config, service: Service, stop_at_once: Callable[[int], None]
    ) -> None:
        """Take the service that `config` runs.

        Args:
            config: of the server.
            service: whose work is finished.
            stop_at_once: called in the handler of the second signal with its number; must end the
                process without waiting for threads.
        """
        super().__init__(config)
        self._service, self._stop_at_once = service, stop_at_once
        self._deadline: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Start draining; on the second signal, stop at once.

        The base class is not called: it would raise the signal again at the end, which skips the
        removal of temporary files.
        """
        if self._service.stopping:
            self._stop_at_once(sig)
        self._service.stopping = True

    async def on_tick(self, counter: int) -> bool:
        """Exit when the work is done or the deadline has passed; called ten times a second."""
        if self._service.stopping:
            self._drain()
        return await super().on_tick(counter)

    def _drain(self) -> None:
        service, now = self._service, time.monotonic()
        if self._deadline is None:
            self._deadline = now + service.limits.drain_s
            if not service.idle:
                log.info(
                    "stopping: waiting up to %g s for %s; a second signal stops at once",
                    service.limits.drain_s,
                    service.unfinished,
                )
        if not service.idle and now > self._deadline:
            log.warning("stopping: gave up waiting for %s", service.unfinished)
            service.jobs.cancel()
        elif not service.idle:
            return
        self.should_exit = True
        if self.server_state.connections:
            log.info(
                "stopping: closing connections and open pages (%d), for up to %d s",
                len(self.server_state.connections),
                self.config.timeout_graceful_shutdown or 0,
            )
