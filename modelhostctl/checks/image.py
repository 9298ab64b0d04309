"""Whether an image that was built elsewhere is one that this version runs, and has what the bundles need."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .. import __version__
from ..errors import StepError, UsageError

# What app/Dockerfile writes.
TITLE_LABEL, TITLE = "org.opencontainers.image.title", "modelhost"
VERSION_LABEL, SOURCE_LABEL = "org.opencontainers.image.version", "modelhost.source"
EXTRAS_LABEL, REQUIREMENTS_LABEL = "modelhost.extras", "modelhost.requirements"
USER = "10001:10001"
COMMAND = ["gunicorn", "--config", "python:modelhost.server.gunicorn_conf"]

REFERENCE = re.compile(r"[^\s@]+@sha256:[0-9a-f]{64}")
# What describes an image that is wanted, and of which kind each is.
PARTS = {"reference": str, "source": str, "extras": list, "requirements": dict}
ANOTHER = "`make image` builds and pushes one for this deployment, and prints what to write"


@dataclass(frozen=True)
class Pulled:
    """The image that is wanted: its reference, a hash of the code that it has to run, and what the bundles need of it.

    `requirements` are lock files by digest, and of which bundle each is.
    """

    reference: str
    source: str
    extras: tuple[str, ...]
    requirements: Mapping[str, str]

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Pulled:
        """Build it from what the role app_image passes; raises UsageError where that is not all of it."""
        for name, kind in PARTS.items():
            if not isinstance(given.get(name), kind):
                raise UsageError(f"pulled.{name} is {given.get(name)!r}, and has to be of the kind {kind.__name__}")
        # By a name alone the engine would pull whatever that has, or all of it.
        if not REFERENCE.fullmatch(given["reference"]):
            raise UsageError(f"pulled.reference is {given['reference']!r}, and has to be repository@sha256:... in full")
        return cls(given["reference"], given["source"], tuple(given["extras"]), given["requirements"])


def refuse_unsuitable(found: Mapping[str, Any], wanted: Pulled, architecture: str) -> None:
    """Raise StepError for an image, as `docker image inspect` describes it, that would not serve this deployment."""
    problems = image_problems(found, wanted, architecture)
    if problems:
        raise StepError(
            f"app_image_reference: {wanted.reference} {'; it '.join(problems)}. Nothing was released. {ANOTHER}"
        )


def image_problems(found: Mapping[str, Any], wanted: Pulled, architecture: str) -> list[str]:
    """What is wrong with it, each in words that go on from its name."""
    config = found.get("Config") or {}
    labels = config.get("Labels") or {}
    if found.get("Architecture") != architecture:
        return [f"is for {found.get('Architecture') or 'an unknown processor'}, and this host has {architecture}"]
    if labels.get(TITLE_LABEL) != TITLE:
        return [f"is no image of modelhost's app: its label {TITLE_LABEL} is {labels.get(TITLE_LABEL)!r}"]
    version = labels.get(VERSION_LABEL)
    if version != __version__:
        built = f"was built by modelhost {version}" if version else "does not say by which version it was built"
        return [f"{built}, and this is {__version__}"]
    source = labels.get(SOURCE_LABEL)
    if source != wanted.source:
        built = f"was built of the code {source}" if source else "does not say of which code it was built"
        return [f"{built}, and what is deployed from here is {wanted.source} (app/modelhost)"]
    problems = []
    if config.get("User") != USER:
        problems.append(f"runs as {config.get('User') or 'root'!r}, and the app is {USER}")
    if config.get("Entrypoint") or config.get("Cmd") != COMMAND:
        started = " ".join([*(config.get("Entrypoint") or []), *(config.get("Cmd") or [])])
        problems.append(f"starts {started!r}, and not {' '.join(COMMAND)!r}")
    has = labels.get(EXTRAS_LABEL, "").split()
    lacking = [extra for extra in wanted.extras if extra not in has]
    if lacking:
        problems.append(f"lacks the libraries that the bundles need: {', '.join(lacking)}")
    there = labels.get(REQUIREMENTS_LABEL, "").split()
    without = sorted(bundle for digest, bundle in wanted.requirements.items() if digest not in there)
    if without:
        problems.append(f"was built without the requirements of {', '.join(without)}")
    return problems
