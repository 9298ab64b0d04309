"""The play itself is killed, as by a closed laptop; run again it goes on, and nobody notices."""

import itertools

from scene import Fault, Scene

# The steps of a release that change something.
STEPS: list[str | int] = ["copy_bundles | Copy", "take_live | Start", "take_live | Switch", "take_live | Retire"]


def kill_plays(scene: Scene) -> None:
    """Each time a new release, whose play is killed one task later than the one before."""
    before = scene.machine.live_release()
    for step in itertools.count(1) if scene.long else STEPS:
        models = scene.machine.newer()
        scene.strikes()
        killed = scene.machine.deploy(at=step, release_models=models)
        if killed.code == 0:
            # There is no task so late.
            scene.struck.pop()
            scene.expect(scene.long, f"the play has no task `{step}`")
            break
        again = scene.machine.deploy(release_models=models)
        scene.expect(again.code == 0, f"killed at {step}, the next run fails:\n{again.said}")
        quiet = scene.machine.deploy(release_models=models)
        scene.expect(quiet.changes == 0, f"killed at {step}, the run after the next changes something:\n{quiet.said}")
        live = scene.machine.live_release()
        scene.expect(live != before, f"killed at {step}, the next run did not finish the release")
        before = live
    scene.machine.wanted["release_models"] = models


FAULTS = [Fault("plays", "SIGKILL of the play, then run again twice", kill_plays)]
