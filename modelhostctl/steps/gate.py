"""What a release has to show before a request reaches it. Each gate raises GateError."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from ..checks.golden import Example, examples_of
from ..errors import GateError, StepError
from ..host.docker import Container, Engine
from ..host.http_client import ask
from ..host.layout import Place
from ..host.resources import killed_for_memory, used_memory_mb
from ..steps.watch import judge_latency
from ..store.release import Record
from ..view.replicas import Replicas
from ..view.state import State

# Of the container's limit. Above it, the next larger request may be the last one.
MEMORY_SHARE = 0.95
MORE_MEMORY = "raise model_server_memory_limit_mb, or lower model_server_workers"


@dataclass(frozen=True)
class Limits:
    """How long starting may take, any answer, and 95 of a hundred answers."""

    start_seconds: int
    answer_seconds: int
    latency_ms: int


def judge(place: Place, engine: Engine, release: str, limits: Limits) -> dict[str, float]:
    """Hold the release in the idle colour to every gate, each replica by itself; returns what was measured."""
    if State.look(place, engine).has(release):
        return {}  # it had passed when it was switched to
    begun = time.monotonic()
    replicas = ready(place, engine, release, limits.start_seconds)
    took = time.monotonic() - begun
    content = Record.of(place, release).read()
    examples = examples_of(content.bundles if content else ())
    for container in replicas.containers:
        golden(place.socket(container.colour, release, container.number), examples, limits)
    measured = {"memory_mb": sum(map(memory, replicas.containers)), "start_seconds": round(took, 1)}
    Record.of(place, release).mark_measured(measured)
    return measured


def ready(place: Place, engine: Engine, release: str, start_seconds: int) -> Replicas:
    """Every worker of every replica has loaded and warmed every model, and the engine has seen that."""
    expected = f"every worker to have loaded every model within {start_seconds} s"
    deadline = time.monotonic() + start_seconds
    while True:
        replicas = State.look(place, engine).idle
        if replicas is None or [one.release for one in replicas.containers] != [release] * replicas.wanted:
            raise StepError(f"the container of release {release} is not there any more; start the deployment again")
        waits = [words for container in replicas.containers if (words := _waits(place, container, expected))]
        if not waits:
            return replicas
        if time.monotonic() > deadline:
            hint = "if loading takes that long, raise model_server_start_timeout_seconds"
            raise GateError("ready", expected, waits[0], hint)
        time.sleep(0.1)


def _waits(place: Place, container: Container, expected: str) -> str:
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
    answer = ask(place.socket(container.colour, container.release, container.number), "/readyz")
    if answer.status == 200 and answer.release == container.release and container.health == "healthy":
        return ""
    said = f"status {answer.status}: {answer.body[:200].decode(errors='replace').strip()}" if answer.status else ""
    return f"{container.name} {container.health}, {said or 'no answer yet'}"


def golden(server: Path | str, examples: list[Example], limits: Limits) -> None:
    """Every bundle's golden examples, posted to the colour itself, are answered as recorded, and soon enough.

    The watch would see that a release is slow, too; but only after requests have queued up at it.
    """
    took = []
    for example in examples:
        answer = ask(server, example.path, example.body, timeout=limits.answer_seconds)
        if answer.seconds * 1000 > limits.latency_ms:  # once may be chance
            answer = ask(server, example.path, example.body, timeout=limits.answer_seconds)
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
