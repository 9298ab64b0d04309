"""Hold a release in the idle colour to its gates, before requests reach it: ready, golden examples, latency, memory.

Each replica is held to them by itself. Where one is not passed, the release is rejected, its containers are stopped,
and the step says what was expected. Without a release, those that run are held to the same and nothing is changed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..checks.golden import Example, examples_of
from ..checks.limits import GateLimits, judge_latency
from ..errors import GateError, StepError
from ..host.docker import Container
from ..host.host import Host
from ..host.http_client import request
from ..host.layout import Layout
from ..host.resources import killed_for_memory, used_memory_mb
from ..options import Option
from ..store.release import Record
from ..view.replicas import Replicas
from ..view.state import State
from .step import LOCK, Step

# Of the container's limit. Above it, the next larger request may be the last one.
MEMORY_SHARE = 0.95
MORE_MEMORY = "raise release_memory_limit_mb, or lower release_workers"

OPTIONS = [
    Option("release", "the id of the release in the idle colour; empty: only look at what runs", default=""),
    LOCK,
]


def locked(options: dict[str, Any]) -> bool:
    """Only a release that is prepared may be rejected."""
    return bool(options["release"])


def run(step: Step) -> dict[str, Any]:
    """Judge it; a check has nothing to judge yet. Returns `measured`: memory_mb, start_seconds, and that in words."""
    settings, release = step.settings, step.options["release"]
    limits = GateLimits(settings.start_seconds, settings.answer_seconds, settings.latency_ms)
    if not release:
        return look(step.host, limits, step.say)
    if step.check_mode:
        return {}
    measured = judge(step.host, release, limits)
    return {"measured": measured, "progress": describe(measured)}


def describe(measured: dict[str, float]) -> list[str]:
    """What was measured, in words; nothing where it had passed before."""
    if not measured:
        return []
    return [f"ready after {measured['start_seconds']} s, {measured['memory_mb']} MB in use"]


def look(host: Host, limits: GateLimits, say: Callable[[str], None]) -> dict[str, Any]:
    """Hold what runs to every gate and change nothing; returns a line for each colour that runs."""
    state, lines, failed = State.read(host), [], False
    running = [replicas for replicas in (state.live, state.idle) if replicas and replicas.up]
    if not running:
        raise StepError("no release runs on this host, so there is nothing to look at; deploy with site.yml")
    for replicas in running:
        role = "live" if replicas is state.live else "idle"
        words = f"{role}: release {replicas.release} on {replicas.colour}"
        say(f"gate: looking at {words}")
        try:
            used = _hold(host, replicas, limits)
            lines.append(f"{words} passes every gate, {used} MB")
        except GateError as error:
            failed = True
            lines.append(f"{words} does not pass: {error}")
    result: dict[str, Any] = {"lines": lines}
    return {**result, "failed": True, "msg": "\n".join(lines)} if failed else result


def judge(host: Host, release: str, limits: GateLimits) -> dict[str, float]:
    """Hold the release in the idle colour to every gate, each replica by itself; returns what was measured."""
    if State.read(host).has(release):
        return {}  # it had passed when it was switched to
    begun = time.monotonic()
    replicas = ready(host, release, limits.start_seconds)
    took = time.monotonic() - begun
    measured = {"memory_mb": _answer_and_use(host, replicas, limits), "start_seconds": round(took, 1)}
    Record.of(host.layout, release).mark_measured(measured)
    return measured


def _hold(host: Host, replicas: Replicas, limits: GateLimits) -> int:
    """Hold replicas that run to every gate now; returns the memory that they use, in MB."""
    for container in replicas.containers:
        waits = _waits(host.layout, container, "every worker to have loaded every model")
        if waits:
            raise GateError("ready", "every worker to have loaded every model", waits)
    return _answer_and_use(host, replicas, limits)


def _answer_and_use(host: Host, replicas: Replicas, limits: GateLimits) -> int:
    """Golden examples, latency and memory of each replica; returns the memory that they use, in MB."""
    content = Record.of(host.layout, replicas.release).read()
    examples = examples_of(content.bundles if content else ())
    for container in replicas.containers:
        golden(host.layout.socket(container.colour, replicas.release, container.number), examples, limits)
    return sum(map(memory, replicas.containers))


def ready(host: Host, release: str, start_seconds: int) -> Replicas:
    """Every worker of every replica has loaded and warmed every model, and the engine has seen that."""
    expected = f"every worker to have loaded every model within {start_seconds} s"
    deadline = time.monotonic() + start_seconds
    while True:
        replicas = State.read(host).idle
        if replicas is None or [one.release for one in replicas.containers] != [release] * replicas.wanted:
            raise StepError(f"the container of release {release} is not there any more; start the deployment again")
        waits = [words for container in replicas.containers if (words := _waits(host.layout, container, expected))]
        if not waits:
            return replicas
        if time.monotonic() > deadline:
            hint = "if loading takes that long, raise release_start_timeout_seconds"
            raise GateError("ready", expected, waits[0], hint)
        time.sleep(0.1)


def _waits(layout: Layout, container: Container, expected: str) -> str:
    """What a replica that is not ready yet does, in words; raises GateError where it never will be."""
    if container.killed_for_memory or (container.status == "running" and _killed(container)):
        raise GateError(
            "memory",
            f"no process killed within {container.memory_limit_mb} MB",
            f"one of {container.name} was killed for want of memory",
            MORE_MEMORY,
        )
    if not container.up or container.restarts:
        raise GateError("ready", expected, f"{container.name} ended with exit code {container.exit_code}")
    answer = request(layout.socket(container.colour, container.release, container.number), "/readyz")
    if answer.status == 200 and answer.release == container.release and container.health == "healthy":
        return ""
    said = f"status {answer.status}: {answer.excerpt(200)}" if answer.status else ""
    return f"{container.name} {container.health}, {said or 'no answer yet'}"


def golden(server: Path | str, examples: list[Example], limits: GateLimits) -> None:
    """Every bundle's golden examples, posted to the colour itself, are answered as recorded, and soon enough.

    The watch would see that a release is slow, too; but only after requests have queued up at it.
    """
    took = []
    for example in examples:
        answer = example.ask(server, limits.answer_seconds)
        if answer.seconds * 1000 > limits.latency_ms:  # once may be chance
            answer = example.ask(server, limits.answer_seconds)
        wrong = example.difference(answer)
        if wrong:
            wanted = ", ".join(f"{name} {value!r}" for name, value in example.outputs.items())
            raise GateError("golden examples", f"{example.name}: {wanted} (tolerance {example.tolerance:g})", wrong)
        took.append(answer.seconds)
    judge_latency(took, limits.latency_ms, "golden examples")


def memory(container: Container) -> int:
    """Memory is within the limit, with the models warm; returns what is used, in MB."""
    used, most = used_memory_mb(container.pid), int(container.memory_limit_mb * MEMORY_SHARE)
    if _killed(container) or (most and used > most):
        raise GateError("memory", f"at most {most} MB", f"{used} MB in use by {container.name}", MORE_MEMORY)
    return used


def _killed(container: Container) -> bool:
    try:
        return killed_for_memory(container.pid) > 0
    except OSError:  # it has just ended; the caller looks again
        return False
