"""Clients that ask by the clock: a question is due at its time whatever became of those before it.

So a server that stalls gets no rest, and each second of the stall is seen by all who would have asked in it. Half of
the questions go over connections that are kept, half over one of their own.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from questions import Question, questions

# Longer than nginx waits for the app, so that the error told is the server's.
TIMEOUT_SECONDS = 20.0

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Asked:
    """One question and what became of it; times are of a monotonic clock. `ended` is 0 while it is under way."""

    question: Question
    pooled: bool
    due: float
    sent: float = 0.0
    ended: float = 0.0
    problem: str = ""
    release: str = ""

    @property
    def good(self) -> bool:
        """Whether it was answered, and right."""
        return self.ended > 0 and not self.problem


@dataclass
class Clients:
    """Asks `url` at `rate` questions a second until it is left; all that were sent are then waited for."""

    url: str
    rate: float
    asked: list[Asked] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.begun = time.monotonic()
        self._stopping = False
        self._kept: deque[Connection] = deque()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._ask_by_the_clock()))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping = True
        self.ended = time.monotonic()
        self._thread.join()

    def under_way(self, first: float, last: float) -> list[Asked]:
        """Those that waited for their answer at any moment between these."""
        return [
            asked for asked in list(self.asked) if 0 < asked.sent <= last and (not asked.ended or asked.ended >= first)
        ]

    def failures(self) -> list[Asked]:
        """Those that were answered wrong or not at all."""
        return [asked for asked in list(self.asked) if asked.problem]

    def good_times(self) -> list[float]:
        """When each right answer came, in order."""
        return sorted(asked.ended for asked in list(self.asked) if asked.good)

    def worst_gap(self) -> float:
        """The longest time without a right answer while they asked, in seconds."""
        times = [self.begun, *(moment for moment in self.good_times() if moment < self.ended), self.ended]
        return max((after - before for before, after in pairwise(times)), default=0.0)

    def late(self) -> float:
        """The most seconds that a question left after it was due: what this side is to blame for."""
        return max((asked.sent - asked.due for asked in self.asked if asked.sent), default=0.0)

    def releases(self) -> set[str]:
        """The releases that answered."""
        return {asked.release for asked in self.asked if asked.good}

    async def _ask_by_the_clock(self) -> None:
        due, tasks = time.monotonic(), set()
        for number, question in enumerate(self._questions()):
            # Two kept, two fresh: both kinds ask every kind of question.
            asked = Asked(question, pooled=number % 4 < 2, due=due)
            self.asked.append(asked)
            task = asyncio.create_task(self._ask(asked))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            due += 1 / self.rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        await asyncio.gather(*tasks)
        for _, writer in self._kept:
            writer.close()

    def _questions(self) -> Iterator[Question]:
        for question in questions(self.rate):
            if self._stopping:
                return
            yield question

    async def _ask(self, asked: Asked) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                asked.problem = await self._exchange(asked)
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            kind = "kept" if asked.pooled else "fresh"
            asked.problem = f"{type(error).__name__} on a {kind} connection: {error}"
        asked.ended = time.monotonic()

    async def _exchange(self, asked: Asked) -> str:
        """Send a question and read its answer; returns what is wrong with it."""
        reader, writer = await self._connection(asked.pooled)
        keep = False
        try:
            asked.sent = time.monotonic()
            writer.write(self._request(asked))
            status, headers, text = await _read(reader)
            asked.release = headers.get("x-release", "")
            keep = asked.pooled and headers.get("connection", "") != "close"
            if keep:
                self._kept.append((reader, writer))
        finally:
            if not keep:
                writer.close()
        return asked.question.judge(status, text)

    async def _connection(self, pooled: bool) -> Connection:
        """One that is kept, if its server has not closed it meanwhile; otherwise a new one."""
        while pooled and self._kept:
            reader, writer = self._kept.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        address = urlsplit(self.url)
        return await asyncio.open_connection(address.hostname, address.port or 80)

    def _request(self, asked: Asked) -> bytes:
        question = asked.question
        lines = [
            f"POST {question.path} HTTP/1.1",
            f"Host: {urlsplit(self.url).netloc}",
            "Content-Type: application/json",
            f"Content-Length: {len(question.body)}",
            *([] if asked.pooled else ["Connection: close"]),
        ]
        return "\r\n".join([*lines, "", ""]).encode() + question.body


async def _read(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """Read an answer with a length: status, headers in lower case, body. Raises ValueError where it is none."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    words = first.split()
    if len(words) < 2 or not words[1].isdigit() or "content-length" not in headers:
        raise ValueError(f"an answer that cannot be read: {first[:80]}")
    return int(words[1]), headers, await reader.readexactly(int(headers["content-length"]))
