"""Request handling behind the routes: worker threads, batches and graceful shutdown."""

from __future__ import annotations

import asyncio
import io
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import FrameType
from typing import Any, TypeVar

import uvicorn
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from demo.api.jobs import Job, Jobs
from demo.api.limits import RETRY_SOON, Limits
from demo.api.models import Answer
from geoloc.belief.witnesses.options import BY_DEFAULT, WitnessOptions
from geoloc.errors import PhotoError
from geoloc.geolocator import Geolocator
from geoloc.guess import Guess

Result = TypeVar("Result")

EXPIRY_CHECK_S = 10.0

log = logging.getLogger("geoloc.service")


class Upload:
    """An uploaded photo, read only when it is decoded; never a named file on disk."""

    def __init__(self, part: UploadFile) -> None:
        """Take the content from the form part, because the form closes its files early."""
        name = PurePosixPath((part.filename or "").replace("\\", "/")).name
        self.name = name[-100:] or "photo"
        self._file, part.file = part.file, io.BytesIO()

    def read(self) -> bytes:
        """Return the whole content."""
        self._file.seek(0)
        return self._file.read()

    def close(self) -> None:
        """Delete the content."""
        self._file.close()


@dataclass(frozen=True)
class LocateOptions:
    """The options of a `locate` or `batch` request."""

    geolocator: Geolocator
    top: int
    within: str | None
    together: bool
    asked: WitnessOptions = BY_DEFAULT
    """Which witnesses are asked about the photos."""

    def locator(self) -> Geolocator:
        """Return the geolocator with these witnesses.

        Raises:
            WitnessError: the stated shadow is not understood, or lacks its time.
        """
        if self.asked == BY_DEFAULT:
            return self.geolocator
        return self.geolocator.with_witnesses(self.asked.witnesses(self.geolocator.cells))


class Service:
    """The geolocators of a server and the work it has accepted."""

    def __init__(
        self,
        geolocators: Mapping[str, Geolocator],
        limits: Limits,
        blur_location: Callable[[Guess], Guess],
    ) -> None:
        """Start a service.

        Args:
            geolocators: by bundle name; the first one is the default.
            limits: limits of requests.
            blur_location: applied to every guess; see `demo.security.precision`.
        """
        self.geolocators, self.limits = dict(geolocators), limits
        self._blur_location = blur_location
        self.jobs: Jobs[Answer] = Jobs(limits.batches, limits.keep_s)
        self.stopping = False
        self._active = 0
        self._threads = ThreadPoolExecutor(limits.requests, thread_name_prefix="answer")

    @property
    def idle(self) -> bool:
        """Whether all accepted requests are answered and all batch results fetched."""
        return not self._active and not self.jobs.unfetched

    @property
    def unfinished(self) -> str:
        """The work that a stopping server waits for, in words."""
        batches = self.jobs.unfetched
        counts = []
        if self._active:
            counts.append(f"{self._active} request{'s' * (self._active > 1)}")
        if batches:
            counts.append(f"{batches} batch{'es' * (batches > 1)} to be finished and fetched")
        return " and ".join(counts)

    def options(self, bundle: str | None, **values: Any) -> LocateOptions:  # noqa: ANN401
        """Return the options for the bundle of this name, or for the default bundle.

        Raises:
            HTTPException: 422, there is no such bundle.
        """
        name = bundle or next(iter(self.geolocators))
        if name not in self.geolocators:
            available = ", ".join(self.geolocators)
            raise HTTPException(422, f"bundle: {name!r} is not served here; choose {available}")
        return LocateOptions(self.geolocators[name], **values)

    async def locate(self, uploads: Sequence[Upload], options: LocateOptions) -> list[Answer]:
        """Answer photos at once.

        Raises:
            HTTPException: 503, the service is busy or the answer takes too long.
        """
        return await self._in_thread(lambda: list(self._answers(uploads, options)))

    async def batch(self, uploads: Sequence[Upload], options: LocateOptions) -> Job[Answer]:
        """Queue photos behind the accepted batches.

        Raises:
            ConstraintError, WitnessError: the constraint or the shadow is invalid.
            HTTPException: 503, too many batches.
        """
        options.asked.sun()
        await self._in_thread(lambda: options.geolocator.restrict(options.within))
        name = options.geolocator.bundle.name
        total = 1 if options.together else len(uploads)
        job = self.jobs.add(lambda: self._answers(uploads, options), total, name)
        if job is None:
            raise HTTPException(503, "too many batches are waiting; try again later", RETRY_SOON)
        return job

    async def expire_batches(self) -> None:
        """Delete expired batches periodically, until cancelled."""
        while True:
            await asyncio.sleep(EXPIRY_CHECK_S)
            self.jobs.expire()

    def close(self) -> None:
        """Finish accepted work, then stop the threads."""
        self.jobs.close()
        self._threads.shutdown()

    def _answers(self, uploads: Sequence[Upload], options: LocateOptions) -> Iterator[Answer]:
        arguments = options.top, options.within
        try:
            geolocator = options.locator()
            if options.together:
                guess = geolocator.locate_together(uploads, *arguments)  # type: ignore[arg-type]
                yield Answer(photo=guess.photo, guess=self._blur_location(guess))
                return
            guesses = geolocator.locate_many(uploads, *arguments)  # type: ignore[arg-type]
            for upload, guess_or_error in zip(uploads, guesses, strict=True):
                if isinstance(guess_or_error, PhotoError):
                    yield Answer(photo=upload.name, error=str(guess_or_error))
                else:
                    yield Answer(photo=upload.name, guess=self._blur_location(guess_or_error))
        finally:
            for upload in uploads:
                upload.close()

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        if self._active >= self.limits.requests:
            raise HTTPException(503, "too many requests; try again in a few seconds", RETRY_SOON)
        self._active += 1
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        future.add_done_callback(self._finished)
        try:
            return await asyncio.wait_for(asyncio.shield(future), self.limits.answer_s)
        except TimeoutError:
            late = f"no answer within {self.limits.answer_s:g} s"
            message = f"{late}; send fewer photos, or use /v1/batch"
            raise HTTPException(503, message, RETRY_SOON) from None

    def _finished(self, future: asyncio.Future[Any]) -> None:
        self._active -= 1
        if not future.cancelled():
            future.exception()  # mark it as retrieved: after a timeout nothing awaits it


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
