"""Remove what no release needs that is kept: older releases, images, bundles, and what building left.

With `needed_mb` everything but the live release goes, and the step fails where that frees too little.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import StepError
from ..host.host import Host
from ..host.layout import socket_dir
from ..host.resources import free_disk_mb
from ..host.trees import remove_tree
from ..options import Option
from ..store import credentials, foreign_names, sboms
from ..store.atomic_files import read_json
from ..store.release import Record
from ..view.state import State
from .step import LOCK, Step

OPTIONS = [
    Option("wanted", "images and folders of bundles that a deployment under way needs", "list", []),
    Option("needed_mb", "how much disk has to be free afterwards; 0: it does not matter", "int", 0),
    LOCK,
]


@dataclass(frozen=True)
class Removals:
    """What no release needs that is kept."""

    releases: list[Record]
    images: list[str]
    names: list[str]
    bundles: list[Path]
    sockets: list[Path]
    sboms: list[Path]
    secrets: list[Path]

    def describe(self) -> list[str]:
        """What will be removed, in words."""
        words = [f"release {record.id}" for record in self.releases]
        words += [f"secrets of release {folder.name}" for folder in self.secrets]
        words += [f"image {image}" for image in self.images]
        words += [f"name {name}, which a run that was killed has left" for name in self.names]
        return words + [f"bundle {folder.parent.name} {folder.name}" for folder in self.bundles]


def run(step: Step) -> dict[str, Any]:
    """Remove what is to go; returns `removed`, in words."""
    needed_mb, wanted = step.options["needed_mb"], set(step.options["wanted"])
    removals = plan_removals(step.host, 1 if needed_mb else step.settings.keep_releases, wanted)
    removed = removals.describe()
    if not step.check_mode:
        execute(step.host, removals)
        if step.host.docker.forget_builds(everything=bool(needed_mb)):
            removed.append("what building had left")
        check_disk(step.host, needed_mb)
    return {"changed": bool(removed), "removed": removed}


def plan_removals(host: Host, keep: int, wanted: set[str]) -> Removals:
    """Keep what runs or is stopped in a colour and the latest of the others, `keep` releases in all."""
    layout, state = host.layout, State.read(host)
    records = [Record(folder) for folder in sorted(layout.releases.glob("*")) if folder.is_dir()]
    containers = [container for replicas in state.replicas.values() for container in replicas.containers]
    held = {container.release for container in containers}
    # One that was refused cannot be gone back to, so it takes no place; one that was rolled back can, by its name.
    good = sorted((record for record in records if record.passed), key=lambda record: -record.last_accepted)
    others = [record.id for record in good if record.id not in held]
    kept = held | set(others[: max(0, keep - len(good) + len(others))])

    releases = [release for record in records if record.id in kept and (release := record.read())]
    images = {release.image for release in releases} | host.docker.images_in_use() | _renewing(host) | wanted
    folders = {bundle["folder"] for release in releases for bundle in release.bundles} | wanted
    used = {socket_dir(container.colour, container.release) for container in containers}
    if layout.active.is_symlink():
        used |= {layout.active.name, layout.active.readlink().name}
    images_to_go = [image for name in sboms.BUILT for image in host.docker.images(name) if image not in images]
    return Removals(
        releases=[record for record in records if record.id not in kept],
        images=images_to_go,
        names=foreign_names.left(layout),
        bundles=[folder for folder in sorted(layout.bundles.glob("*/*")) if str(folder) not in folders],
        sockets=[folder for folder in layout.run.glob("*-*") if folder.is_dir() and folder.name not in used],
        sboms=sboms.left_over(host, images_to_go),
        secrets=credentials.left_over(layout, kept),
    )


def _renewing(host: Host) -> set[str]:
    """The image that asks an issuer for the certificate, and that no container keeps."""
    settings = read_json(host.layout.certificate_settings) or {}
    return {settings["issuer"]["image"]} if "issuer" in settings else set()


def execute(host: Host, removals: Removals) -> None:
    """Remove it all."""
    for folder in removals.secrets:
        remove_tree(folder)
    for record in removals.releases:
        _remove(record.folder)
    for image in removals.images:
        host.docker.remove_image(image)
    foreign_names.forget_left(host)
    for folder in removals.bundles:
        _remove(folder)
    for folder in removals.sockets:
        remove_tree(folder)
    for file in removals.sboms:
        file.unlink(missing_ok=True)


def check_disk(host: Host, needed_mb: int) -> None:
    """Raise StepError where less than this is free."""
    free = free_disk_mb(host.layout.root, Path("/var/lib/docker"))
    if free < needed_mb:
        raise StepError(
            f"The disk is short: {free} MB are free after old releases were removed, and {needed_mb} MB are needed. "
            "Nothing else was changed; the live release goes on serving. `docker system df` and `du -xh / | sort -h | "
            "tail` on the machine show what is large."
        )


def _remove(folder: Path) -> None:
    """Remove a folder in such an order that what is left after a kill is not taken for a whole one."""
    for mark in ("model.yaml", "release.json"):
        (folder / mark).unlink(missing_ok=True)
    shutil.rmtree(folder)
