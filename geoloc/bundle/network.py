"""The network before a download: is it there, and what is wrong with it, in one line.

Proxies and certificates are those of the environment, as `httpx` reads them.
"""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from geoloc.errors import BundleError

TIMEOUT_S = 30.0
"""Longest silence of a server that was reached."""

REACH_S = 2.5
"""Longest time to reach the first host, including its name: no network is known within 5 s."""

MARGIN_BYTES = 2**26
"""Disk space that stays free."""


@contextmanager
def client(url: str, shown: str) -> Iterator[httpx.Client]:
    """Yield a client for an address, once its host, or the proxy before it, was reached.

    Raises:
        BundleError: it was not, within REACH_S.
    """
    reach(url, shown)
    limit = httpx.Timeout(TIMEOUT_S)
    with reported(shown), httpx.Client(timeout=limit, follow_redirects=True) as opened:
        yield opened


def reach(url: str, shown: str) -> None:
    """Raise BundleError unless the host of an address can be connected to within REACH_S.

    Libraries try again and wait for each address in turn, up to minutes; who has no network should
    read so at once. The look-up of a name has no time limit of its own, hence the thread.
    """
    parts = urlsplit(url)
    try:
        proxy = None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)
        there = urlsplit(proxy if proxy and "//" in proxy else f"//{proxy}" if proxy else url)
        host = there.hostname or ""
        port = there.port or (443 if there.scheme == "https" else 80)
    except ValueError as error:
        raise unreachable(shown, error) from error
    failed: list[Exception] = [TimeoutError("timed out")]

    def connect() -> None:
        try:
            socket.create_connection((host, port), REACH_S).close()
            failed.clear()
        except (OSError, ValueError, UnicodeError) as error:
            failed[:] = [error]

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(REACH_S)
    if failed:
        raise unreachable(shown, failed[0]) from failed[0]


@contextmanager
def reported(shown: str) -> Iterator[None]:
    """Raise errors of the network as BundleError; errors of the disk pass."""
    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        raise unreachable(shown, error) from error


def check_response(response: Any, shown: str) -> None:  # noqa: ANN401
    """Raise BundleError unless a response carries the file that was asked for."""
    if response.status_code >= 400:
        raise BundleError(
            f"{shown}: {response.status_code} {response.reason_phrase}; check the address, or try"
            " again later"
        )
    kind = response.headers.get("Content-Type", "")
    if kind.startswith("text/html") and not shown.endswith((".html", ".htm")):
        raise BundleError(
            f"{shown}: a web page came instead of the file, probably from a proxy or a login page;"
            " open the address in a browser, or set HTTPS_PROXY"
        )


def unreachable(shown: str, error: Exception) -> BundleError:
    """Return the error for what cannot be reached, with the reason in one line."""
    lines = str(error).splitlines()
    reason = next((line for line in lines if line.strip()), type(error).__name__).strip()
    if "CERTIFICATE_VERIFY_FAILED" in reason and ("expired" in reason or "not yet" in reason):
        return BundleError(
            f"{shown}: its certificate is not valid on {time.strftime('%Y-%m-%d')}, the date of"
            " this machine; correct the clock if that is wrong, and run the same command again"
        )
    return BundleError(
        f"{shown}: cannot be reached ({reason}); check the address and the connection and run"
        " the same command again, or copy the bundle from another machine and give its path"
    )


def check_space(folder: Path, needed: int) -> None:
    """Raise BundleError unless a disk has room for so many bytes."""
    free = shutil.disk_usage(folder).free
    if needed + MARGIN_BYTES > free:
        raise BundleError(
            f"{folder}: {needed / 1e6:,.0f} MB are needed and {free / 1e6:,.0f} MB are free;"
            " free some space and run the same command again"
        )
