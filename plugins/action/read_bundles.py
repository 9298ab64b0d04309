"""Read model bundles on the control machine, refusing any that could not be served."""

from __future__ import annotations

import sys
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.project import ROOT, start_of_relative_paths
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.where_defined import where_defined


class ActionModule(ActionBase):
    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return C(bundles): name, version, format, digest and path of each, and what gates and the image need."""
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars) | {"changed": False}
        try:
            from ansible_collections.modelhost.modelhost.app.modelhost.bundle.bundle import BundleError, read_bundle
            from ansible_collections.modelhost.modelhost.app.modelhost.bundle.extras import extras_of
            from ansible_collections.modelhost.modelhost.app.modelhost.bundle.lock_files import conflicts
        except ImportError as error:
            return result | {"failed": True, "msg": what_to_install(str(error.name))}

        bundles, findings, locks = [], [], {}
        for path in (start_of_relative_paths() / given for given in self._task.args["paths"]):
            if not path.is_dir():
                findings.append(f"- there is no folder {path}")
                continue
            try:
                bundle = read_bundle(path)
            except BundleError as error:
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
        extras = sorted({extra for bundle in bundles for extra in bundle["extras"]})
        findings += [f"- {conflict}" for conflict in conflicts(extras, locks)]
        if findings:
            where = where_defined(self._task.args["variable"], task_vars)
            hint = f"They are listed in {where}; correct the bundle, or take it off the list."
            return result | {"failed": True, "msg": "\n".join(["These bundles cannot be served:", *findings, hint])}
        return result | {"bundles": bundles}


def what_to_install(package: str) -> str:
    """Tell where the package has to be, and how it gets there."""
    return (
        f"Reading bundles needs the Python package {package}, which is not where Ansible runs. Type: "
        f"{sys.executable} -m pip install -r {ROOT / 'requirements.txt'}; a checkout's `make .venv` has it."
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
    outputs = {field.name: {"datatype": field.datatype, "shape": list(field.shape)} for field in manifest.outputs}
    return {"inputs": inputs, "outputs": outputs}
