"""Read model bundles on the control machine, refusing any that could not be served."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader

PROJECT = Path(__file__).resolve().parents[2]

DOCUMENTATION = """
module: read_bundles
short_description: Verify model bundles and return their names, versions, formats and digests
description:
  - Uses the server's own reader, so what passes here is what the server accepts.
options:
  paths:
    description: Bundle directories; relative ones start at the project's folder.
    required: true
    type: list
    elements: path
  variable:
    description: The variable that the paths came from, named in an error.
    required: true
    type: str
"""


class ActionModule(ActionBase):
    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return C(bundles): mappings with name, version, format, digest, path (absolute), and what gates need."""
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars) | {"changed": False}
        sys.path.insert(0, str(PROJECT / "app"))
        try:
            from modelhost.bundle.bundle import BundleError, read_bundle
        except ImportError as error:
            message = f"Reading bundles needs {error.name}; run `make .venv` and use .venv/bin/ansible-playbook."
            return result | {"failed": True, "msg": message}
        finally:
            sys.path.pop(0)

        bundles, findings = [], []
        for path in (PROJECT / given for given in self._task.args["paths"]):
            try:
                bundle = read_bundle(path)
            except BundleError as error:
                findings.append(f"- {error}")
                continue
            told = {"name": bundle.name, "version": bundle.version, "format": bundle.manifest.format}
            # For the gates on the host, which cannot read YAML.
            gates = {
                "golden": bundle.manifest.golden,
                "tolerance": bundle.manifest.tolerance,
                "bytes": sum(file.stat().st_size for file in path.rglob("*") if file.is_file()),
            }
            bundles.append(told | {"digest": bundle.digest, "path": str(path)} | gates)
        if findings:
            where = lookup_loader.get("where_defined").run([self._task.args["variable"]], task_vars)[0]
            hint = f"They are listed in {where}; correct the bundle, or take it off the list."
            return result | {"failed": True, "msg": "\n".join(["These bundles cannot be served:", *findings, hint])}
        return result | {"bundles": bundles}
