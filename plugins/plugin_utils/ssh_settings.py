"""What ssh would do for a host: its own configuration, below the options that Ansible gives it."""

from __future__ import annotations

import itertools
import os
import pwd
import shlex
import subprocess
import tempfile
from pathlib import Path

from ansible_collections.modelhost.modelhost.plugins.plugin_utils.login import Login

Settings = dict[str, list[str]]
FILES = ["~/.ssh/config", "/etc/ssh/ssh_config"]
NOBODY = "modelhost-nobody"


def read(login: Login, *more: str) -> Settings:
    """The values of each setting in lower case (`ssh -G`); {} where ssh does not understand its configuration."""
    ask = [login.option("ssh_executable") or "ssh", *arguments(login), *more, "-G", host_of(login)]
    said = subprocess.run(ask, capture_output=True, text=True, check=False).stdout
    settings: Settings = {}
    for line in said.splitlines():
        name, _, value = line.partition(" ")
        settings.setdefault(name, []).append(value)
    return settings


def host_of(login: Login) -> str:
    """The host as ssh is given it: an address, a name, or an entry of its configuration."""
    return str(login.option("host"))


def arguments(login: Login) -> list[str]:
    """The options by which Ansible goes there."""
    words = shlex.split(login.option("ssh_args") or "")
    if port := login.option("port"):
        words += ["-o", f"Port={port}"]
    if key := login.option("private_key_file"):
        words += ["-o", f'IdentityFile="{Path(key).expanduser()}"']
    for name in ("ssh_common_args", "ssh_extra_args"):
        words += shlex.split(login.option(name) or "")
    return words


def own_user(login: Login) -> str | None:
    """The account that the inventory, ansible.cfg or ssh's configuration names; None where ssh would take its user."""
    if named := login.option("remote_user"):
        return str(named)
    user = first(read(login), "user")
    if user != pwd.getpwuid(os.getuid()).pw_name:
        return user
    # Named, or by default? The same files once more, with another default behind them.
    files = _own_files(arguments(login)) or FILES
    with tempfile.NamedTemporaryFile("w", prefix="modelhost-", suffix=".conf") as config:
        config.write("".join(f"Include {file}\n" for file in files) + f"Match all\n  User {NOBODY}\n")
        config.flush()
        named = first(read(login, "-F", config.name), "user")
    return None if named == NOBODY else named


def _own_files(words: list[str]) -> list[str]:
    """The file of an option -F, instead of ssh's own."""
    following = dict(itertools.pairwise(words))
    joined = [word[2:] for word in words if word.startswith("-F") and word != "-F"]
    return ([following["-F"]] if "-F" in following else []) or joined


def first(settings: Settings, name: str) -> str | None:
    """The value of a setting that has one."""
    return settings.get(name, [None])[0]
