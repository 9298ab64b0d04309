"""What a bundle costs a worker: start, memory, and time for a row; asked of a process of its own (cost_process.py)."""

import json
import sys
from pathlib import Path
from typing import Any

from modelhost.bundle.lock_files import PYTHON, image_pins
from modelhost.bundle.manifest import label, read_manifest
from modelhost.packing.clean_environment import clean_environment
from modelhost.packing.errors import TrialError
from modelhost.packing.libraries import RUN_PYTHON
from modelhost.packing.server_image import differences, hint, installed, lock_texts, run_isolated

MEASURES = "modelhost.packing.cost_process"  # the module that such a process runs


def measure(directory: Path, clean: bool = False) -> dict[str, Any]:
    """load_ms, memory_mb, shared_mb, latency_p50_ms, latency_p99_ms, call_ms and image of the bundle in `directory`.

    memory_mb is what the model adds to each worker, shared_mb what its libraries take once for all.
    Latency is one row from JSON to JSON, without HTTP; call_ms has by rows what a call of the model
    takes (see batching.py). The process has what the server's image has and no more (see server_image.py),
    `clean` in an environment made for it; image describes it. Raises TrialError where the server
    would refuse the bundle, and BundleError where no trial can be made.
    """
    directory = Path(directory).absolute()
    texts = lock_texts(directory)
    pins = image_pins(texts)
    here = None if clean else installed(pins)
    python = clean_environment(texts) if clean else Path(sys.executable)
    code, out, said = run_isolated(python, MEASURES, directory, here)
    try:
        found: dict[str, Any] = json.loads(out.splitlines()[-1])
    except (IndexError, ValueError):
        last = (said.strip().splitlines() or ["without a message"])[-1]
        raise TrialError(f"{label(directory)}: the model ended its process with status {code} ({last})") from None
    if "refused" in found:
        instead = hint(found["missing"], pins, here) if here and found["missing"] else ""
        raise TrialError(found["refused"] + (f" ({instead})" if instead else ""), found["missing"])
    imported, version = found.pop("imported"), found.pop("python")
    differs = differences(pins, here, imported) if here else []
    runs_python = read_manifest(directory)[0].format in RUN_PYTHON
    if runs_python and version.rpartition(".")[0] != PYTHON:
        differs.append(f"Python is {version.rpartition('.')[0]} here and {PYTHON} there")
    image = {"clean": clean, "python": version, "differs": differs}
    return found | {"call_ms": {int(rows): took for rows, took in found["call_ms"].items()}, "image": image}
