"""Releases that must not go live: each is refused, and nobody notices."""

from bundles import at_call, at_import
from scene import Fault, Scene

# The first worker gets ready, the second never does.
ONE_OF_TWO = """
try:
    os.close(os.open("/tmp/first", os.O_CREAT | os.O_EXCL))
except FileExistsError:
    time.sleep(3600)
"""

# In words, the model's code, the gate that has to refuse it.
WRONG = {
    "crashing": ("crashes", at_import('raise RuntimeError("broken")'), "ready"),
    "hanging": ("hangs at load", at_import("time.sleep(3600)"), "ready"),
    "unready": ("is never ready: one of two workers hangs", at_import(ONE_OF_TWO), "ready"),
    "wrong": ("answers wrong", at_call('return {"colour": COLOURS[(inputs["index"] + 1) % 5]}'), "golden examples"),
    "slow": ("answers slowly", at_call("time.sleep(1.5)"), "latency"),
    "greedy": ("needs too much memory", at_import('hoard = b"x" * 1_000_000_000'), "memory"),
}


def refuse(name: str) -> Fault:
    """The fault of a release that is wrong in this way."""
    words, code, gate = WRONG[name]

    def act(scene: Scene) -> None:
        machine = scene.machine
        before, containers = machine.live_release(), machine.started()
        scene.strikes()
        run = machine.deploy(
            release_models=machine.newer(code),
            release_start_timeout_seconds=10,
        )
        scene.expect(run.code != 0, "the play ended as if all were well")
        scene.expect(f"gate:     {gate}" in run.printed, f"it was not the gate `{gate}` that refused it:\n{run.said}")
        scene.expect(machine.live_release() == before, "another release is live")
        scene.expect(machine.started() == containers, "the live release was restarted")
        scene.expect(scene.clients.releases() == {before}, "answers came from the release that was refused")
        scene.seen.append(f"refused by the gate `{gate}` after {run.seconds:.0f} s")

    return Fault(name, f"a release that {words}", act)


FAULTS = [refuse(name) for name in WRONG]
