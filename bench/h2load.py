"""Load by h2load of nghttp2, which speaks HTTP/2, and so gRPC, and can ask by the clock. One request over and over.

A call of gRPC that fails has HTTP's status 200 as well, but no message. So where a number of requests is asked for,
all of them are waited for, and the bytes of their messages tell how many had the right one's length.
"""

import re
import subprocess
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from load import Load

WAYS = {
    "grpc": ["--header=content-type: application/grpc", "--header=te: trailers"],
    "http2": ["--header=content-type: application/json"],
    "http1": ["--h1", "--header=content-type: application/json"],
}


@dataclass(frozen=True)
class Log:
    """When each answered request began, and how long it took, in microseconds. Ten minutes have millions."""

    begun: "array[int]"
    took: "array[int]"


class H2load:
    """A run of h2load that has been started: for so many seconds, or until so many requests are answered."""

    def __init__(
        self,
        folder: Path,
        url: str,
        way: str,
        body: bytes,
        connections: int,
        *,
        seconds: int = 0,
        requests: int = 0,
        options: Sequence[str] = (),
        answer_bytes: int = 0,  # of a right answer's message, where nothing else tells it from a failure
    ) -> None:
        file, self.log = folder / "body", folder / "h2load.log"
        file.write_bytes(body)
        self.log.unlink(missing_ok=True)  # h2load writes behind what is there
        self.answer_bytes = answer_bytes
        much = f"--requests={requests}" if requests else f"--duration={seconds}"
        command = ["h2load", "-t1", f"-c{connections}", much, f"--data={file}", f"--log-file={self.log}"]
        self.process = subprocess.Popen(
            [*command, *WAYS[way], *options, url], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def result(self) -> Load:
        """Wait for the end, and read what it says; raises RuntimeError where h2load did not run."""
        output = self.process.communicate()[0]
        return parse(output, self.read_log().took, self.answer_bytes)

    def read_log(self) -> Log:
        """What there is of it."""
        log = Log(array("q"), array("q"))
        if self.log.exists():
            with self.log.open() as lines:
                for begun, _, took in map(str.split, lines):
                    log.begun.append(int(begun))
                    log.took.append(int(took))
        return log


def parse(output: str, latencies: Sequence[int], answer_bytes: int = 0) -> Load:
    """Read h2load's output, and its log for latencies; raises RuntimeError with the output if figures are missing."""
    rate = re.search(r"^finished in .*, ([0-9.]+) req/s", output, re.MULTILINE)
    counts = re.search(r"^requests: (\d+) total, .* (\d+) succeeded, (\d+) failed", output, re.MULTILINE)
    data = re.search(r"\((\d+)\) data$", output, re.MULTILINE)
    if not rate or not counts or not data or not latencies:
        raise RuntimeError(f"h2load gave no figures: {output.strip()}")
    total, succeeded, failed = map(int, counts.groups())
    if answer_bytes:
        succeeded = min(succeeded, int(data[1]) // answer_bytes)
    took = sorted(latencies)
    return Load(
        total,
        float(rate[1]),
        at(took, 0.5),
        at(took, 0.99),
        took[-1] / 1000,
        max(total - succeeded, failed),
    )


def at(took: list[int], share: float) -> float:
    """A percentile of sorted microseconds, in ms."""
    return took[min(int(share * len(took)), len(took) - 1)] / 1000


def from_due(log: Log, rate: float, connections: int, leave_out: float = 1.0) -> list[int]:
    """Sorted latencies, in microseconds, from when each request was due where `rate` a second are.

    A client waits for its answer before it asks again, so one that a stalled server holds up asks late: what it waited
    counts too. When a request was due is told by the others: they come in rounds, one over each connection, and the
    round in which a connection's was most in time sets its clock. What begins in the first seconds, while clients
    connect, and in the last is left out.
    """
    order = sorted(range(len(log.begun)), key=log.begun.__getitem__)
    late = array("d", (log.begun[row] - number * 1e6 / rate for number, row in enumerate(order)))
    first, last = log.begun[order[0]] + leave_out * 1e6, log.begun[order[-1]] - leave_out * 1e6
    counted = [number for number, row in enumerate(order) if first <= log.begun[row] <= last]
    clocks = [float("inf")] * connections
    for number in counted:
        place = number % connections
        clocks[place] = min(late[number], clocks[place])
    return sorted(round(log.took[order[number]] + late[number] - clocks[number % connections]) for number in counted)
