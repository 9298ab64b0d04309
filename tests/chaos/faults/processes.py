"""Processes of the live release are killed or stopped. With one replica, what they were computing is lost."""

from functools import partial

from scene import Fault, Scene
from victim import Machine

# What a container takes to start, load the models and answer, on a machine that is busy.
START_SECONDS = 10
# The health check looks every ten seconds.
NOTICED_SECONDS = 60
# Longer than a prediction may take, so that none is struck twice; and than the engine takes to forget that a container
# has just been started, after which it would wait longer each time.
BETWEEN_SECONDS = 12


def kill(process: int) -> str:
    """The command that kills a process of the machine, and waits until its connections are closed.

    What is sent to it meanwhile is taken, and lost with it.
    """
    ended = f"[ ! -e /proc/{process} ] || grep -q '^State:.[ZX]' /proc/{process}/status"
    return f"kill -KILL {process}; until {ended}; do :; done"


def kill_workers(scene: Scene) -> None:
    """One of two is killed; the other answers on, and Gunicorn replaces the one that is gone."""
    for _ in range(20 if scene.long else 3):
        _, _, workers = scene.machine.processes()
        scene.strikes_by(kill(workers[0]))
        scene.recovered(30, partial(replaced, scene.machine, workers))
        scene.pause(BETWEEN_SECONDS)


def replaced(machine: Machine, before: list[int]) -> bool:
    """Whether there are as many workers as before, another instead of the first, and all of them ready."""
    _, _, workers = machine.processes()
    return len(workers) == len(before) and before[0] not in workers and machine.ready()


def kill_master(scene: Scene) -> None:
    """The container ends with its master, and the engine starts it again."""
    for _ in range(5 if scene.long else 1):
        _, master, _ = scene.machine.processes()
        scene.strikes_by(kill(master))
        scene.recovered(30, scene.machine.ready)
        scene.pause(BETWEEN_SECONDS)


def kill_container(scene: Scene) -> None:
    """Everything in the container is killed at once, as the kernel does where memory is short."""
    for _ in range(5 if scene.long else 1):
        first, _, _ = scene.machine.processes()
        scene.strikes_by(kill(first))
        scene.recovered(30, scene.machine.ready)
        scene.pause(BETWEEN_SECONDS)


def stop_master(scene: Scene) -> None:
    """A master that hangs replaces no worker, and nobody listens to it: the health check has to see that."""
    _, master, _ = scene.machine.processes()
    before = scene.machine.started()
    scene.strikes_by(f"kill -STOP {master}")
    scene.recovered(NOTICED_SECONDS, lambda: scene.machine.started() != before and scene.machine.ready())
    _, new, _ = scene.machine.processes()
    scene.expect(new != master, "the stopped master is still there")


FAULTS = [
    Fault("worker", "SIGKILL of a Gunicorn worker", kill_workers, cuts_off=True),
    Fault("master", "SIGKILL of Gunicorn's master", kill_master, cuts_off=True, away_seconds=START_SECONDS),
    Fault("container", "SIGKILL of the container", kill_container, cuts_off=True, away_seconds=START_SECONDS),
    Fault("stopped", "SIGSTOP of Gunicorn's master", stop_master, cuts_off=True, away_seconds=NOTICED_SECONDS),
]
