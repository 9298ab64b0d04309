"""A copy of the project to change and to test, and the suites of tests that are run in it."""

import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
CACHE = PROJECT / ".cache" / "mutation"
TREE = CACHE / "copy"
MEMORY = 8 * 2**30


@dataclass(frozen=True)
class Suite:
    """Tests that one command runs (tests/run.py), without a container engine."""

    name: str
    python: str
    folder: str
    arguments: list[str] = field(default_factory=list, hash=False)


SUITES = [
    Suite("modelhostctl", ".venv/bin/python", "tests/modelhostctl"),
    Suite("app", ".venv/bin/python", "tests/app", ["--ignore=tests/app/clients"]),
    Suite("clients", ".cache/libraries/bin/python", "tests/app/clients"),
    Suite("pack", ".cache/libraries/bin/python", "tests/pack"),
]


@dataclass(frozen=True)
class Ended:
    """How tests in the copy ended: each test's line, the one that did not end, and what pytest printed."""

    code: int
    tests: list[dict[str, object]]
    unfinished: str
    output: str

    @property
    def failed(self) -> str:
        """The first test that failed, hung or broke the process; empty if there is none."""
        found = next((str(one["test"]) for one in self.tests if one["failed"]), "")
        return found or self.unfinished or ("(collection)" if self.code not in (0, 5) else "")


def make_copy() -> None:
    """Copy what is tracked or new, as it is now; what has not changed is left, so that its bytecode is."""
    names = _files(PROJECT)
    if TREE.exists():
        for name in _files(TREE) - names:
            (TREE / name).unlink()
    for name in names:
        target = TREE / name
        if not target.exists() or target.read_bytes() != (PROJECT / name).read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, target)
    (TREE / ".cache").mkdir(exist_ok=True)
    for link in (".venv", ".cache/libraries"):
        with contextlib.suppress(FileExistsError):
            (TREE / link).symlink_to((PROJECT / link).resolve())
    subprocess.run(["git", "init", "--quiet"], cwd=TREE, check=True)  # tests ask git for the project's files


def _files(folder: Path) -> set[str]:
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = set(subprocess.check_output(listed, cwd=folder, text=True).split("\0")) - {""}
    return {name for name in names if (folder / name).is_file() and not (folder / name).is_symlink()}


def write(name: str, source: bytes) -> None:
    """Change a file of the copy. Bytecode is known by seconds and size, so each change gets a second of its own."""
    clock = CACHE / "seconds"
    seconds = int(clock.read_text()) + 1 if clock.exists() else 10**9
    clock.write_text(str(seconds))
    (TREE / name).write_bytes(source)
    os.utime(TREE / name, (seconds, seconds))


def run(suite: Suite, order: dict[str, object], timeout: float, *options: str) -> Ended:
    """Run tests of a suite in the copy; whatever they start ends with them."""
    with tempfile.TemporaryDirectory(prefix="mu") as folder:
        ended = Path(folder) / "ended"
        (Path(folder) / "order").write_text(json.dumps({**order, "ended": str(ended)}))
        with (Path(folder) / "output").open("w+") as output:
            process = subprocess.Popen(
                [
                    *[TREE / suite.python, "-m", "pytest", "-q", "-p", "plugin", "--tb=short"],
                    *["-p", "no:cacheprovider", f"--basetemp={folder}/t", *suite.arguments, *options],
                ],
                cwd=TREE,
                env=_environment(folder),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
                start_new_session=True,
            )
            late = False
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                late = True
            finally:
                _end(process, folder)
            output.seek(0)
            printed = output.read()
        lines = [json.loads(line) for line in ended.read_text().splitlines()] if ended.exists() else []
        now = Path(f"{ended}.now")
        begun = now.read_text() if now.exists() else ""
        unfinished = begun if begun and begun not in {one["test"] for one in lines} else ""
        return Ended(process.returncode, lines, unfinished or ("(time)" if late else ""), printed)


def _environment(folder: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "PYTEST"))}
    return kept | {
        "PATH": f"{TREE / '.venv/bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(TREE / "tests" / "mutation"),
        "MUTATION_ORDER": f"{folder}/order",
        "NO_COLOR": "1",
        "PY_COLORS": "0",
    }


def _end(process: subprocess.Popen[bytes], folder: str) -> None:
    """End the tests and every process that they left: those of their group, and those that know their folder."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if f"MUTATION_ORDER={folder}/".encode() in (entry / "environ").read_bytes():
                os.kill(int(entry.name), signal.SIGKILL)
