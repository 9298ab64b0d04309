"""Change the code at random, one small change at a time, and count how many changes no test notices.

    make mutation                        300 changes, about an hour on two cores
    make mutation ARGS="40 --seed 7"     40 other ones
    make mutation ARGS="--only modelhostctl/steps"

A change gets the tests that run its line, one after the other until one fails; one that hangs has noticed it too. All
is done in a copy, in .cache/mutation, where results are kept: what was tried is tried again only where the code or the
tests have changed. Exits with 1 if less than 95 of 100 are noticed.
"""

import argparse
import hashlib
import sys
import time
from collections import Counter
from pathlib import Path

import recording
import suites
from equivalent import is_equivalent
from mutants import Mutant, mutants_of
from suites import PROJECT
from trial import Result, Trials

FOLDERS = [
    *(f"app/modelhost/{package}" for package in ("bundle", "payload", "protocols", "inference")),
    "modelhostctl",
]
COUNT, SEED, WANTED = 300, 1, 0.95


def main() -> int:
    """Draw, try, print what survives; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", nargs="?", type=int, default=COUNT, help=f"how many changes, {COUNT} by default")
    parser.add_argument("--seed", type=int, default=SEED, help="which ones are drawn")
    parser.add_argument("--only", default="", metavar="PATH", help="draw from files whose path begins so")
    parser.add_argument("--seconds", type=float, default=30, help="of tests, at most, for each change and suite (30)")
    options = parser.parse_args()
    files = {
        str(path.relative_to(PROJECT)): path.read_bytes()
        for folder in FOLDERS
        for path in sorted((PROJECT / folder).rglob("*.py"))
    }
    drawn = draw(files, options)
    suites.make_copy()
    tried = try_all(drawn, Trials(files, recording.collect(files), options.seconds))
    return report(tried)


def draw(files: dict[str, bytes], options: argparse.Namespace) -> list[Mutant]:
    """As many changes as are asked for, of all that can be made, each as likely as any other.

    By a digest of each, so that the same are drawn where a few lines of the code have changed.
    """
    every = [
        (_lot(options.seed, mutant, source), mutant)
        for name, source in files.items()
        if name.startswith(options.only)
        for mutant in mutants_of(name, source)
        if not is_equivalent(mutant, source)
    ]
    count = min(options.count, len(every))
    print(f"{len(every)} changes can be made; {count} are drawn (seed {options.seed})", flush=True)
    return [mutant for _, mutant in sorted(every, key=lambda one: one[0])[:count]]


def _lot(seed: int, mutant: Mutant, source: bytes) -> str:
    """What decides whether a change is drawn: itself and the text before it on its line."""
    begins = source.rfind(b"\n", 0, mutant.start) + 1
    what = [seed, mutant.file, source[begins : mutant.start].decode(), mutant.before, mutant.after]
    return hashlib.sha256("\0".join(map(str, what)).encode()).hexdigest()


def try_all(drawn: list[Mutant], trials: Trials) -> list[tuple[Mutant, Result]]:
    """Try each, and say how it goes on."""
    tried: list[tuple[Mutant, Result]] = []
    for number, mutant in enumerate(drawn, 1):
        begun = time.monotonic()
        result = trials.result(mutant)
        tried.append((mutant, result))
        noticed = sum(bool(one.noticed) for _, one in tried)
        how = f"by {result.noticed}" if result.noticed else f"SURVIVES {len(trials.tests(mutant))} tests"
        seconds = time.monotonic() - begun
        print(f"{number:4} of {len(drawn)}, {noticed} noticed  {seconds:5.1f} s  {mutant}  {how}", flush=True)
    return tried


def report(tried: list[tuple[Mutant, Result]]) -> int:
    """Print a line for each package, and what survives; return the exit code."""
    packages = sorted({str(Path(mutant.file).parent) for mutant, _ in tried})
    drawn = Counter(str(Path(mutant.file).parent) for mutant, _ in tried)
    noticed = Counter(str(Path(mutant.file).parent) for mutant, result in tried if result.noticed)
    print(f"\n{'drawn':>7} {'noticed':>8}")
    for package in packages:
        print(f"{drawn[package]:7} {noticed[package]:8}  {package}")
    share = noticed.total() / max(1, drawn.total())
    print(f"{drawn.total():7} {noticed.total():8}  in all: {share:.1%}\n")
    survivors = sorted(
        (mutant for mutant, result in tried if not result.noticed), key=lambda one: (one.file, one.start)
    )
    print("\n".join(["What no test notices:", *map(str, survivors)] if survivors else ["Every change is noticed."]))
    return 0 if share >= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
