"""Why ssh cannot use the private keys of this machine: it says "Permission denied" of most of that."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from ansible_collections.modelhost.modelhost.plugins.plugin_utils import ssh_settings
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.login import Login
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.public_keys import fingerprint_of_file, fingerprints

NO_AGENT = "none"


def identity_files(settings: ssh_settings.Settings) -> list[Path]:
    """The files in which ssh would look for private keys, whether they are there or not."""
    return [Path(name).expanduser() for name in settings.get("identityfile", [])]


def problem(login: Login) -> str | None:
    """What keeps this machine from using a key, with what to type; None where there is one that ssh can use."""
    settings = ssh_settings.read(login)
    held = _held_by_agent(settings)
    if named := login.option("private_key_file"):
        return _problem_of(Path(named).expanduser(), held)
    files = [path for path in identity_files(settings) if path.exists()]
    if not files and not held:
        return (
            "This machine has no key for ssh. Make one (ssh-keygen -t ed25519), and put the line in "
            "~/.ssh/id_ed25519.pub into the account's ~/.ssh/authorized_keys there"
        )
    problems = [_problem_of(path, held) for path in files]
    return problems[0] if problems and all(problems) and not held else None


def _problem_of(path: Path, held: set[str]) -> str | None:
    if not path.exists():
        return f"The key {path} is not there"
    if path.stat().st_mode & 0o077 and path.stat().st_uid == os.getuid():
        return f"ssh does not use the key {path}, because others on this machine can read it: chmod 600 {path}"
    # Without a passphrase; what is printed is the public half.
    read = subprocess.run(["ssh-keygen", "-y", "-P", "", "-f", path], capture_output=True, text=True, check=False)
    if read.returncode == 0:
        return None
    if "passphrase" in read.stderr:
        if fingerprint_of_file(path) in held:
            return None
        return f'The key {path} has a passphrase, and no agent holds it: eval "$(ssh-agent)" && ssh-add {path}'
    return (
        f"{path} holds no private key that ssh reads ({read.stderr.strip().splitlines()[-1]}). One that PuTTY has made "
        f"(.ppk) is turned into one: puttygen {path} -O private-openssh -o ~/.ssh/id_modelhost"
    )


def _held_by_agent(settings: ssh_settings.Settings) -> set[str]:
    agent = ssh_settings.first(settings, "identityagent") or "SSH_AUTH_SOCK"
    if agent == NO_AGENT:
        return set()
    environment = os.environ | ({} if agent == "SSH_AUTH_SOCK" else {"SSH_AUTH_SOCK": str(Path(agent).expanduser())})
    said = subprocess.run(["ssh-add", "-L"], env=environment, capture_output=True, text=True, check=False)
    return fingerprints(said.stdout.splitlines()) if said.returncode == 0 else set()
