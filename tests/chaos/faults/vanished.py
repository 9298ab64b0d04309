"""The machine that deploys is gone in the middle of a release, for good: the host's own tool finishes or undoes it."""

from scene import Fault, Scene

# Where it vanishes, and what is typed on the host then. A release that is only tried has never been live: it is ended.
MOMENTS = [
    ("take_live | Start", "finish", False),
    ("take_live | Watch", "finish", True),
    ("take_live | Watch", "rollback", False),
]


def vanish(scene: Scene) -> None:
    """Kill the play, and never run it again; take its lock away, and type one command on the host."""
    machine = scene.machine
    for number, (step, command, stays) in enumerate(MOMENTS, start=1):
        before, models = machine.live_release(), machine.newer()
        scene.strikes()
        machine.deploy(at=step, release_models=models)
        refused = machine.tool(command)
        scene.expect(refused.code == 3, f"{number}: with the lock of a lost run, {command} ends with {refused.code}")
        machine.tool("unlock --yes")
        done = machine.tool(command)
        scene.expect(done.code == 0, f"{number}: {command} fails:\n{done.printed}")
        live, status = machine.live_release(), machine.tool("status --json").json["status"]
        scene.expect((live != before) == stays, f"{number}: after {command} release {live} is live, before {before}")
        scene.expect(status["live"]["release"] == live, f"{number}: status says {status['live']}")
        states = [replica["status"] for replica in status["idle"]["replicas"]]
        scene.expect("running" not in states, f"{number}: the other colour is {states}")
        left = machine.tool("finish")
        scene.expect("nothing to do" in left.printed, f"{number}: something is left:\n{left.printed}")
        if stays:
            machine.wanted["release_models"] = models


FAULTS = [Fault("vanished", "the deploying machine is gone for good", vanish)]
