"""Compression of replies: brotli where the client accepts it, else gzip."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import cached_property

import brotli
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MIN_BYTES = 500
"""Shorter replies are sent as they are."""

FAST, THOROUGH = 4, 9
"""Qualities of brotli: of replies that are made for one request, and of files that are kept."""

COMPRESSED_TYPES = ("text/html", "application/json")


def accepted_encoding(header: str) -> str:
    """Return the encoding for a client, "br", "gzip" or "", by its header Accept-Encoding."""
    weights = {}
    for part in header.lower().split(","):
        name, _, weight = part.partition(";")
        weights[name.strip()] = weight.replace(" ", "")
    refused = ("q=0", "q=0.0", "q=0.00", "q=0.000")
    names = (name for name in ("br", "gzip") if weights.get(name, "q=0") not in refused)
    return next(names, "")


@dataclass(frozen=True)
class Compressed:
    """A content that is kept, and its encodings, each made when it is first asked for."""

    plain: bytes

    @cached_property
    def _brotli(self) -> bytes:
        compressed: bytes = brotli.compress(self.plain, quality=THOROUGH)
        return compressed

    @cached_property
    def _gzip(self) -> bytes:
        return gzip.compress(self.plain, 9, mtime=0)

    def encoded(self, encoding: str) -> bytes:
        """Return the content in an encoding of `accepted_encoding`."""
        if encoding == "br":
            return self._brotli
        return self._gzip if encoding == "gzip" else self.plain


class Compression:
    """Compresses whole replies of HTML and JSON; streams pass as they are.

    Gradio compresses its scripts, but neither its page nor the answers of its events.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        encoding = ""
        if scope["type"] == "http":
            encoding = accepted_encoding(Headers(scope=scope).get("accept-encoding", ""))
        await self.app(scope, receive, _CompressingSend(send, encoding) if encoding else send)


class _CompressingSend:
    """Sends one reply; holds its start back until its body shows whether it is whole."""

    def __init__(self, send: Send, encoding: str) -> None:
        self._send, self._encoding = send, encoding
        self._start: Message | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_compressible(message):
            self._start = message
            return
        if self._start is not None:
            start, self._start = self._start, None
            message = self._compressed(start, message)
            await self._send(start)
        await self._send(message)

    def _compressed(self, start: Message, message: Message) -> Message:
        """Return the body compressed, and describe it in the start, if it is whole and long."""
        body = message.get("body", b"")
        if message["type"] != "http.response.body" or message.get("more_body"):
            return message
        headers = MutableHeaders(scope=start)
        headers.add_vary_header("Accept-Encoding")
        if len(body) < MIN_BYTES:
            return message
        if self._encoding == "br":
            body = brotli.compress(body, quality=FAST)
        else:
            body = gzip.compress(body, FAST, mtime=0)
        headers["Content-Encoding"], headers["Content-Length"] = self._encoding, str(len(body))
        return {**message, "body": body}


def _is_compressible(start: Message) -> bool:
    headers = Headers(scope=start)
    media_type = headers.get("content-type", "").partition(";")[0]
    return media_type in COMPRESSED_TYPES and "content-encoding" not in headers
