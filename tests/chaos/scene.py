"""One fault under load: what it may cost, what it did cost, and whether that is what is promised."""

import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from clients import Asked, Clients
from victim import Machine

CALM_SECONDS = 3.0
# Until everything is well again, at most.
PATIENCE_SECONDS = 90.0


@dataclass
class Scene:
    """What a fault acts in. It tells when it strikes, what it expects to see, and what it has seen."""

    machine: Machine
    clients: Clients
    long: bool
    requests: int  # so many are wanted of this line
    struck: list[float] = field(default_factory=list)
    under_way: list[Asked] = field(default_factory=list)
    away_seconds: float = 0.0
    recoveries: list[float] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def strikes(self) -> None:
        """Now. What is under way may be lost, where the fault cannot but cut it off."""
        now = time.monotonic()
        self.struck.append(now)
        self.under_way += self.clients.under_way(now, now)

    def strikes_by(self, command: str) -> None:
        """Have the machine run a command that strikes, and tell when: on the way there, other requests begin."""
        told = self.machine.run(f"date +%s.%N; {command}; date +%s.%N")
        since = time.time() - time.monotonic()
        first, last = (float(moment) - since for moment in told.split())
        self.struck.append(first)
        self.under_way += self.clients.under_way(first, last)

    def expect(self, holds: bool, otherwise: str) -> None:
        """Remember a promise that was not kept."""
        if not holds:
            self.broken.append(otherwise)

    def recovered(self, within: float, well: Callable[[], bool]) -> None:
        """Wait until `well` says so, counted from the last strike."""
        while not well():
            if time.monotonic() - self.struck[-1] > within:
                self.broken.append(f"not recovered within {within:.0f} s")
                return
            time.sleep(0.1)
        self.recoveries.append(time.monotonic() - self.struck[-1])

    def pause(self, seconds: float = CALM_SECONDS) -> None:
        """Let the clients ask for a while."""
        time.sleep(seconds)


@dataclass(frozen=True)
class Fault:
    """Something that is done to the machine. `words` stand in the table.

    cuts_off: what is under way when it strikes may be lost. away_seconds: and so may what is due so long after, because
    nothing is there that could answer. on: which machine it is done to, where not to the usual one (__main__.py).
    """

    name: str
    words: str
    act: Callable[[Scene], None]
    cuts_off: bool = False
    away_seconds: float = 0.0
    on: str = ""


@dataclass(frozen=True)
class Line:
    """A line of the table."""

    fault: Fault
    times: int
    sent: int
    failed: int
    allowed: str
    gap: float
    recovery: float
    late: float
    seen: list[str]
    broken: list[str]


def play(fault: Fault, machine: Machine, rate: float, long: bool, requests: int) -> Line:
    """Do a fault under load, and judge it."""
    with Clients(machine.url, rate) as clients:
        scene = Scene(machine, clients, long, requests, away_seconds=fault.away_seconds)
        try:
            scene.pause()
            fault.act(scene)
            scene.pause()
            wait_until_calm(scene)
        except Exception as error:
            traceback.print_exc()
            scene.broken.append(f"the fault could not be done: {type(error).__name__}: {error}")
    return judge(fault, scene)


def wait_until_calm(scene: Scene) -> None:
    """Until nothing that was due in the last seconds failed."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while any(asked.ended > time.monotonic() - CALM_SECONDS for asked in scene.clients.failures()):
        if time.monotonic() > deadline:
            scene.broken.append(f"requests still fail {PATIENCE_SECONDS:.0f} s later")
            return
        time.sleep(0.2)


def judge(fault: Fault, scene: Scene) -> Line:
    """Compare what was lost with what may be."""
    failures = scene.clients.failures()
    lost = [asked for asked in failures if not excused(fault, scene, asked)]
    if lost:
        scene.broken.append(f"{len(lost)} requests failed that need not: {lost[0].problem}")
    good = scene.clients.good_times()
    kinds = Counter(asked.problem.partition(":")[0].split(" on a ")[0] for asked in failures)
    if kinds:
        scene.seen.append("what failed: " + ", ".join(f"{count} times {kind}" for kind, count in kinds.items()))
    last = max((asked.ended for asked in failures), default=0.0)
    back = next((moment for moment in good if moment > last), last)
    recovery = max(
        [*scene.recoveries, back - scene.struck[0] if failures and fault.cuts_off and len(scene.struck) == 1 else 0.0]
    )
    return Line(
        fault,
        max(1, len(scene.struck)),
        len(scene.clients.asked),
        len(failures),
        allowed(fault, scene),
        scene.clients.worst_gap(),
        recovery,
        scene.clients.late(),
        scene.seen,
        scene.broken,
    )


def excused(fault: Fault, scene: Scene, asked: Asked) -> bool:
    """Whether nothing could have answered."""
    if fault.cuts_off and any(asked is one for one in scene.under_way):
        return True
    # One that was due before may have been sent after: a client is late by some milliseconds.
    begun = max(asked.due, asked.sent)
    return any(struck <= begun and asked.due <= struck + scene.away_seconds for struck in scene.struck)


def allowed(fault: Fault, scene: Scene) -> str:
    """How many may fail, in words."""
    parts = [f"{len(scene.under_way)} in flight"] if fault.cuts_off else []
    if scene.away_seconds:
        parts.append(f"those of {scene.away_seconds:.0f} s")
    return " + ".join(parts) or "0"
