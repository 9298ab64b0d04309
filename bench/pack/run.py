"""Train, pack and serve every case of the sets, ask the fresh rows, and write the figures into docs/.

Each result is kept in .cache/bench-pack/<set>/<case>.json and taken again while neither the packing code nor this
benchmark changes.

  make bench-pack                                         everything: hours on one core
  make bench-pack ARGS="--set pipelines --limit 40"       the first 40; writes nothing into docs/
  make bench-pack ARGS="--only pipelines:17 --verbose"    one case, whose files stay in .cache/bench-pack/
  make bench-pack ARGS="--again --set boosters"           those whose last result was not all rows equal
  make bench-pack ARGS="--page"                           write the pages from the results that there are
"""

import argparse
import hashlib
import importlib
import json
import multiprocessing
import os
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

from . import report, stages

PROJECT = Path(__file__).resolve().parents[2]
CACHE = PROJECT / ".cache" / "bench-pack"
SETS = {
    "pipelines": "pack.pipelines",
    "estimators": "pack.estimators",
    "onnx": "pack.onnx_set",
    "boosters": "pack.boosters",
}
SECONDS = {"train": 180, "pack": 300, "serve": 240, "alone": 300}
# Loaded once; each step of a case is a fork of the process that has them.
LOADED = ["pack.stages", "catboost", "lightgbm", "onnxmltools", "onnxruntime", "pandas", "skl2onnx", "sklearn.ensemble",
          "sklearn.linear_model", "sklearn.pipeline", "skops.io", "xgboost"]  # fmt: skip

Result = dict[str, Any]
processes = multiprocessing.get_context("forkserver")
printing = threading.Lock()


def main() -> int:
    """Run what is asked for; return 1 where a case was answered wrong."""
    wanted = arguments()
    # As the server has it; and a process that has threads cannot be forked.
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1",
                   "PYTHONPATH": os.pathsep.join([str(PROJECT / "app"), str(PROJECT / "bench")])}  # fmt: skip
    chosen = chosen_cases(wanted)
    processes.set_forkserver_preload([*LOADED, *(SETS[name] for name in chosen)])
    code = fingerprint()
    if not wanted.page:
        run_all(chosen, wanted, code)
    found = {name: [result for case in cases if (result := read(name, case))] for name, cases in chosen.items()}
    print(report.terminal(found, code, wanted.verbose))
    if wanted.page or not (wanted.set or wanted.only or wanted.limit):
        report.write(PROJECT / "docs", found)
        print("Written: docs/pack.md, docs/pack-refusals.md")
    return int(any(report.is_wrong(result) for results in found.values() for result in results))


def arguments() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", nargs="+", choices=SETS, metavar="SET", default=[], help=f"of: {', '.join(SETS)}")
    parser.add_argument("--only", nargs="+", metavar="SET:CASE", default=[], help="these cases, anew; their files stay")
    parser.add_argument("--limit", type=int, help="the first cases of each set; of pipelines also more than 200")
    parser.add_argument("--jobs", type=int, default=1, help="cases at a time")
    parser.add_argument("--again", action="store_true", help="run again what was not answered rightly in every row")
    parser.add_argument("--keep", action="store_true", help="take every result that there is, whatever has changed")
    parser.add_argument("--page", action="store_true", help="write the pages from the results that there are")
    parser.add_argument("--verbose", action="store_true", help="print of each case what it is and what differs")
    return parser.parse_args()


def chosen_cases(wanted: argparse.Namespace) -> dict[str, list[str]]:
    """The cases by set."""
    if wanted.only:
        found: dict[str, list[str]] = {}
        for text in wanted.only:
            name, _, case = text.partition(":")
            found.setdefault(name, []).append(case)
        return found
    modules = {name: module for name in wanted.set or SETS if (module := loaded(name))}
    return {name: list(module.cases(wanted.limit)) for name, module in modules.items()}


def loaded(name: str) -> ModuleType | None:
    """The module of a set, where all of it is there."""
    try:
        return importlib.import_module(SETS[name])
    except ImportError as error:
        print(f"The set {name} is left out: {error}")
        return None


def run_all(chosen: dict[str, list[str]], wanted: argparse.Namespace, code: str) -> None:
    """Run every case whose result is not there, some at a time; Ctrl-C ends with what there is."""
    todo = [(name, case) for name, cases in chosen.items() for case in cases if is_due(name, case, wanted, code)]
    counts: Counter[str] = Counter()

    def one(job: tuple[str, str]) -> None:
        result = run_case(*job, code, keep=bool(wanted.only))
        counts[report.kind_of(result)] += 1
        so_far = ", ".join(f"{kind} {number}" for kind, number in sorted(counts.items()))
        say(f"{sum(counts.values())}/{len(todo)} {report.line(result)} | {so_far}")
        if wanted.verbose:
            say(report.details(result))

    with ThreadPoolExecutor(wanted.jobs) as lanes:
        list(lanes.map(one, todo))


