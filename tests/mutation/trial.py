"""Try one change: run the tests that run its line, those that are likely to notice it first, until one fails."""

import ast
import hashlib
import json
import os
import sys
from collections import Counter
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

import suites
from mutants import Mutant
from recording import Coverage
from suites import CACHE, SUITES, TREE, Suite

FILE = CACHE / "results.jsonl"
# Above this load, tests that measure time may fail though nothing is wrong.
BUSY = 4.0


@dataclass(frozen=True)
class Result:
    """What became of a change. `tried` are digests of tests: of the one that noticed it, or of all that did not."""

    key: str
    noticed: str
    tried: list[str] = field(default_factory=list)


class Trials:
    """Tries changes in the copy. What was noticed stays so, and what was not is tried by new and changed tests."""

    def __init__(self, files: dict[str, bytes], coverage: Coverage, enough: float) -> None:
        """`enough`: seconds of tests that a change gets at most in each suite, as they take without it."""
        self.files, self.coverage, self.enough = files, coverage, enough
        self._results: dict[str, Result] = {}
        if FILE.exists():
            kept = [Result(**json.loads(line)) for line in FILE.read_text().splitlines()]
            self._results = {one.key: one for one in kept}
        self._noticed_by: Counter[tuple[str, str]] = Counter()  # (file of the change, test)
        self._sound: dict[str, bool] = {}

    def result(self, mutant: Mutant) -> Result:
        """Try it, if there is a test that has not tried it yet."""
        known = self._results.get(self._key(mutant))
        if known and known.noticed and known.tried == [digest(known.noticed)]:
            return known
        tests = self.tests(mutant)
        tried = set(known.tried) if known and not known.noticed else set()
        new = [name for name in tests if with_helpers(name) not in tried]
        if known and not known.noticed and not new:
            return known
        noticed, ran = self._try(mutant, new)
        if noticed:
            self._noticed_by[mutant.file, noticed] += 1
        proof = [digest(noticed)] if noticed else sorted({*tried, *map(with_helpers, ran)})
        result = Result(self._key(mutant), noticed, proof)
        self._results[result.key] = result
        with FILE.open("a") as file:
            file.write(json.dumps(asdict(result)) + "\n")
        return result

    def tests(self, mutant: Mutant) -> list[str]:
        """The tests that run its statement; of what is outside functions, all that run anything of the file.

        And those that stand beside these: a constant, or the default of a dataclass, is read without a statement.
        """
        found = self.coverage.tests_of(mutant.file, mutant.statement)
        if mutant.at_import:
            beside = {name.split("::")[0] for name in self.coverage.tests_of_file(mutant.file)}
            found = {name for name in self.coverage.seconds if name.split("::")[0] in beside}
        return sorted(found)

    def _try(self, mutant: Mutant, tests: list[str]) -> tuple[str, list[str]]:
        """Which test has noticed it, if any, and which were to run."""
        suites.write(mutant.file, mutant.apply(self.files[mutant.file]))
        ran: list[str] = []
        try:
            for suite in SUITES:
                limits = self._limits(suite, tests, mutant)
                ran += [name for name, _ in limits]
                if noticed := self._first_failure(suite, limits, mutant):
                    return noticed, ran
        finally:
            suites.write(mutant.file, self.files[mutant.file])
        return "", ran

    def _first_failure(self, suite: Suite, limits: list[tuple[str, float]], mutant: Mutant) -> str:
        """The first of these tests that fails, though without the change it passes."""
        while limits:
            files = list(dict.fromkeys(name.split("::")[0] for name, _ in limits))
            ended = suites.run(suite, {"tests": limits}, sum(seconds for _, seconds in limits), "-x", *files)
            failed = ended.failed
            if not failed:
                return ""
            # What breaks before any test, such as an import, is proven by the first one.
            test = limits[0][0] if failed.startswith("(") else failed
            if self._passes_unchanged(suite, test, mutant) and self._fails_again(suite, test):
                return test
            if failed.startswith("("):
                sys.exit(f"{suite.folder} cannot be run, with or without a change:\n{ended.output}")
            limits = [one for one in limits if one[0] != test]
        return ""

    def _limits(self, suite: Suite, tests: list[str], mutant: Mutant) -> list[tuple[str, float]]:
        """The tests in the order in which they are run, each with the seconds until it counts as hanging.

        First what has noticed another change of this file, then what is fast; a few seconds are alike, so that tests of
        one fixture stay together.
        """
        seconds, total = self.coverage.seconds, 0.0
        mine = [name for name in tests if self.coverage.suites[name] is suite and self._sound.get(name, True)]
        mine.sort(key=lambda name: (-self._noticed_by[mutant.file, name], round(seconds[name] * 4), name))
        limits: list[tuple[str, float]] = []
        for name in mine:
            total += seconds[name]
            if total < self.enough or not limits:
                limits.append((name, 10 + 10 * seconds[name]))
        return limits

    def _passes_unchanged(self, suite: Suite, test: str, mutant: Mutant) -> bool:
        """Whether a test that failed would have passed; a test that would not says nothing about any change."""
        if test not in self._sound:
            suites.write(mutant.file, self.files[mutant.file])
            self._sound[test] = not suites.run(suite, {"tests": [[test, 120]]}, 180, test.split("::")[0]).failed
            suites.write(mutant.file, mutant.apply(self.files[mutant.file]))
            if not self._sound[test]:
                print(f"     {test} fails without a change and is left out", flush=True)
        return self._sound[test]

    def _fails_again(self, suite: Suite, test: str) -> bool:
        """Whether it was the change, and not a machine that had too much to do."""
        if os.getloadavg()[0] < BUSY:
            return True
        limit = 10 + 10 * self.coverage.seconds[test]
        return bool(suites.run(suite, {"tests": [[test, limit]]}, 2 * limit, test.split("::")[0]).failed)

    def _key(self, mutant: Mutant) -> str:
        return hashlib.sha256(f"{mutant.file}\0".encode() + mutant.apply(self.files[mutant.file])).hexdigest()[:20]


@cache
def digest(test: str) -> str:
    """What tells a test from another, and from itself once its function has changed."""
    file, _, rest = test.partition("::")
    name = rest.split("[")[0].rpartition("::")[2]
    return _digest(test, _functions(file).get(name, ""))


@cache
def with_helpers(test: str) -> str:
    """Likewise, and once what stands beside it has changed, such as a fixture."""
    folder = (TREE / test.split("::")[0]).parent
    helpers = sorted(path for path in folder.glob("*.py") if not path.name.startswith("test_"))
    return _digest(digest(test), *(_read(path) for path in helpers))


@cache
def _read(path: Path) -> str:
    return path.read_text()


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:8]


@cache
def _functions(file: str) -> dict[str, str]:
    path = TREE / file
    if not path.is_file():
        return {}
    found = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
    return {node.name: ast.dump(node) for node in found}
