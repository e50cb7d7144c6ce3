"""Answering what is uploaded: in threads, within limits, now or as a batch."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, TypeVar

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from demo.api.jobs import Job, Jobs
from demo.api.limits import Limits
from demo.api.models import Answer
from geoloc.errors import PhotoError
from geoloc.geolocator import Geolocator
from geoloc.guess import Guess

Result = TypeVar("Result")

SOON = {"Retry-After": "5"}
EXPIRY_CHECK_S = 10.0


class Upload:
    """A photo that came over the wire: read when it is decoded, and never a file with a name."""

    def __init__(self, part: UploadFile) -> None:
        """Take the content over from the form, which closes what is left in it."""
        given = PurePosixPath((part.filename or "").replace("\\", "/")).name
        self.name = given[-100:] or "photo"
        self._file, part.file = part.file, io.BytesIO()

    def read(self) -> bytes:
        """All of it."""
        self._file.seek(0)
        return self._file.read()

    def close(self) -> None:
        """Let go of it."""
        self._file.close()


@dataclass(frozen=True)
class Question:
    """What is asked about photos."""

    geolocator: Geolocator
    top: int
    within: str | None
    together: bool


class Service:
    """The geolocators of a server, and the work it has accepted."""

    def __init__(
        self,
        geolocators: Mapping[str, Geolocator],
        limits: Limits,
        coarse: Callable[[Guess], Guess],
    ) -> None:
        """Serve geolocators by name, the first one by default; `coarse` goes over every answer."""
        self.geolocators, self.limits, self.coarse = dict(geolocators), limits, coarse
        self.jobs: Jobs[Answer] = Jobs(limits.batches, limits.keep_s)
        self.stopping = False
        self._answering = 0
        self._threads = ThreadPoolExecutor(limits.requests, thread_name_prefix="answer")

    @property
    def idle(self) -> bool:
        """Whether nothing accepted is unanswered, or answered and not fetched."""
        return not self._answering and not self.jobs.awaited

    def question(self, bundle: str | None, **asked: Any) -> Question:  # noqa: ANN401
        """A question to the bundle of this name, or to the default one."""
        name = bundle or next(iter(self.geolocators))
        if name not in self.geolocators:
            known = ", ".join(self.geolocators)
            raise HTTPException(422, f"bundle: {name!r} is not served here; there is {known}")
        return Question(self.geolocators[name], **asked)

    async def locate(self, uploads: Sequence[Upload], question: Question) -> list[Answer]:
        """Answers to photos, as soon as possible."""
        return await self._in_thread(lambda: list(self._answers(uploads, question)))

    async def batch(self, uploads: Sequence[Upload], question: Question) -> Job[Answer]:
        """Accept photos to be answered after those of other batches."""
        await self._in_thread(lambda: question.geolocator.restrict(question.within))
        name = question.geolocator.bundle.name
        total = 1 if question.together else len(uploads)
        job = self.jobs.add(lambda: self._answers(uploads, question), total, name)
        if job is None:
            raise HTTPException(503, "too many batches are waiting; ask again later", SOON)
        return job

    async def forget_old_batches(self) -> None:
        """Delete what nobody fetched in time, for as long as the service runs."""
        while True:
            await asyncio.sleep(EXPIRY_CHECK_S)
            self.jobs.expire()

    def close(self) -> None:
        """Finish what was accepted, then stop."""
        self.jobs.close()
        self._threads.shutdown()

    def _answers(self, uploads: Sequence[Upload], question: Question) -> Iterator[Answer]:
        locator, asked = question.geolocator, (question.top, question.within)
        try:
            if question.together:
                guess = locator.locate_together(uploads, *asked)  # type: ignore[arg-type]
                yield Answer(photo=guess.photo, guess=self.coarse(guess))
                return
            for upload, found in zip(uploads, locator.locate_many(uploads, *asked), strict=True):  # type: ignore[arg-type]
                if isinstance(found, PhotoError):
                    yield Answer(photo=upload.name, error=str(found))
                else:
                    yield Answer(photo=upload.name, guess=self.coarse(found))
        finally:
            for upload in uploads:
                upload.close()

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        if self._answering >= self.limits.requests:
            raise HTTPException(503, "too many requests at once; ask again in some seconds", SOON)
        self._answering += 1
        answer = asyncio.get_running_loop().run_in_executor(self._threads, work)
        answer.add_done_callback(self._answered)
        try:
            return await asyncio.wait_for(asyncio.shield(answer), self.limits.answer_s)
        except TimeoutError:
            within = f"no answer within {self.limits.answer_s:g} s"
            raise HTTPException(503, f"{within}; send fewer photos or a batch", SOON) from None

    def _answered(self, answer: asyncio.Future[Any]) -> None:
        self._answering -= 1
        if not answer.cancelled():
            answer.exception()  # seen, though nobody may wait for it any more
