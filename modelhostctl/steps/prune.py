"""Remove what no release needs that one may want to go back to."""

from __future__ import annotations

import shutil
from pathlib import Path

from ..errors import StepError
from ..host.docker import PROXY, Engine
from ..host.layout import Place, way
from ..host.resources import free_disk_mb
from ..store.release import Record
from ..view.state import State

APP = "modelhost-app"


def prune(place: Place, engine: Engine, keep: int, wanted: set[str], everything: bool, act: bool) -> list[str]:
    """Keep what runs or is stopped in a colour and the latest of the others, `keep` releases in all.

    `wanted` are images and folders of bundles that a deployment under way needs. `everything` leaves no build cache.
    Returns what was removed, in words.
    """
    state = State.look(place, engine)
    records = [Record(folder) for folder in sorted(place.releases.glob("*")) if folder.is_dir()]
    containers = [container for replicas in state.replicas.values() for container in replicas.containers]
    held = {container.release for container in containers}
    latest = sorted((record for record in records if record.last_live), key=lambda record: -record.last_live)
    others = [record.id for record in latest if record.id not in held]
    kept = held | set(others[: max(0, keep - len(held))])

    removed = [f"release {record.id}" for record in records if record.id not in kept]
    releases = [release for record in records if record.id in kept and (release := record.read())]
    images = {release.image for release in releases} | engine.images_in_use() | wanted
    folders = {bundle["folder"] for release in releases for bundle in release.bundles} | wanted
    retired = [image for name in (APP, PROXY) for image in engine.images(name) if image not in images]
    bundles = [folder for folder in sorted(place.bundles.glob("*/*")) if str(folder) not in folders]
    removed += [f"image {image}" for image in retired]
    removed += [f"bundle {folder.parent.name} {folder.name}" for folder in bundles]
    ways = {way(container.colour, container.release) for container in containers}
    if place.active.is_symlink():
        ways |= {place.active.name, place.active.readlink().name}
    sockets = [folder for folder in place.run.glob("*-*") if folder.is_dir() and folder.name not in ways]
    if not act:
        return removed
    for record in records:
        if record.id not in kept:
            _remove(record.folder)
    for image in retired:
        engine.remove_image(image)
    for folder in [*bundles, *sockets]:
        _remove(folder)
    if engine.forget_builds(everything):
        removed.append("what building had left")
    return removed


def make_room(place: Place, engine: Engine, needed_mb: int, wanted: set[str], act: bool) -> list[str]:
    """Keep nothing but the live release, because the disk is short; raises StepError where that does not help."""
    removed = prune(place, engine, 1, wanted, everything=True, act=act)
    free = free_disk_mb(place.root, Path("/var/lib/docker"))
    if act and free < needed_mb:
        raise StepError(
            f"The disk is short: {free} MB are free after old releases were removed, and {needed_mb} MB are needed. "
            "Nothing else was changed; the live release goes on serving. `docker system df` and `du -xh / | sort -h | "
            "tail` on the machine tell what is large."
        )
    return removed


def _remove(folder: Path) -> None:
    """Remove a folder in such an order that what is left after a kill is not taken for a whole one."""
    for mark in ("model.yaml", "release.json"):
        (folder / mark).unlink(missing_ok=True)
    shutil.rmtree(folder)
