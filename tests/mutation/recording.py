"""Which test runs which statement, and how long it takes: recorded once, and again for test files that have changed."""

import ast
import hashlib
import json
import struct
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import suites
from suites import CACHE, SUITES, TREE, Suite

FILE = CACHE / "coverage.json"
RECORD = TREE / "record"
PAIR = struct.Struct("<II")  # as recorder.py writes them
Statement = tuple[str, int]  # file, line


@dataclass(frozen=True)
class Coverage:
    """Seconds that each test takes, and the tests that run a statement."""

    seconds: dict[str, float]
    suites: dict[str, Suite]
    statements: dict[Statement, set[str]]

    def tests_of(self, file: str, line: int) -> set[str]:
        return self.statements.get((file, line), set())

    def tests_of_file(self, file: str) -> set[str]:
        """Those that run anything of the file: what is outside functions runs when it is imported."""
        return {test for (name, _), tests in self.statements.items() if name == file for test in tests}


def collect(files: dict[str, bytes]) -> Coverage:
    """What the tests of the copy run of these files."""
    known = json.loads(FILE.read_text()) if FILE.exists() else {}
    code = _digest(b"".join(files[name] for name in sorted(files)))
    current = {}
    for suite in SUITES:
        keys = {str(path.relative_to(TREE)): key for path, key in _test_files(suite, code)}
        stale = [name for name, key in keys.items() if known.get(name, {}).get("key") != key]
        if stale:
            print(f"recording what {len(stale)} files of {suite.folder} run", flush=True)
            for name, tests in _record(suite, stale, files).items():
                known[name] = {"key": keys[name], "tests": tests}
            FILE.write_text(json.dumps(known))
        current |= {name: (suite, known[name]["tests"]) for name in keys if name in known}
    return _index(current)


def _test_files(suite: Suite, code: str) -> list[tuple[Path, str]]:
    """Test files of a suite, with a digest of each, its helpers and the code."""
    left_out = {TREE / word.removeprefix("--ignore=") for word in suite.arguments}
    paths = [path for path in sorted((TREE / suite.folder).rglob("*.py")) if not left_out & set(path.parents)]
    helpers = b"".join(path.read_bytes() for path in paths if not path.name.startswith("test_"))
    tests = [path for path in paths if path.name.startswith("test_")]
    return [(path, _digest(code.encode() + helpers + path.read_bytes())) for path in tests]


def _record(suite: Suite, names: list[str], files: dict[str, bytes]) -> dict[str, list[dict[str, object]]]:
    """Run these test files over instrumented code; returns for each its tests, with what they run."""
    numbers = dict(enumerate(sorted(files)))
    RECORD.mkdir(exist_ok=True)
    (RECORD / "now").write_bytes(bytes(4))
    (RECORD / "pairs").write_bytes(b"")
    try:
        for number, name in numbers.items():
            suites.write(name, instrument(files[name], number))
        ended = suites.run(suite, {"record": str(RECORD)}, 3600, *names)
    finally:
        for name, source in files.items():
            suites.write(name, source)
    if ended.code not in (0, 1):
        sys.exit(f"{suite.folder} cannot be run:\n{ended.output}")
    ran: dict[int, set[tuple[str, int]]] = defaultdict(set)
    for test, place in PAIR.iter_unpack((RECORD / "pairs").read_bytes()):
        ran[test].add((numbers[place >> 16], place & 0xFFFF))
    found: dict[str, list[dict[str, object]]] = {name: [] for name in names}
    for one in ended.tests:
        statements = sorted(set().union(*(ran[number] for number in one["numbers"])))  # type: ignore[attr-defined]
        found[str(one["test"]).split("::")[0]].append({**one, "statements": statements})
    print(f"  {ended.output.splitlines()[-1]}", flush=True)
    return found


def _index(current: dict[str, tuple[Suite, list[dict[str, object]]]]) -> Coverage:
    seconds, owners, statements = {}, {}, defaultdict(set)
    for suite, tests in current.values():
        for one in tests:
            name = str(one["test"])
            seconds[name], owners[name] = float(str(one["seconds"])), suite
            for file, line in one["statements"]:  # type: ignore[attr-defined]
                statements[file, line].add(name)
    return Coverage(seconds, owners, statements)


def instrument(source: bytes, number: int) -> bytes:
    """The file with a call before each statement that says that it runs."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            statements = getattr(node, name, None)
            if isinstance(statements, list) and statements and isinstance(statements[0], ast.stmt):
                setattr(node, name, [new for one in statements for new in _announced(one, number)])
    first = next((index for index, one in enumerate(tree.body) if not _must_stand_first(one)), len(tree.body))
    recorder = TREE / "tests" / "mutation"
    header = f"import sys as __sys\n__sys.path.append({str(recorder)!r})\nfrom recorder import hit as __hit__\n"
    tree.body[first:first] = ast.parse(header).body
    return ast.unparse(ast.fix_missing_locations(tree)).encode()


def _announced(statement: ast.stmt, number: int) -> list[ast.stmt]:
    if _must_stand_first(statement):
        return [statement]
    place = ast.Constant(number << 16 | statement.lineno)
    return [ast.Expr(ast.Call(ast.Name("__hit__", ast.Load()), [place], [])), statement]


def _must_stand_first(statement: ast.stmt) -> bool:
    """A docstring, and imports from the future."""
    if isinstance(statement, ast.ImportFrom):
        return statement.module == "__future__"
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
