"""The disk is full to the last byte. On a machine of its own, whose whole disk is small."""

from scene import Fault, Scene

from faults.plays import with_version

FILL = "cat /dev/zero > /disk/filler 2>/dev/null; sync; df --output=avail /disk | tail -1"
VERSION = 300


def fill_disk(scene: Scene) -> None:
    """Serving goes on; a deployment refuses cleanly, and works once there is space."""
    machine = scene.machine
    before, started = machine.live_release(), machine.started()
    scene.strikes()
    free = machine.run(f"({FILL}) || true").strip()
    scene.expect(free == "0", f"{free} KB are still free")
    scene.pause(15)
    models = with_version(machine, VERSION)
    refused = machine.deploy(model_server_models=models)
    scene.expect(refused.code != 0, "a deployment onto a full disk ended as if all were well")
    clean = "No space left on device" in refused.printed or "The disk is short" in refused.printed
    scene.expect(clean and "Traceback" not in refused.printed, f"it does not say why:\n{refused.said}")
    scene.expect(machine.live_release() == before, "another release is live")
    scene.pause(5)
    machine.run("rm /disk/filler")
    scene.strikes()
    again = machine.deploy(model_server_models=models)
    scene.expect(again.code == 0, f"once there is space, it fails:\n{again.said}")
    scene.expect(machine.live_release() != before, "once there is space, nothing new is live")
    quiet = machine.deploy(model_server_models=models)
    scene.expect(quiet.changes == 0, f"the run after it changes something:\n{quiet.said}")
    told = next((line for line in refused.printed.splitlines() if "space left" in line or "disk is short" in line), "")
    scene.seen.append(f"a deployment onto the full disk says: {told.strip()[:120]}")
    scene.expect(started != "", "nothing was running")


FAULTS = [Fault("disk", "the disk filled to the last byte", fill_disk, small_disk=True)]
