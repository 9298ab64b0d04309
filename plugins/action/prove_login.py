"""See an account let this machine in by one of the keys that it is to keep, and become root."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.public_keys import fingerprint_of_file, fingerprints
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.ssh_login import Answer, Host, explain
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.where_defined import where_defined

LEFT = "Nothing was taken away: the keys that were there before, and root's login, are as they were."
BECOME_ROOT = ("sudo", "-n", "true")
# Of -o the first value counts; -v counts after a -q.
FIRST, LAST = ("-o", "FingerprintHash=sha256"), ("-v",)


class ActionModule(ActionBase):
    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return C(key), the fingerprint of the key that let this machine in; otherwise fail with what to do."""
        task_vars = task_vars or {}
        result: dict[str, Any] = super().run(tmp, task_vars) | {"changed": False}
        user, keys = self._task.args["user"], self._task.args["keys"]
        host = Host.of(task_vars, self._templar)
        answer = log_in(host, user, keys)
        problem = problem_of(answer, host, user, keys, where_defined("deploy_user_authorized_keys", task_vars))
        return result | ({"failed": True, "msg": f"{problem} {LEFT}"} if problem else {"key": accepted(answer)})


def log_in(host: Host, user: str, keys: list[str]) -> Answer:
    """As the next run will; where ssh takes a key that is not to be kept, and may choose, once more by the others."""
    answer = host.run(user, *BECOME_ROOT, first=FIRST, last=LAST)
    kept = fingerprints(keys)
    if host.private_key or answer.returncode == 255 or accepted(answer) in kept:
        return answer
    with tempfile.TemporaryDirectory() as folder:
        # A file that ssh would look into, or the public key of one that an agent holds.
        files = [file for file in host.identity_files() if fingerprint_of_file(file) in kept]
        for number, key in enumerate(keys):
            files.append(Path(folder, f"{number}.pub"))
            files[-1].write_text(f"{key.strip()}\n")
        only = [word for file in files for word in ("-i", str(file))]
        again = host.run(user, *BECOME_ROOT, first=(*FIRST, "-o", "IdentitiesOnly=yes", *only), last=LAST)
    return answer if again.returncode == 255 else again


def accepted(answer: Answer) -> str | None:
    """The fingerprint of the key that let a login in; with those that ssh -v tells earlier, it could not sign."""
    found = re.findall(r"Server accepts key: .*(SHA256:\S+)", answer.stderr)
    return found[-1] if found else None


def problem_of(answer: Answer, host: Host, user: str, keys: list[str], where: str) -> str | None:
    """What is wrong with a login, and what to write."""
    kept = fingerprints(keys)
    private = f"{host.where.split(':')[0]}, for example: ansible_ssh_private_key_file: ~/.ssh/id_ed25519."
    if answer.returncode == 255:
        said = "\n".join(line for line in answer.stderr.splitlines() if not line.startswith(("debug", "OpenSSH_")))
        if "Permission denied" not in said:
            return explain(said, host, [user])
        return (
            f"{user} does not let this machine in at {host.address} by any of the keys that are to be its only ones "
            f"({', '.join(sorted(kept))}). Add this machine's public key to deploy_user_authorized_keys in {where}, "
            f"or name the private key of one of them in {private}"
        )
    if (by := accepted(answer)) not in kept:
        return (
            f"{user} lets this machine in at {host.address} by {by or 'other means than a key'}, which is not among "
            f"the keys that are to be its only ones ({', '.join(sorted(kept))}). Add that key to "
            f"deploy_user_authorized_keys in {where}, or name the private key of one of them in {private}"
        )
    if answer.returncode:
        return f"{user} logs in at {host.address} but cannot become root by sudo. Look at /etc/sudoers.d/modelhost."
    return None
