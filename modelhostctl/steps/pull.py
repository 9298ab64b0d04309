"""Pull the app's image by its digest, see that this version can run it, and give it the name that the release knows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..checks.image import Pulled, refuse_unsuitable
from ..host import registry
from ..host.registry import Login
from ..options import Option
from ..store.foreign_names import foreign_name
from .step import LOCK, Step

PULLED = Option(
    "pulled", "the image that is wanted: reference, source, extras, and requirements, of which bundle by digest", "dict"
)
USERNAME = Option("username", "an account of the registry; empty: none", default="")
PASSWORD = Option("password", "its password", default="", secret=True)

OPTIONS = [
    replace(PULLED, required=True),
    Option("image", "what it is called on this host, modelhost-app:sha256-<its digest>", required=True),
    USERNAME,
    PASSWORD,
    LOCK,
]


def locked(options: dict[str, Any]) -> bool:
    """The role app_image may run by itself, with no deployment around it."""
    return bool(options["lock"])


def run(step: Step) -> dict[str, Any]:
    """Do it; an image that cannot serve is not kept."""
    wanted, docker = Pulled.of(step.options["pulled"]), step.host.docker
    if step.check_mode:
        return {"changed": True, "progress": [f"would pull {wanted.reference}"]}
    # Under its own name alone it goes when no release needs it any more.
    with foreign_name(step.host, wanted.reference):
        registry.pull(wanted.reference, Login(step.options["username"], step.options["password"]))
        refuse_unsuitable(docker.inspect_image(wanted.reference), wanted, docker.architecture())
        docker.name_image(wanted.reference, step.options["image"])
    return {"changed": True, "progress": [f"pulled {wanted.reference}"]}
