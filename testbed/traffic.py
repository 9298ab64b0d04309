#!/usr/bin/env python3
"""A steady load of predictions, on pooled and on fresh connections, that counts every answer that is not right.

As a library: `with Load(url) as load: ...` and then load.report(). As a command it loads a URL for some seconds.
Each thread sends by the clock, not after the answer before: a server that stalls gets no rest, and the stall is seen.
"""

import argparse
import http.client
import json
import math
import ssl
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

MOST_FAILURES_TOLD = 5


@dataclass
class Load:
    """POSTs `body` to `url` until it is left; every answer must be 200 with `expected` in it."""

    url: str
    body: bytes = b'{"index": 2}'
    expected: bytes = b'"blue"'
    pooled: int = 2
    fresh: int = 2
    rate: float = 50.0  # requests a second of each thread
    timeout: float = 60.0
    headers: dict[str, str] = field(default_factory=dict)  # besides the content's type
    trusted: ssl.SSLContext | None = None  # for https: whom to trust; otherwise those that this machine does
    sent: int = 0
    failures: list[str] = field(default_factory=list)
    releases: Counter[str] = field(default_factory=Counter)
    last: dict[str, float] = field(default_factory=dict)  # when each release's last answer came, likewise
    good: list[float] = field(default_factory=list)  # when a right answer came, seconds of a monotonic clock
    waited: list[float] = field(default_factory=list)  # how many seconds each right answer took

    def __enter__(self) -> Self:
        self._begun = time.monotonic()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        kinds = [True] * self.pooled + [False] * self.fresh
        self._threads = [threading.Thread(target=self._post, args=(pooled,)) for pooled in kinds]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def report(self) -> dict[str, Any]:
        """Counts, the first failures, answers of each release, and the longest time without a right answer."""
        times = [self._begun, *sorted(self.good)]
        return {
            "sent": self.sent,
            "failed": len(self.failures),
            "failures": self.failures[:MOST_FAILURES_TOLD],
            "worst_gap_seconds": round(max((after - before for before, after in pairwise(times)), default=0.0), 3),
            "releases": dict(self.releases),
        }

    def p99(self) -> float:
        """How many seconds 99 of 100 right answers took at most; infinite where there was none."""
        return sorted(self.waited)[int(0.99 * (len(self.waited) - 1))] if self.waited else math.inf

    def _post(self, pooled: bool) -> None:
        address = urlsplit(self.url)
        connection: http.client.HTTPConnection | None = None
        due = time.monotonic()
        while not self._stopping.is_set():
            if connection is None or not pooled:
                connection = self._connection(address.scheme, address.netloc)
            asked = time.monotonic()
            problem, release = self._ask(connection, address.path or "/", pooled)
            with self._lock:
                self.sent += 1
                if problem:
                    self.failures.append(f"{time.monotonic() - self._begun:.2f} s: {problem}")
                else:
                    self.good.append(time.monotonic())
                    self.waited.append(self.good[-1] - asked)
                self.releases[release] += 1
                self.last[release] = time.monotonic()
            if problem or not pooled:
                connection.close()
                connection = None
            due += 1 / self.rate
            time.sleep(max(0.0, due - time.monotonic()))
        if connection is not None:
            connection.close()

    def _connection(self, scheme: str, netloc: str) -> http.client.HTTPConnection:
        if scheme == "https":
            return http.client.HTTPSConnection(netloc, timeout=self.timeout, context=self.trusted)
        return http.client.HTTPConnection(netloc, timeout=self.timeout)

    def _ask(self, connection: http.client.HTTPConnection, path: str, pooled: bool) -> tuple[str, str]:
        headers = {"Content-Type": "application/json"} | self.headers | ({} if pooled else {"Connection": "close"})
        try:
            connection.request("POST", path, self.body, headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            return f"{type(error).__name__}: {error} ({'pooled' if pooled else 'fresh'})", "none"
        release = answer.headers.get("X-Release", "none")
        if answer.status != 200 or self.expected not in text:
            return f"{answer.status} {text[:200].decode(errors='replace')}", release
        return "", release


def main() -> int:
    """Load a URL and print the report; the exit code tells whether all answers were right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="where to post, for example http://127.0.0.1/")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rate", type=float, default=50, help="requests a second of each of the threads (default 50)")
    parser.add_argument("--pooled", type=int, default=2, help="threads that keep their connection (default 2)")
    parser.add_argument("--fresh", type=int, default=2, help="threads that open one for each request (default 2)")
    arguments = parser.parse_args()
    with Load(arguments.url, pooled=arguments.pooled, fresh=arguments.fresh, rate=arguments.rate) as load:
        time.sleep(arguments.seconds)
    print(json.dumps(load.report(), indent=2))
    return 1 if load.failures else 0


if __name__ == "__main__":
    sys.exit(main())
