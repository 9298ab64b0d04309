"""The disk is full to the last byte. On a machine of its own, whose whole disk is small."""

from scene import Fault, Scene
from victim import Machine, Play

FILL = "cat /dev/zero > /disk/filler 2>/dev/null || true; df --output=avail /disk | tail -1"


def fill_disk(scene: Scene) -> None:
    """Serving goes on; a deployment refuses cleanly, and works once there is space."""
    machine = scene.machine
    scene.strikes()
    fill(machine)
    scene.pause(15)
    models = machine.newer()
    refused(scene, machine.deploy(release_models=models), "MB of disk are free")
    empty(machine)
    # And now when the play has begun, and has seen that there is space.
    scene.strikes()
    late = machine.deploy(release_models=models, at="copy_bundles | Make a place", act=lambda _: fill(machine))
    refused(scene, late, "No space left on device")
    scene.pause()
    empty(machine)
    before = machine.live_release()
    again = machine.deploy(release_models=models)
    scene.expect(again.code == 0, f"once there is space, a deployment fails:\n{again.said}")
    scene.expect(machine.live_release() != before, "once there is space, nothing new is live")
    # A rollback needs no space.
    scene.strikes()
    fill(machine)
    back = machine.play("playbooks/rollback.yml")
    scene.expect(back.code == 0, f"a rollback fails on a full disk:\n{back.said}")
    scene.expect(machine.live_release() == before, "a rollback on a full disk led to another release")
    empty(machine)
    scene.expect(machine.deploy(release_models=models).code == 0, "after it, a deployment fails")
    quiet = machine.deploy(release_models=models)
    scene.expect(quiet.changes == 0, f"the run after it changes something:\n{quiet.said}")


def refused(scene: Scene, run: Play, why: str) -> None:
    """The play has failed, says why, and what was live is."""
    scene.expect(run.code != 0, "a deployment onto a full disk ended as if all were well")
    scene.expect(why in run.printed and "Traceback" not in run.printed, f"it does not say `{why}`:\n{run.said}")
    told = next((line for line in run.printed.splitlines() if why in line), "")
    scene.seen.append(f"a deployment onto the full disk says: {told.strip()[:160]}")
    scene.expect(len(scene.clients.releases()) == 1, "another release has answered")


def fill(machine: Machine) -> None:
    """Leave no space at all."""
    free = machine.run(FILL).strip()
    assert free == "0", f"{free} KB are still free"


def empty(machine: Machine) -> None:
    """Give the space back."""
    machine.run("rm /disk/filler")


FAULTS = [Fault("disk", "the disk filled to the last byte", fill_disk, on="disk")]
