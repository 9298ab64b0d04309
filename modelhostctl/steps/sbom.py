"""Print what a release or an image is made of: Debian packages, Python distributions, models and their files (SBOM).

The format is CycloneDX 1.6, in JSON: `modelhostctl sbom > release.cdx.json`. It is kept from when the release was
prepared; of one that an older version has prepared it is made now. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ..errors import StepError, UsageError
from ..host.docker import Image
from ..host.host import Host
from ..options import Option
from ..store import sboms
from ..store.cyclonedx import Sbom, text_of
from ..store.release import Record
from ..view.state import State
from .step import Step

OPTIONS = [
    Option("release", "the id of a release; empty: the live one", default="", positional=True),
    Option("image", "an image instead, as name:tag or the beginning of that, such as modelhost-proxy", default=""),
    Option("all", "the release and every image, as files for a play", "bool", False),
]


def run(step: Step) -> dict[str, Any]:
    """Look; returns the document as `lines` and `sbom`, or with `all` each one's text by its file's name in `files`.

    With `all` what cannot be listed is said in `unlisted`, and the step fails, with the rest in `files`.
    """
    release, image = step.options["release"], step.options["image"]
    if image and (release or step.options["all"]):
        raise UsageError("image is for one image alone; leave the other options out")
    if step.options["all"]:
        return _all(step.host, release)
    if image:
        return _printed(sboms.of_image(step.host, _image(step.host, image)))
    return _printed(_of_release(step.host, release))


def _printed(sbom: Sbom) -> dict[str, Any]:
    return {"lines": text_of(sbom).splitlines(), "sbom": sbom}


def _all(host: Host, release: str) -> dict[str, Any]:
    release = release or _live(host)
    wanted: list[tuple[str, Callable[[], Sbom]]] = [(f"release {release}", partial(_of_release, host, release))]
    wanted += [(f"image {image.name}", partial(sboms.of_image, host, image)) for image in sboms.find_images(host)]
    found, unlisted = {}, []
    for what, make in wanted:
        try:
            sbom = make()
        except (StepError, OSError) as error:
            unlisted.append(sboms.problem(what, error))
            continue
        component = sbom["metadata"]["component"]
        name = f"{component['name']}-{component['version']}".replace("/", "-")
        found[f"{name}.cdx.json"] = sbom
    lines = [f"{name}: {len(sbom['components'])} components" for name, sbom in found.items()]
    answer = {"lines": lines, "files": {name: text_of(sbom) for name, sbom in found.items()}, "unlisted": unlisted}
    return {**answer, "failed": True, "msg": "\n".join(unlisted)} if unlisted else answer


def _of_release(host: Host, release: str) -> Sbom:
    return sboms.of_release(host, Record.of(host.layout, release or _live(host)))


def _live(host: Host) -> str:
    live = State.read(host).live
    if live is None:
        raise StepError("nothing is live on this host; name a release, or an image by --image")
    return live.release


def _image(host: Host, name: str) -> Image:
    images = sboms.find_images(host)
    found = [image for image in images if image.name == name] or [one for one in images if one.name.startswith(name)]
    if len(found) != 1:
        there = ", ".join(image.name for image in found or images) or "none"
        raise StepError(f"image is {name!r}, and has to be one of those on this host: {there}")
    return found[0]
