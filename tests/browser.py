"""Chromium for tests of pages: launching it, and checking what a page requests and reports.

`tests/conftest.py` makes the fixtures available everywhere. They skip the test where Chromium or
Playwright is not installed. `visit` opens one page in a fresh context and checks it at the end of
the test; a test with contexts of its own creates a `Watch`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)

SANDBOX = ["--no-sandbox"]
"""Containers without user namespaces cannot run Chromium's sandbox."""

WEBGL = [*SANDBOX, "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
"""WebGL on the CPU, which is slow: only for tests of maps that need it."""

NO_WEBGL = [*SANDBOX, "--disable-3d-apis"]

TIMEOUT_MS = 60_000
"""How long a page may take to reach an expected state on a loaded machine."""


def require_chromium() -> None:
    """Skip the calling test or fixture where Chromium or Playwright is missing."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


@contextmanager
def playwright_driver():
    """Playwright with expectations that wait for TIMEOUT_MS."""
    require_chromium()
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=TIMEOUT_MS)
    with sync_playwright() as running:
        yield running


@contextmanager
def launched(running, arguments: list[str] = NO_WEBGL):
    """A Chromium process, ended with the block."""
    browser = running.chromium.launch(executable_path=CHROMIUM, args=arguments)
    try:
        yield browser
    finally:
        browser.close()


class Watch:
    """Records what pages request and report; `check` fails if that is not nothing.

    Attributes:
        external: URLs of requests to anywhere but the page's own address.
        reports: console messages, uncaught errors and dialogs.
    """

    def __init__(self, url: str) -> None:
        """Watch pages at a file URL, which may load only itself, or at a server."""
        self._url, self._parts = url, urlsplit(url)
        self.external: list[str] = []
        self.reports: list[str] = []

    def is_external(self, url: str) -> bool:
        """Whether a request leaves the page's own file or server."""
        parts = urlsplit(url)
        if parts.scheme in ("data", "blob"):
            return False
        if self._parts.scheme == "file":
            return url.partition("#")[0] != self._url
        return parts.netloc != self._parts.netloc

    def add(self, page, *, console: bool = True) -> None:
        """Watch a page; `console=False` records errors and dialogs only."""
        page.set_default_timeout(TIMEOUT_MS)
        page.on("request", lambda request: self._request(request.url))
        page.on("pageerror", lambda error: self.reports.append(str(error)))
        page.on("dialog", self._dialog)
        if console:
            page.on("console", lambda message: self.reports.append(message.text))

    def check(self, ignored: Callable[[str], bool] = lambda report: False) -> None:
        """Fail if a page requested something external or reported something."""
        assert self.external == [], self.external
        reports = [report for report in self.reports if not ignored(report)]
        assert reports == [], reports

    def _request(self, url: str) -> None:
        if self.is_external(url):
            self.external.append(url)

    def _dialog(self, dialog) -> None:
        self.reports.append(dialog.message)
        dialog.dismiss()


@pytest.fixture(scope="module")
def chromium_driver():
    """Playwright's driver.

    Of a module and not of the session: while Playwright's synchronous driver is alive, the main
    thread has a running event loop, and `asyncio.run` in any later test would fail.
    """
    with playwright_driver() as running:
        yield running


@pytest.fixture(scope="module")
def browser(chromium_driver):
    """Chromium without WebGL."""
    with launched(chromium_driver) as started:
        yield started


@pytest.fixture(scope="module")
def webgl_browser(chromium_driver):
    """Chromium with WebGL on the CPU."""
    with launched(chromium_driver, WEBGL) as started:
        yield started


@pytest.fixture
def visit(browser) -> Iterator[Callable]:
    """Opens pages by URL, each in a context of its own.

    External requests are aborted. At the end of the test, such a request, a console message, an
    uncaught error or a dialog of any page fails it.
    """
    opened = []

    def open_page(
        url: str, width: int = 1000, height: int = 700, *, prepare=lambda page: None, **options
    ):
        """Open a URL.

        Args:
            url: of a file or server.
            width: of the viewport in CSS pixels.
            height: likewise.
            prepare: called with the blank page, before it loads the URL.
            options: of `Browser.new_context`.
        """
        watch = Watch(url)
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        opened.append((context, watch))
        context.route(watch.is_external, lambda route: route.abort())
        page = context.new_page()
        watch.add(page)
        prepare(page)
        page.goto(url)
        return page

    yield open_page
    for context, _ in opened:
        context.close()
    for _, watch in opened:
        watch.check()
