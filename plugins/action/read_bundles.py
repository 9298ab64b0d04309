"""Read model bundles on the control machine, refusing any that could not be served."""

from __future__ import annotations

import difflib
import json
import re
import sys
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.modelhost.modelhost.modelhostctl.checks.public_keys import (
    PublicKey,
    UnusableKeyError,
    read_keys,
)
from ansible_collections.modelhost.modelhost.modelhostctl.checks.signature import SignatureError
from ansible_collections.modelhost.modelhost.modelhostctl.checks.signed_files import check_signed
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.correction import correction, result_of
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.project import ROOT, start_of_relative_paths
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.where_defined import where_defined

# What makes a folder a bundle (app/modelhost/bundle/bundle.py, which is imported only where its libraries are there).
MANIFEST = "model.yaml"


class ActionModule(ActionBase):
    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return C(bundles): name, version, format, digest and path of each, and what gates and the image need.

        And C(trusted_keys), the keys one of which has signed each of them, in PEM; empty where none is asked for.
        """
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars) | {"changed": False}
        try:
            from ansible_collections.modelhost.modelhost.app.modelhost.bundle.extras import extras_of
            from ansible_collections.modelhost.modelhost.app.modelhost.bundle.lock_files import conflicts
        except ImportError as error:
            return result | {"failed": True, "msg": what_to_install(str(error.name))}

        keys, corrections = read_trusted_keys(self._task.args["trusted_keys"], task_vars)
        if corrections:
            return result | result_of(corrections)
        bundles, findings, locks = [], [], {}
        for given in self._task.args["paths"]:
            path = start_of_relative_paths() / given
            problem = problem_of_path(str(given), path)
            if problem:
                findings.append(f"- {problem}")
                continue
            try:
                bundle = read_checked(path, keys, self._task.args["allow_pickle"], task_vars)
            except ModuleNotFoundError as error:
                return result | {"failed": True, "msg": what_to_install(str(error.name))}
            except RefusedError as error:
                findings.append(f"- {error}")
                continue
            known = {"name": bundle.name, "version": bundle.version, "format": bundle.manifest.format}
            # For the gates on the host, which cannot read YAML.
            gates = {
                "golden": bundle.manifest.golden,
                "tolerance": bundle.manifest.tolerance,
                "varies": bundle.manifest.varies,
                "schema": schema_of(bundle.manifest),
                "bytes": sum(file.stat().st_size for file in path.rglob("*") if file.is_file()),
            }
            image: dict[str, Any] = {"extras": extras_of(bundle.manifest), "requirements": {}}
            if bundle.manifest.requirements:
                lock = path / bundle.manifest.requirements
                locks[f"{bundle.name} version {bundle.version}"] = lock.read_text(encoding="utf-8")
                # By its contents, so that the image follows from what is in it.
                image["requirements"] = {
                    "file": str(lock),
                    "digest": bundle.manifest.files[bundle.manifest.requirements],
                }
            bundles.append(known | {"digest": bundle.digest, "path": str(path)} | gates | image)
        extras = sorted({extra for bundle in bundles for extra in bundle["extras"]} | set(self._task.args["extras"]))
        findings += [f"- {conflict}" for conflict in conflicts(extras, locks)]
        if findings:
            where = where_defined(self._task.args["variable"], task_vars)
            hint = f"They are listed in {where}; correct the bundle, or take it off the list."
            return result | {"failed": True, "msg": "\n".join(["These bundles cannot be served:", *findings, hint])}
        return result | {"bundles": bundles, "trusted_keys": "".join(key.pem for key in keys)}


def problem_of_path(given: str, path: Path) -> str | None:
    """Say why this is not the folder of a bundle, and which was probably meant; None where it may be one."""
    if re.search(r"\s- ", given):
        items = re.split(r"\s+- ", given)
        return f'"{given}" is one item of {len(items)} lines: begin the line of each "- " in the same column'
    if (path / MANIFEST).exists():
        return None
    versions = sorted((found.parent.name for found in path.glob(f"*/{MANIFEST}")), key=_as_number)
    if versions:
        kept = ", ".join(versions)
        return (
            f"{given} is a model, of which the list has to name a version ({kept}), for example: {given}/{versions[-1]}"
        )
    if path.is_dir():
        return None
    folder = path.parent.parent
    there = {str(found.parent.relative_to(folder)): found.parent for found in folder.glob(f"*/*/{MANIFEST}")}
    near = difflib.get_close_matches(str(path.relative_to(folder)), there, n=1, cutoff=0.7)
    if not near:
        return f"there is no folder {path}"
    meant, start = there[near[0]], start_of_relative_paths()
    relative = not Path(given).is_absolute() and meant.is_relative_to(start)
    return f"there is no folder {path}; did you mean {meant.relative_to(start) if relative else meant}?"


def _as_number(version: str) -> tuple[int, str]:
    return (int(version), "") if version.isdecimal() else (0, version)


class RefusedError(Exception):
    """A bundle that this deployment does not serve; says which, and what to do."""


def read_checked(path: Path, keys: list[PublicKey], allow_pickle: list[str], task_vars: dict[str, Any]) -> Any:
    """Read a bundle as the server does, and hold it to what the deployment allows; raises RefusedError."""
    from ansible_collections.modelhost.modelhost.app.modelhost.bundle.bundle import BundleError, read_bundle
    from ansible_collections.modelhost.modelhost.app.modelhost.bundle.pickle_scan import refuse_dangerous_pickles

    try:
        if keys:  # first of all: what no one trusted has signed is not read any further
            check_signed(path, keys)
        bundle = read_bundle(path)
        refuse_dangerous_pickles(path, bundle.manifest)
    except SignatureError as error:
        raise RefusedError(f"{path.parent.name} version {path.name} ({path}): {error}") from error
    except BundleError as error:
        raise RefusedError(str(error)) from error
    except OSError as error:
        raise RefusedError(f"{error}: allow whoever runs Ansible to read it") from error
    if bundle.manifest.format == "pickle" and bundle.name not in allow_pickle:
        raise RefusedError(pickle_refusal(bundle.name, bundle.version, allow_pickle, task_vars))
    return bundle


def what_to_install(package: str) -> str:
    """Tell where the package has to be, and how it gets there."""
    return (
        f"Reading bundles needs the Python package {package}, which is not where Ansible runs. Type: "
        f"{sys.executable} -m pip install -r {ROOT / 'requirements.txt'}; a checkout's `make .venv` has it."
    )


def read_trusted_keys(given: list[str], task_vars: dict[str, Any]) -> tuple[list[PublicKey], list[str]]:
    """Read the public keys, which are files or PEM themselves; return them, and a line for each that is none."""
    keys, corrections = [], []
    for value in given:
        try:
            text = value if "-----BEGIN" in value else (start_of_relative_paths() / value).read_text(errors="replace")
            keys += read_keys(text)
        except OSError as error:
            corrections.append(key_correction(value, f"that file cannot be read ({error.strerror})", task_vars))
        except UnusableKeyError as problem:
            corrections.append(key_correction(value, f"it {problem}", task_vars))
    return keys, corrections


def key_correction(value: str, problem: str, task_vars: dict[str, Any]) -> str:
    """Say which key is wrong, but not what it is where it may be a private one."""
    received = json.dumps(value) if "-----BEGIN" not in value else "a text"
    return correction("release_trusted_keys", received, problem, 'release_trusted_keys: ["keys/team.pub"]', task_vars)


def pickle_refusal(name: str, version: int, allowed: list[str], task_vars: dict[str, Any]) -> str:
    """Say that a model is a pickle, what that means, and what to write where the deployment trusts it."""
    return (
        f"{name} version {version} is a pickle, which can run any code on the host: pack it as onnx or skops, or, "
        f"where you trust whoever made it, edit {where_defined('release_allow_pickle', task_vars)}: "
        f"release_allow_pickle: [{', '.join(sorted({*allowed, name}))}]"
    )


def schema_of(manifest: Any) -> dict[str, Any]:
    """The fields that clients send and get, by name. An input with features is sent as a whole, or by those."""
    from msgspec import UNSET  # the app's, as above

    inputs: dict[str, Any] = {}
    for given in manifest.inputs:
        known = {"datatype": given.datatype, "nullable": given.nullable}
        required = given.default is UNSET and not given.features
        inputs[given.name] = {**known, "shape": list(given.shape), "required": required}
        for feature in given.features:
            more = {"shape": [], "nullable": feature.nullable, "required": feature.default is UNSET}
            inputs[feature.name] = {**known, **more}
    outputs = {
        field.name: {"datatype": field.datatype, "shape": list(field.shape)}
        | ({"nullable": field.nullable is not False} if field.datatype.startswith("FP") else {})
        for field in manifest.outputs
    }
    return {"inputs": inputs, "outputs": outputs}
