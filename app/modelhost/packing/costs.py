"""What a bundle costs a worker: start, memory, and time for a row; in a process of its own."""

import itertools
import json
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modelhost.bundle.bundle import read_bundle
from modelhost.bundle.lock_files import PYTHON, image_pins
from modelhost.bundle.manifest import BundleError, label, read_manifest
from modelhost.packing.batching import time_calls
from modelhost.packing.clean_environment import clean_environment
from modelhost.packing.image import differences, hint, installed, lock_texts, run_isolated

CALLS, SECONDS = 1000, 0.3  # whichever comes first
SHARED_CALLS, SHARED_SECONDS = 50, 0.1  # likewise, for each number of rows


def measure(directory: Path, clean: bool = False) -> dict[str, Any]:
    """load_ms, memory_mb, shared_mb, latency_p50_ms, latency_p99_ms, call_ms and image of the bundle in `directory`.

    memory_mb is what the model adds to each worker, shared_mb what its libraries take once for all.
    Latency is one row from JSON to JSON, without HTTP; call_ms has by rows what a call of the model
    takes (see batching.py). The process has what the server's image has and no more (see image.py),
    `clean` in an environment made for it; image tells of it. Raises BundleError where the server
    would refuse the bundle.
    """
    directory = Path(directory).absolute()
    texts = lock_texts(directory)
    pins = image_pins(texts)
    here = None if clean else installed(pins)
    python = clean_environment(texts) if clean else Path(sys.executable)
    code, out, said = run_isolated(python, "modelhost.packing.costs", directory, here)
    try:
        told: dict[str, Any] = json.loads(out.splitlines()[-1])
    except (IndexError, ValueError):
        last = (said.strip().splitlines() or ["it said nothing"])[-1]
        told = {"refused": f"{label(directory)}: the model ended its process with status {code} ({last})"}
    if "refused" in told:
        instead = hint(told["refused"], pins, here) if here else ""
        raise BundleError(told["refused"] + (f" ({instead})" if instead else ""))
    imported, version = told.pop("imported"), told.pop("python")
    differs = differences(pins, here, imported) if here else []
    runs_python = read_manifest(directory)[0].format in ("python", "pickle")
    if runs_python and version.rpartition(".")[0] != PYTHON:
        differs.append(f"Python is {version.rpartition('.')[0]} here and {PYTHON} there")
    image = {"clean": clean, "python": version, "differs": differs}
    return told | {"call_ms": {int(rows): took for rows, took in told["call_ms"].items()}, "image": image}


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
    import orjson

    from modelhost.models.memory import private_mb
    from modelhost.models.model import Model
    from modelhost.models.runtimes import import_for, runtime_class
    from modelhost.payload.contents import own_copies
    from modelhost.payload.datatypes import cycled, grouped, stack
    from modelhost.payload.records import read_record

    bundle = read_bundle(directory)
    bare = private_mb()
    import_for(directory, bundle.manifest)  # before the fork: once for all workers, and all its models
    runtime_class(bundle)
    before, start = private_mb(), time.perf_counter()
    model = Model.load(bundle)
    load_ms = (time.perf_counter() - start) * 1e3

    bodies = itertools.cycle([orjson.dumps(example.inputs) for example in bundle.examples])

    def answer() -> bytes:
        record = orjson.loads(next(bodies))
        rows = model.rows(model.predict(read_record(model.inputs, record)))
        return orjson.dumps(rows, option=orjson.OPT_SERIALIZE_NUMPY)

    took = seconds_per_call(answer)
    read = [read_record(model.inputs, example.inputs) for example in bundle.examples]
    one_row = bundle.manifest.rows == "one"  # answers of two rows need not be of one size
    examples = read[0] if one_row else stack([read[place] for place in max(grouped(read), key=len)])

    def call_ms(rows: int) -> float:
        batch = cycled(examples, rows)
        took = seconds_per_call(lambda: model.predict(own_copies(batch)), SHARED_CALLS, SHARED_SECONDS, least=5)
        return took[len(took) // 2] * 1e3

    return {
        "load_ms": load_ms,
        "memory_mb": max(0.0, private_mb() - before),
        "shared_mb": max(0.0, before - bare),
        "latency_p50_ms": took[len(took) // 2] * 1e3,
        "latency_p99_ms": took[int(len(took) * 0.99)] * 1e3,
        "call_ms": time_calls(call_ms),
        "python": platform.python_version(),
        "imported": sorted({name.partition(".")[0] for name in sys.modules}),
    }


if __name__ == "__main__":
    try:
        found: dict[str, Any] = dict(_costs(Path(sys.argv[1])))
    except BundleError as error:
        found = {"refused": str(error)}
    print(json.dumps(found))  # on a line of its own: the model may have printed too
