#!/usr/bin/env python3
"""Measure our server beside its peers, in one run on one machine, and write docs/benchmarks.md.

Every server serves the same models. In each round each is started, its answers to all 200 requests of each case are
compared with the model's own, and then wrk loads it, or h2load what wrk cannot; the next server follows. Rounds are
repeated, so a noisy minute hits all. A run that is quick or leaves something out writes to .cache/bench/part/ instead
of docs/.

  make bench                                       every server: about fifty minutes
  make bench ARGS="--long --soak 600"              and ours over a million requests, and for ten minutes by the clock
  make bench ARGS="--quick"                        the same with 2 s a run in one round, to see that all work
  make bench ARGS="--only modelhost seed --cases iris rf --rounds 5"
  make bench ARGS="--page"                         write the page again from the figures of the last run
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import earlier
import machine
import page
from cases import CASES
from measure import turn, weigh_long
from peers import ALL, BY_NAME, Peer
from places import CACHE, DOCS, JOBLIB, MODELS, PEERS, PROJECT, program
from soak import soak

LONG = 1_000_000


def main() -> int:
    """Run what is asked for; return the exit code."""
    wanted = arguments()
    part = wanted.quick or wanted.only or wanted.cases
    into = CACHE / "part" if part else DOCS
    if not wanted.page:
        (into / "benchmarks").mkdir(parents=True, exist_ok=True)
        chosen = [BY_NAME[name] for name in wanted.only] or list(ALL)
        prepare({peer.environment for peer in chosen if not peer.absent})
        figures = measure(chosen, wanted)
        (into / "benchmarks" / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    figures = write(into)
    print(page.terminal(figures))
    print(f"Written to {(into / 'benchmarks.md').relative_to(PROJECT)}")
    for name, reason in figures["failed"].items():
        print(f"FAILED {name}: {reason}", file=sys.stderr)
    return 1 if figures["failed"] else 0


def arguments() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ", ".join(peer.name for peer in ALL)
    parser.add_argument("--only", nargs="+", choices=BY_NAME, metavar="PEER", default=[], help=f"of: {names}")
    parser.add_argument("--cases", nargs="+", choices=CASES, metavar="CASE", default=[], help=f"of: {', '.join(CASES)}")
    parser.add_argument("--rounds", type=int, help="how often each is started and timed (default 3, quick 1)")
    parser.add_argument("--seconds", type=int, help="how long each case is timed (default 8, quick 2)")
    parser.add_argument("--quick", action="store_true", help="see that everything works; the figures are rough")
    parser.add_argument("--long", action="store_true", help=f"also weigh ours over {LONG:,} requests: some minutes")
    parser.add_argument("--soak", type=int, default=0, metavar="SECONDS", help="also ask ours for so long by the clock")
    parser.add_argument("--page", action="store_true", help="write the page from the figures there are")
    wanted = parser.parse_args()
    wanted.rounds = wanted.rounds or (1 if wanted.quick else 3)
    wanted.seconds = wanted.seconds or (2 if wanted.quick else 8)
    return wanted


def prepare(environments: set[str]) -> None:
    """Train, convert and pack the models, anew in each run: packing is ours and may have changed."""
    say("training and packing the models")
    commands = [[program("tools", "python"), str(PROJECT / "bench" / "models.py"), str(MODELS)]]
    if "mlflow" in environments:
        save = [str(PEERS / "mlflow" / "save.py"), str(JOBLIB), str(MODELS / "mlflow")]
        commands.append([program("mlflow", "python"), *save])
    (CACHE / "train.log").unlink(missing_ok=True)
    with (CACHE / "train.log").open("w") as log:
        for command in commands:
            if subprocess.run(command, stdout=log, stderr=log, check=False).returncode:
                sys.exit((CACHE / "train.log").read_text())
    if "modelhost-gevent" in environments:
        earlier.take_out()


def measure(chosen: list[Peer], wanted: argparse.Namespace) -> dict[str, Any]:
    """All rounds; a peer that fails is left out of the rest, and said so."""
    rounds: dict[str, list[dict[str, Any]]] = {}
    failed: dict[str, str] = {}
    skipped = {peer.name: peer.absent for peer in chosen if peer.absent}
    for number in range(1, wanted.rounds + 1):
        for peer in chosen:
            cases = [name for name in peer.cases if not wanted.cases or name in wanted.cases]
            if not cases or peer.name in failed or peer.absent:
                continue
            try:
                begun = time.monotonic()
                figures = turn(peer, cases, wanted.seconds, say)
                rounds.setdefault(peer.name, []).append(figures)
            except Exception as error:
                failed[peer.name] = f"{type(error).__name__}: {error}"
                say(f"{peer.name:20} FAILED: {failed[peer.name]}")
            say(f"{peer.name:20} round {number} of {wanted.rounds} took {time.monotonic() - begun:.0f} s")
    return {
        "machine": machine.describe(),
        "versions": machine.versions(),
        "seconds": wanted.seconds,
        "rounds": rounds,
        "failed": failed,
        "skipped": skipped,
        "long": weigh_long(BY_NAME["modelhost"], LONG, 10, say) if wanted.long else [],
        "soak": soak(BY_NAME["modelhost"], wanted.soak, say) if wanted.soak else {},
    }


def write(into: Path) -> dict[str, Any]:
    """Write the page and its plots beside the figures; return the figures."""
    source = into / "benchmarks" / "figures.json"
    if not source.exists():
        sys.exit(f"{source.relative_to(PROJECT)} is not there: run `make bench` once without --page")
    figures: dict[str, Any] = json.loads(source.read_text())
    (into / "benchmarks.md").write_text(page.markdown(figures))
    plots = [program("tools", "python"), str(PROJECT / "bench" / "plots.py"), str(into / "benchmarks")]
    subprocess.run(plots, input=json.dumps(page.bars(figures)), text=True, check=True)
    return figures


def say(words: str) -> None:
    """Print a line of progress."""
    print(f"[{time.strftime('%H:%M:%S')}] {words}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
