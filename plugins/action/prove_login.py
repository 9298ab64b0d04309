"""See an account let this machine in by one of the keys that it is to keep, and become root."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.modelhost.modelhost.plugins.plugin_utils import ssh_settings
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.login import NO_CONNECTION, Answer, Login
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.login_problems import fields, problem_of
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.private_keys import identity_files
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.public_keys import fingerprint_of_file, fingerprints
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.where_defined import where_defined

LEFT = "Nothing was taken away: the keys that were there before, and root's login, are as they were."
BECOME_ROOT = "sudo -n true"
# Of -o the first value counts; -v counts after a -q.
FIRST, LAST = ("-o", "FingerprintHash=sha256"), ("-v",)


class ActionModule(ActionBase):
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return C(key), the fingerprint of the key that let this machine in; otherwise fail with what to do."""
        task_vars = task_vars or {}
        result: dict[str, Any] = super().run(tmp, task_vars) | {"changed": False}
        user, keys = self._task.args["user"], self._task.args["keys"]
        login = Login(self)
        answer = log_in(login, user, keys)
        problem = problem_with(answer, login, user, keys, task_vars)
        return result | ({"failed": True, "msg": f"{problem} {LEFT}"} if problem else {"key": accepted(answer)})


def log_in(login: Login, user: str, keys: list[str]) -> Answer:
    """As the next run will; where ssh takes a key that is not to be kept, and may choose, once more by the others."""
    answer = attempt(login, user, FIRST)
    kept = fingerprints(keys)
    if login.option("private_key_file") or answer.returncode == NO_CONNECTION or accepted(answer) in kept:
        return answer
    with tempfile.TemporaryDirectory() as folder:
        # A file that ssh would look into, or the public key of one that an agent holds.
        files = [file for file in identity_files(ssh_settings.read(login)) if fingerprint_of_file(file) in kept]
        for number, key in enumerate(keys):
            files.append(Path(folder, f"{number}.pub"))
            files[-1].write_text(f"{key.strip()}\n")
        only = [word for file in files for word in ("-i", str(file))]
        again = attempt(login, user, (*FIRST, "-o", "IdentitiesOnly=yes", *only))
    return answer if again.returncode == NO_CONNECTION else again


def attempt(login: Login, user: str, first: tuple[str, ...]) -> Answer:
    """One login, by no connection that is open already, and by no password."""
    return login.run(BECOME_ROOT, user=user, shared=False, by_key=True, first=first, last=LAST)


def accepted(answer: Answer) -> str | None:
    """The fingerprint of the key that let a login in; with those that ssh -v tells earlier, it could not sign."""
    found = re.findall(r"Server accepts key: .*(SHA256:\S+)", answer.stderr)
    return found[-1] if found else None


def problem_with(answer: Answer, login: Login, user: str, keys: list[str], task_vars: dict[str, Any]) -> str | None:
    """What is wrong with a login, and what to write."""
    kept = ", ".join(sorted(fingerprints(keys)))
    where = where_defined("deploy_user_authorized_keys", task_vars)
    place = fields(login, user, task_vars)
    address, private = (
        place["address"],
        f"{place['file']}, for example: ansible_ssh_private_key_file: ~/.ssh/id_ed25519.",
    )
    if answer.returncode < 0 or answer.returncode == NO_CONNECTION:
        problem = problem_of(answer, login, user, task_vars)
        if not problem.denied:
            return problem.words
        return (
            f"{user} does not let this machine in at {address} by any of the keys that are to be its only ones "
            f"({kept}). Add this machine's public key to deploy_user_authorized_keys in {where}, or name the private "
            f"key of one of them in {private}"
        )
    if (by := accepted(answer)) not in fingerprints(keys):
        return (
            f"{user} lets this machine in at {address} by {by or 'other means than a key'}, which is not among "
            f"the keys that are to be its only ones ({kept}). Add that key to deploy_user_authorized_keys in {where}, "
            f"or name the private key of one of them in {private}"
        )
    if answer.returncode:
        return f"{user} logs in at {address} but cannot become root by sudo. Look at /etc/sudoers.d/modelhost."
    return None
