"""Run a command of the release tool on a host."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: modelhostctl
short_description: Run a step of a release on the host, by the tool that is there
description:
  - Runs C(modelhostctl STEP) with the options as JSON, and returns its JSON. C(modelhostctl STEP --help) on a host, or
    C(python3 -m modelhostctl STEP --help) here, explains each step, its options and what it returns.
  - Where the installed tool is not the one of this checkout, or there is none, a temporary copy runs instead.
  - Supports check mode and diff; in check mode nothing on the host is changed.
options:
  step:
    description:
      - What to do.
      - C(lock) and C(unlock) let one run at a time work on a host.
      - C(configure) leaves the settings on the host for a rollback from there.
      - C(plan) compares the wanted release with the host, in words.
      - C(prepare) writes the release's folder, and C(start) starts it in the idle colour.
      - C(gate) holds it to readiness, golden examples, latency and memory.
      - C(shadow) lets it answer what clients send to the live release, and compares.
      - C(canary) gives it a share of the requests.
      - C(switch) points nginx at it, C(watch) holds it to error rate and latency, and rolls it back over a limit.
      - C(retire) stops the colour that was live before, and C(prune) removes what no release needs that is kept.
      - C(rollback) goes back to an earlier release, and C(finish) finishes what a killed run has left.
      - C(status), C(history) and C(logs) only look.
    type: str
    required: true
    choices: [lock, unlock, configure, plan, prepare, start, gate, shadow, canary, switch, watch, retire, prune,
              rollback, finish, status, history, logs]
  options:
    description: The step's options.
    type: dict
    default: {}
  settings:
    description: What the deployment wants of every step; without it, what the last one left on the host.
    type: dict
  sha256:
    description: Set by the action plugin. The tool of this checkout.
    type: str
  tool:
    description: Set by the action plugin. A temporary copy of the tool on the host.
    type: path
"""

RETURN = """
lines: {description: What is to be shown to people., type: list}
progress: {description: "What a step measured while it worked, in words, beneath its line on the screen.", type: list}
msg: {description: "Where a step failed: why, and what to do.", type: str}
"""

INSTALLED = Path("/usr/local/bin/modelhostctl")


def main() -> None:
    """Run the module."""
    spec = {
        "step": {"type": "str", "required": True},
        "options": {"type": "dict", "default": {}},
        "settings": {"type": "dict"},
        "sha256": {"type": "str"},
        "tool": {"type": "path"},
    }
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    tool = module.params["tool"]
    if not tool:
        tool = str(INSTALLED)
        if digest_of(INSTALLED) != module.params["sha256"]:
            module.exit_json(changed=False, tool_differs=True)
    options = dict(module.params["options"])
    if module.params["settings"] is not None:
        options["settings"] = module.params["settings"]
    command = [sys.executable, tool, module.params["step"], "--options", "-"]
    done = subprocess.run(
        command + ["--check"] * module.check_mode,
        input=json.dumps(options),
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        result = json.loads(done.stdout)
    except ValueError:
        module.fail_json(
            msg=f"`{' '.join(command)}` ended with exit code {done.returncode}: {done.stderr or done.stdout}"
        )
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**result)


def digest_of(file: Path) -> str:
    """The file's SHA-256 in hexadecimal; empty where there is none."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""


if __name__ == "__main__":
    main()
