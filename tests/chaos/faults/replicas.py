"""Where there are two replicas, killing one of them costs nothing: what it had begun is sent to the other."""

from functools import partial

from scene import Fault, Scene
from victim import Machine

from faults.processes import BETWEEN_SECONDS, NOTICED_SECONDS, kill


def kill_replicas(scene: Scene) -> None:
    """Each in turn, with everything that is in its container."""
    for _ in range(5 if scene.long else 1):
        for replica in both(scene.machine):
            first, _, _ = scene.machine.processes(replica)
            scene.strikes_by(kill(first))
            scene.recovered(30, partial(well, scene.machine, replica, first))
            scene.pause(BETWEEN_SECONDS)


def stop_replica(scene: Scene) -> None:
    """One hangs with its workers. What it has taken waits until the health check sees it, and is done by the other."""
    replica, _ = both(scene.machine)
    first, master, workers = scene.machine.processes(replica)
    scene.strikes_by(f"kill -STOP {master} {' '.join(map(str, workers))}")
    scene.recovered(NOTICED_SECONDS, partial(well, scene.machine, replica, first))


def both(machine: Machine) -> tuple[str, str]:
    """The live containers."""
    return machine.live(), f"{machine.live()}-2"


def well(machine: Machine, replica: str, before: int) -> bool:
    """Whether a replica has been started anew and is ready, all workers of it."""
    form = "{{.State.Pid}} {{.State.Health.Status}}"
    process, health = machine.run(f"docker inspect --format '{form}' {replica}").split()
    return int(process) not in {0, before} and health == "healthy"


FAULTS = [
    Fault("replica", "SIGKILL of one container of two", kill_replicas, on="replicas"),
    Fault("replica-stopped", "SIGSTOP of one container of two", stop_replica, on="replicas"),
]
