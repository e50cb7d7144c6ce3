"""Request handling behind the routes: worker threads and batches."""

from __future__ import annotations

import asyncio
import io
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterator,
    Mapping,
    Sequence,
)
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePosixPath
from typing import Any, TypeVar

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from demo.api.jobs import Job, Jobs
from demo.api.limits import RETRY_SOON, Limits
from demo.api.models import Answer
from demo.security.precision import blur_location
from geoloc.belief.witnesses.options import BY_DEFAULT, WitnessOptions
from geoloc.encoders.pipeline import encode_all
from geoloc.errors import PhotoError
from geoloc.geolocator import Geolocator, Within
from geoloc.guess import Guess
from geoloc.output.similar import with_thumbnails

Result = TypeVar("Result")

EXPIRY_CHECK_S = 10.0


class Upload:
    """An uploaded photo, read only when it is decoded; never a named file on disk."""

    def __init__(self, part: UploadFile) -> None:
        """Take the content from the form part, because the form closes its files early."""
        name = PurePosixPath((part.filename or "").replace("\\", "/")).name
        self.name = name[-100:] or "photo"
        self.size = part.size or 0
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
    within: Within
    together: bool
    thumbnails: bool = False
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
        self, geolocators: Mapping[str, Geolocator], limits: Limits, max_precision_km: float = 0.0
    ) -> None:
        """Start a service.

        Args:
            geolocators: by bundle name; the first one is the default.
            limits: limits of requests.
            max_precision_km: of every answer; see `demo.security.precision`.
        """
        self.geolocators, self.limits = dict(geolocators), limits
        self._max_precision_km = max_precision_km
        self.jobs: Jobs[Answer] = Jobs(limits.batches, limits.queued_mb * 10**6, limits.keep_s)
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

    def options(self, bundle: str | None, asked: WitnessOptions, **values: Any) -> LocateOptions:  # noqa: ANN401
        """Return the options for the bundle of this name, or for the default bundle.

        Raises:
            HTTPException: 422, there is no such bundle, or precision is limited and evidence other
                than the picture was asked for.
        """
        name = bundle or next(iter(self.geolocators))
        if name not in self.geolocators:
            available = ", ".join(self.geolocators)
            raise HTTPException(422, f"bundle: {name!r} is not served here; choose {available}")
        if self._max_precision_km and asked != BY_DEFAULT:
            raise HTTPException(
                422,
                f"this server gives places no more precisely than {self._max_precision_km:g} km,"
                " from the picture alone; leave out use_metadata, read_text, use_overlays, shadow"
                " and time",
            )
        return LocateOptions(self.geolocators[name], asked=asked, **values)

    async def locate(self, uploads: Sequence[Upload], options: LocateOptions) -> list[Answer]:
        """Answer photos at once.

        Raises:
            HTTPException: 503, the service is busy or the answer takes too long.
        """
        return await self._in_time(self._start(lambda: list(self._answers(uploads, options))))

    async def stream(
        self, uploads: Sequence[Upload], options: LocateOptions
    ) -> AsyncIterator[Answer]:
        """Answer many photos, and yield each answer as soon as it is made.

        When the caller stops, the work stops after its current answer.

        Raises:
            GeolocError: the options are invalid; before the first answer.
            HTTPException: 503, as for `locate`; the time is that until the next answer.
        """
        options = await self._checked(options)
        loop, queue = asyncio.get_running_loop(), asyncio.Queue[Answer | None]()
        stopped = False

        def work() -> None:
            answers = self._answers(uploads, options)
            try:
                for answer in answers:
                    loop.call_soon_threadsafe(queue.put_nowait, answer)
                    if stopped:
                        return
            finally:
                answers.close()
                loop.call_soon_threadsafe(queue.put_nowait, None)

        working = self._start(work)
        try:
            while (answer := await self._in_time(queue.get())) is not None:
                yield answer
            await working
        finally:
            stopped = True

    async def batch(
        self, uploads: Sequence[Upload], options: LocateOptions, client: str
    ) -> Job[Answer]:
        """Queue photos behind the accepted batches.

        Args:
            uploads: the photos.
            options: of their answers.
            client: address of the client, whose batches are limited.

        Raises:
            ConstraintError, WitnessError: the constraint or the shadow is invalid.
            HTTPException: 503, too many batches.
        """
        options = await self._checked(options)
        job = Job(
            lambda: self._answers(uploads, options),
            total=1 if options.together else len(uploads),
            bundle=options.geolocator.bundle.name,
            client=client,
            size=sum(upload.size for upload in uploads),
        )
        if refusal := self.jobs.add(job):
            raise HTTPException(503, refusal, RETRY_SOON)
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

    async def _checked(self, options: LocateOptions) -> LocateOptions:
        """Return the options with their constraint evaluated; raise the error of invalid ones."""
        options.asked.sun()
        evaluate = partial(options.geolocator.restrict, options.within)
        return replace(options, within=await self._in_time(self._start(evaluate)))

    def _answers(
        self, uploads: Sequence[Upload], options: LocateOptions
    ) -> Generator[Answer, None, None]:
        try:
            geolocator = options.locator()
            if options.together:
                yield from self._answer_together(uploads, geolocator, options)
                return
            guesses = geolocator.locate_many(uploads, options.top, options.within)  # type: ignore[arg-type]
            for upload, guess_or_error in zip(uploads, guesses, strict=True):
                if isinstance(guess_or_error, PhotoError):
                    yield Answer(photo=upload.name, error=str(guess_or_error))
                else:
                    yield Answer(photo=upload.name, guess=self._shown(guess_or_error, options))
        finally:
            for upload in uploads:
                upload.close()

    def _answer_together(
        self, uploads: Sequence[Upload], geolocator: Geolocator, options: LocateOptions
    ) -> Iterator[Answer]:
        """Yield the answer for the readable photos, and the error of each unreadable one."""
        constraint = geolocator.restrict(options.within)
        encoded = encode_all(geolocator.encoder, uploads, load=geolocator.read)
        if encoded.photos:
            groups = [encoded.photos]
            guesses = geolocator.guess_together(encoded.embeddings, groups, options.top, constraint)
            yield Answer(photo=guesses[0].photo, guess=self._shown(guesses[0], options))
        for upload, result in zip(uploads, encoded.results, strict=True):
            if isinstance(result, PhotoError):
                yield Answer(photo=upload.name, error=str(result))

    def _shown(self, guess: Guess, options: LocateOptions) -> Guess:
        """Return what a client may see of an answer: a limit of precision leaves no neighbours."""
        coarse = blur_location(guess, self._max_precision_km)
        stored = options.geolocator.bundle.thumbnails if options.thumbnails else None
        return with_thumbnails(stored, coarse)

    def _start(self, work: Callable[[], Result]) -> asyncio.Future[Result]:
        """Run work on a thread.

        Raises:
            HTTPException: 503, too many requests are being answered.
        """
        if self._active >= self.limits.requests:
            raise HTTPException(503, "too many requests; try again in a few seconds", RETRY_SOON)
        self._active += 1
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        future.add_done_callback(self._finished)
        return future

    async def _in_time(self, work: Awaitable[Result]) -> Result:
        """Return the result of work that goes on when it is late: HTTPException 503 then."""
        try:
            return await asyncio.wait_for(asyncio.shield(work), self.limits.answer_s)
        except TimeoutError:
            late = f"no answer within {self.limits.answer_s:g} s"
            message = f"{late}; send fewer photos, or use /v1/batch"
            raise HTTPException(503, message, RETRY_SOON) from None

    def _finished(self, future: asyncio.Future[Any]) -> None:
        self._active -= 1
        if not future.cancelled():
            future.exception()  # mark it as retrieved: after a timeout nothing awaits it
