"""Releases in a row, and ways back."""

import shutil

from scene import Fault, Scene
from victim import PROJECT

TURNS = ["models", "settings", "image"]


def release_in_a_row(scene: Scene) -> None:
    """Models, settings and the image take turns; after every fourth release one goes back and on again."""
    least = 20 if scene.long else 4
    done = {"releases": 0, "rollbacks": 0}
    before = scene.machine.live_release()
    while done["releases"] < least or len(scene.clients.asked) < scene.requests:
        change(scene, done["releases"])
        scene.strikes()
        run = scene.machine.deploy()
        scene.expect(run.code == 0, f"a release failed:\n{run.said}")
        live = scene.machine.live_release()
        scene.expect(live != before, f"nothing new is live:\n{run.said}")
        done["releases"] += 1
        if done["releases"] % 4 == 0:
            scene.strikes()
            back = scene.machine.play("playbooks/rollback.yml")
            scene.expect(back.code == 0, f"a rollback failed:\n{back.said}")
            scene.expect(scene.machine.live_release() == before, "the rollback led to another release")
            done["rollbacks"] += 1
            live = before
        before = live
        if run.code:
            break
    scene.seen.append(", ".join(f"{what}: {count}" for what, count in done.items()))


def change(scene: Scene, number: int) -> None:
    """Want something else."""
    machine = scene.machine
    match TURNS[number % len(TURNS)]:
        case "models":
            machine.wanted["release_models"] = machine.newer()
        case "settings":
            machine.wanted["release_threads"] = 4 + (number // len(TURNS) + 1) % 2
        case _:
            source = machine.folder / "app"
            shutil.copytree(PROJECT / "app", source, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
            (source / "modelhost" / "another_image.py").write_text(f'"""The image of release {number}."""\n')
            machine.wanted["__app_image_source"] = str(source)


FAULTS = [Fault("releases", "releases in a row, and rollbacks", release_in_a_row)]
