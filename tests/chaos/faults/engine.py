"""What the containers stand on is restarted or killed: the engine, and the whole machine."""

import subprocess
import time

from scene import Fault, Scene

BOOT_SECONDS = 60
# A pipe that nobody reads is full after four seconds of this load.
AWAY_SECONDS = 15
ENGINE = "docker info --format '{{.ServerVersion}}' 2>&1 || true"


def restart_engine(scene: Scene) -> None:
    """As after an update of its package."""
    _act_on_engine(scene, "systemctl restart docker")


def kill_engine(scene: Scene) -> None:
    """systemd starts it again."""
    _act_on_engine(scene, "systemctl kill --signal KILL docker")


def stop_engine(scene: Scene) -> None:
    """Nobody reads what the containers log meanwhile; that must not hold them up."""
    _act_on_engine(scene, f"systemctl stop docker.socket docker; sleep {AWAY_SECONDS}; systemctl start docker")


def _act_on_engine(scene: Scene, command: str) -> None:
    before = scene.machine.started()
    scene.strikes()
    scene.machine.run(command)
    scene.recovered(AWAY_SECONDS + 30, lambda: scene.machine.run(ENGINE)[:1].isdigit())
    scene.pause(8)
    scene.expect(scene.machine.started() == before, "the containers were restarted with the engine")
    again = scene.machine.deploy()
    scene.expect(again.code == 0 and again.changes == 0, f"a deployment afterwards is not quiet:\n{again.said}")


def restart_machine(scene: Scene) -> None:
    """Shut down and started, as by its owner or the provider. Counted from the start."""
    scene.strikes()
    subprocess.run(["docker", "stop", "--time", "60", scene.machine.container], check=True, capture_output=True)
    started = time.monotonic()
    subprocess.run(["docker", "start", scene.machine.container], check=True, capture_output=True)
    off = started - scene.struck[0]
    scene.away_seconds = off + BOOT_SECONDS
    while not any(moment > started for moment in scene.clients.good_times()):
        if time.monotonic() - started > BOOT_SECONDS:
            scene.broken.append(f"no good answer within {BOOT_SECONDS} s of the boot")
            break
        time.sleep(0.1)
    took = time.monotonic() - started
    scene.recoveries.append(took)
    scene.seen.append(f"off for {off:.0f} s, first good answer {took:.1f} s after its start")


FAULTS = [
    Fault("engine-restart", "the engine restarted", restart_engine),
    Fault("engine-kill", "SIGKILL of the engine", kill_engine),
    Fault("engine-away", f"the engine stopped for {AWAY_SECONDS} s", stop_engine),
    Fault("machine", "the machine restarted", restart_machine, cuts_off=True),
]
