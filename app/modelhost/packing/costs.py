"""What a bundle costs a worker: start, memory, and time for a row; in a process of its own."""

import itertools
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modelhost.bundle.bundle import read_bundle
from modelhost.bundle.manifest import BundleError, label
from modelhost.packing.batching import time_calls

CALLS, SECONDS = 1000, 0.3  # whichever comes first
SHARED_CALLS, SHARED_SECONDS = 50, 0.1  # likewise, for each number of rows


def measure(directory: Path) -> dict[str, Any]:
    """load_ms, memory_mb, latency_p50_ms, latency_p99_ms and call_ms of the bundle in `directory`.

    Memory is what the model adds to a process that has its library. Latency is one row from
    JSON to JSON, without HTTP; call_ms has by rows what a call of the model takes (see batching.py).
    Raises BundleError where the server would refuse the bundle.
    """
    command = [sys.executable, "-m", "modelhost.packing.costs", str(Path(directory).absolute())]
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # as gunicorn_conf.py has it
    ended = subprocess.run(command, env={**os.environ, **one_thread}, capture_output=True, text=True, check=False)
    try:
        told: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        last = (ended.stderr.strip().splitlines() or ["it said nothing"])[-1]
        problem = f"the model ended its process with status {ended.returncode} ({last})"
        raise BundleError(f"{label(Path(directory).absolute())}: {problem}") from None
    if "refused" in told:
        raise BundleError(told["refused"])
    return told | {"call_ms": {int(rows): took for rows, took in told["call_ms"].items()}}


def seconds_per_call(
    call: Callable[[], object], calls: int = CALLS, seconds: float = SECONDS, least: int = 10
) -> list[float]:
    """The sorted durations of at least `least` and at most `calls` calls, until `seconds` have passed."""
    took: list[float] = []
    end = time.perf_counter() + seconds
    while len(took) < least or (len(took) < calls and time.perf_counter() < end):
        start = time.perf_counter()
        call()
        took.append(time.perf_counter() - start)
    return sorted(took)


def _costs(directory: Path) -> dict[str, Any]:
    import numpy as np
    import orjson

    from modelhost.models.model import Model
    from modelhost.models.runtimes import runtime_class
    from modelhost.payload.datatypes import grouped, stack
    from modelhost.payload.records import read_record

    bundle = read_bundle(directory)
    runtime_class(bundle)  # a library is loaded once for all its models
    before, start = _resident_mb(), time.perf_counter()
    model = Model.load(bundle)
    load_ms = (time.perf_counter() - start) * 1e3

    bodies = itertools.cycle([orjson.dumps(example.inputs) for example in bundle.examples])

    def answer() -> bytes:
        record = orjson.loads(next(bodies))
        rows = model.rows(model.predict(read_record(model.inputs, record)))
        return orjson.dumps(rows, option=orjson.OPT_SERIALIZE_NUMPY)

    took = seconds_per_call(answer)
    read = [read_record(model.inputs, example.inputs) for example in bundle.examples]
    examples = stack([read[place] for place in max(grouped(read), key=len)])  # of one size

    def call_ms(rows: int) -> float:
        batch = {name: array[np.arange(rows) % len(array)] for name, array in examples.items()}
        took = seconds_per_call(lambda: model.predict(batch), SHARED_CALLS, SHARED_SECONDS, least=5)
        return took[len(took) // 2] * 1e3

    return {
        "load_ms": load_ms,
        "memory_mb": max(0.0, _resident_mb() - before),
        "latency_p50_ms": took[len(took) // 2] * 1e3,
        "latency_p99_ms": took[int(len(took) * 0.99)] * 1e3,
        "call_ms": time_calls(call_ms),
    }


def _resident_mb() -> float:
    try:
        fields = Path("/proc/self/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except OSError:  # not Linux: the most it ever was
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    try:
        found: dict[str, Any] = dict(_costs(Path(sys.argv[1])))
    except BundleError as error:
        found = {"refused": str(error)}
    print(json.dumps(found))  # on a line of its own: the model may have printed too