def is_due(name: str, case: str, wanted: argparse.Namespace, code: str) -> bool:
    """Whether a case has to run."""
    result = read(name, case)
    if result is None or wanted.only:
        return True
    if wanted.again:
        return report.kind_of(result) not in ("equal", "apart")
    return not wanted.keep and result["code"] != code


def run_case(name: str, case: str, code: str, keep: bool = False) -> Result:
    """One case from training to the last answer; the result is kept."""
    begun = time.monotonic()
    CACHE.mkdir(parents=True, exist_ok=True)
    if keep:
        directory = CACHE / name / file_name(case)
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
    else:
        directory = Path(tempfile.mkdtemp(prefix=".case-", dir=CACHE))
    try:
        found = steps(SETS[name], case, directory)
    finally:
        if not keep:
            shutil.rmtree(directory)
    result = {"set": name, "case": case, **found, "seconds": round(time.monotonic() - begun, 1), "code": code}
    path = CACHE / name / f"{file_name(case)}.json"
    path.parent.mkdir(exist_ok=True)
    path.with_suffix(".new").write_text(json.dumps(result, indent=1, default=str))
    path.with_suffix(".new").replace(path)
    return result


def steps(module: str, case: str, directory: Path) -> Result:
    """The steps until one fails; `status` is that of the last."""
    if hasattr(importlib.import_module(module), "run"):
        return {"status": "crashed", **stage("alone", directory, module, case)}
    trained = stage("train", directory, module, case)
    if "apart" in trained:
        return {"status": "apart", "sentence": trained["apart"]}
    if "model" not in trained:
        return {"status": "untrained", "sentence": sentence(trained)}
    result: Result = {"description": trained["description"]}
    packed = stage("pack", directory, trained["model"], trained["options"])
    if packed.get("code") != 0:
        refused = packed.get("code") == 1 and json.loads(packed["out"].splitlines()[-1]).get("error")
        return result | {"status": "refused" if refused else "crashed", "sentence": refused or sentence(packed)}
    told = json.loads(packed["out"].splitlines()[-1])
    result |= {key: told.get(key) for key in ("format", "conversion", "notes", "costs")}
    served = stage("serve", directory)
    if "equal" not in served:
        return result | {"status": "unserved", "sentence": sentence(served)}
    return result | {"status": "packed", "answers": served, "sentence": served["said"] or lacking(served)}


def lacking(served: Result) -> str:
    """What no output answers."""
    return f"no output answers as {' or '.join(served['lacks'])} does" if served["lacks"] else ""


def stage(name: str, directory: Path, *arguments: Any) -> Result:
    """What a step found; or how its process ended, without an answer in time or by a signal."""
    process = processes.Process(target=stages.in_process, args=(name, directory, *arguments))
    process.start()
    process.join(SECONDS[name])
    late = process.is_alive()
    end_group(process)
    found = directory / f"{name}.json"
    if late:
        return {"raised": f"no answer in {SECONDS[name]} s"}
    if not found.exists():
        return {"raised": f"the process ended with status {process.exitcode}"}
    read: Result = json.loads(found.read_text())
    return read


def end_group(process: Any) -> None:
    """End a step and whatever it has started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()  # it ended, or has not come to have a group of its own
    process.join()


def sentence(found: Result) -> str:
    """Why a step failed."""
    lines = [line for line in (found.get("err") or "").splitlines() if line.strip()]
    return found.get("raised") or f"exit code {found.get('code')}: {lines[-1] if lines else ''}"


def read(name: str, case: str) -> Result | None:
    """A result that is kept."""
    path = CACHE / name / f"{file_name(case)}.json"
    return json.loads(path.read_text()) if path.exists() else None


def file_name(case: str) -> str:
    """The case as part of a path."""
    return re.sub(r"[^\w.+=-]", "_", case)


def fingerprint() -> str:
    """Of the code whose results these are: the product's and the benchmark's."""
    digest = hashlib.sha256()
    for path in sorted([*(PROJECT / "app/modelhost").rglob("*.py"), *Path(__file__).parent.glob("*.py")]):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def say(words: str) -> None:
    """Print a line of progress, whole."""
    with printing:
        print(f"[{time.strftime('%H:%M:%S')}] {words}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
