"""What the server's image has for a bundle, and a process on this machine that has no more than that.

A bundle that loads only here - by a library, a module or a file that the server lacks - must not be
called good. There are two ways to find out:

- this Python with all else hidden: quick, and needs no network. Where a library has another version
  here than there, a note says so;
- an environment made of the image's own lock files (`clean_environment.py`).
"""

import importlib.util
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import metadata
from inspect import getmodulename
from pathlib import Path, PurePath

from packaging.utils import canonicalize_name

from modelhost.bundle.extras import extras_of
from modelhost.bundle.lock_files import LockError, Pin, conflicts, locks_of
from modelhost.bundle.manifest import BundleError, label, read_manifest

PACKAGE = Path(__file__).parents[1]
# Builds of the same library under another name: what has the one may do with the other.
STAND_IN = {"xgboost": "xgboost-cpu", "onnxruntime-gpu": "onnxruntime"}
# What a process needs of its environment: a token that only this machine has would hide what the server misses.
KEPT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR")


@dataclass(frozen=True)
class Installed:
    """What this Python has of the image's distributions."""

    modules: dict[str, str] = field(default_factory=dict)  # where each top-level module lies
    owners: dict[str, str] = field(default_factory=dict)  # by module, its distribution
    versions: dict[str, str] = field(default_factory=dict)  # by distribution, as the image calls it


def lock_texts(directory: Path) -> dict[str, str]:
    """The lock files that the image of the bundle in `directory` is made of; raises BundleError.

    So too where the bundle's own contradicts the server's, as after an upgrade of the server.
    """
    manifest, _ = read_manifest(directory)
    extras = extras_of(manifest)
    texts = locks_of(extras)
    if not manifest.requirements:
        return texts
    try:
        own = (directory / manifest.requirements).read_text(encoding="utf-8")
        refused = conflicts(extras, {f"{manifest.name} version {manifest.version}": own})
    except (OSError, UnicodeDecodeError, LockError) as error:
        raise BundleError(f"{label(directory)}: requirements: {manifest.requirements} {error}") from error
    if refused:
        raise BundleError(f"{label(directory)}: requirements: {refused[0]}")
    return {**texts, "requirements": own}


def installed(pins: dict[str, Pin]) -> Installed:
    """What of `pins` is installed here, whatever its version."""
    found = Installed()
    for distribution in metadata.distributions():
        own = canonicalize_name(distribution.name or "")
        name = STAND_IN.get(own, own)
        if name not in pins or name in found.versions:  # the first on sys.path is the one that is imported
            continue
        found.versions[name] = distribution.version
        for module in _top_level(distribution):
            found.modules.setdefault(module, str(distribution.locate_file("")))
            found.owners.setdefault(module, name)
    return found


def run_isolated(python: Path | str, module: str, argument: Path, here: Installed | None) -> tuple[int, str, str]:
    """Run a module of this package with an argument in `python`, which can import no more than `here` says.

    None is for a Python that has what the image has, and nothing else. Returns the exit code and both outputs.
    Neither the current directory nor the home directory nor variables are those of whoever asks.
    """
    asked = {
        "package": str(PACKAGE), "run": module, "arguments": [str(argument)],
        "modules": here.modules if here else None, "distributions": list(here.versions) if here else [],
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="modelhost-") as elsewhere:
        environment = {name: os.environ[name] for name in KEPT if name in os.environ}
        environment |= {"HOME": elsewhere, "USERPROFILE": elsewhere}
        environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # as gunicorn_conf.py has it
        ended = subprocess.run(
            [str(python), "-I", str(Path(__file__).with_name("isolation.py"))], cwd=elsewhere, env=environment,
            input=json.dumps(asked), capture_output=True, text=True, encoding="utf-8", errors="replace", check=False,
        )  # fmt: skip
    return ended.returncode, ended.stdout, ended.stderr


def differences(pins: dict[str, Pin], here: Installed, imported: list[str]) -> list[str]:
    """Where what the model imports (top-level modules) has another version here than in the image, in words."""
    names = sorted({here.owners[module] for module in imported if module in here.owners})
    return [
        f"{name} is {here.versions[name]} here and {pins[name].version} there"
        for name in names
        if here.versions[name] != pins[name].version
    ]


def hint(missing: str, pins: dict[str, Pin], here: Installed) -> str:
    """What to do where a bundle was refused for want of the module `missing`; empty where that is not known."""
    top = missing.partition(".")[0]
    if top in here.owners:
        return ""
    owners = metadata.packages_distributions().get(top, [])
    if not owners and (path := _file_of(top)):
        return f"here it is {path}, which the server will not have: add --with {path}"
    if not owners:
        absent = [name for name in pins if name not in here.versions and pins[name].holds_here()]
        near = next((name for name in absent if name.replace("-", "_") == top), "")
        return (
            f"the image has {pins[near].line}, and this Python does not: run `check --clean`, whose environment has it"
            if near
            else ""
        )
    return (
        f"{owners[0]} is installed here, but the server's image does not have it: pack the model with --requirements, "
        f"a file with the line {owners[0]}"
    )


def _file_of(module: str) -> Path | None:
    """Where this process, unlike the isolated one, finds a module that no distribution has."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    path = Path(spec.origin) if spec and spec.origin else None
    return path.parent if path and path.name == "__init__.py" else path


def _top_level(distribution: metadata.Distribution) -> set[str]:
    """The modules that a distribution installs at the top, as it says itself and as its files show."""
    said = (distribution.read_text("top_level.txt") or "").split()
    return {*said, *_from_files(distribution)}


def _from_files(distribution: metadata.Distribution) -> Iterator[str]:
    for file in distribution.files or []:
        top = PurePath(file).parts[0]
        name = getmodulename(top) if len(PurePath(file).parts) == 1 else top
        if name and name.isidentifier():
            yield name
