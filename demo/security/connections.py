"""Connections of clients: answered without delay, and closed if their headers do not arrive."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADERS_S = 10.0
"""Seconds from the first byte of a request, or from the connection, to the end of its headers."""


class ClientConnection(H11Protocol):
    """Closes connections that send the headers of a request too slowly, or none.

    Uvicorn limits only the time between two requests: a client that sends one byte a minute would
    keep a connection for ever. `uploads.BodyLimit` limits the time of the body.
    """

    headers_s = HEADERS_S

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
        super().__init__(*arguments, **options)
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock of the first request.

        Small packets are sent at once. asyncio does so by itself only for sockets that were opened
        with the number of the protocol: without it, each answer took 40 ms longer.
        """
        super().connection_made(transport)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._deadline = self.loop.call_later(self.headers_s, transport.close)

    def data_received(self, data: bytes) -> None:
        """Start the clock with the first byte of a request; stop it at the end of its headers."""
        if self._deadline is None and self._between_requests:
            self._deadline = self.loop.call_later(self.headers_s, self.transport.close)
        super().data_received(data)
        if not self._between_requests:
            self._stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._stop()
        super().connection_lost(exc)

    @property
    def _between_requests(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _stop(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
