"""Push an image of the app to a registry, and tell the digest by which every host can pull it."""

from __future__ import annotations

from typing import Any

from .. import __version__
from ..host import registry
from ..host.registry import Login
from ..options import Option
from ..store.foreign_names import foreign_name
from .pull import PASSWORD, USERNAME
from .step import LOCK, Step

OPTIONS = [
    Option("image", "the image, as in modelhost-app:0123456789ab", required=True),
    Option("repository", "where to push it, as in registry.example.com/team/modelhost", required=True),
    USERNAME,
    PASSWORD,
    LOCK,
]


def run(step: Step) -> dict[str, Any]:
    """Do it; returns `reference`, repository and digest."""
    image, repository, docker = step.options["image"], step.options["repository"], step.host.docker
    if step.check_mode:
        return {"changed": True, "reference": "", "progress": [f"would push {image} to {repository}"]}
    # A registry may remove what has no tag, so no tag ever goes to another image: it says of which source this one is,
    # and which of those that were built of it.
    tag = f"{__version__}-{image.rpartition(':')[2]}-{docker.inspect_image(image)['Id'].removeprefix('sha256:')[:12]}"
    with foreign_name(step.host, f"{repository}:{tag}"):
        docker.name_image(image, f"{repository}:{tag}")
        digest, new = registry.push(repository, tag, Login(step.options["username"], step.options["password"]))
    return {"changed": new, "reference": f"{repository}@{digest}", "progress": [f"pushed {repository}:{tag}"]}
