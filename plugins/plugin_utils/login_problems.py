"""Put into words why a login did not work: which of the lists of login_words.py holds, and what they may name."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.modelhost.modelhost.plugins.plugin_utils import private_keys, ssh_settings
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.login import NO_CONNECTION, TOO_LATE, Answer, Login
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.login_words import (
    BEHIND_BASTION,
    NO_LOGIN,
    OTHER_COMMAND,
    REFUSED,
    Symptom,
)
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.where_defined import where_defined


@dataclass(frozen=True)
class Problem:
    """Why an account did not get in."""

    words: str
    # Another account of the same host may do better.
    of_account: bool = False
    # The host knows neither the account nor the key: nothing else is wrong.
    denied: bool = False


def problem_of(answer: Answer, login: Login, user: str, task_vars: dict[str, Any]) -> Problem:
    """Why an account did not get in, or did not get to run what it should; `denied` is left to be put together."""
    place = fields(login, user, task_vars)
    if answer.returncode == TOO_LATE:
        words = "its disk may hang, or a name service that it asks"
        return Problem(f"{user} gets in at {place['address']}, and then comes {answer.said}: {words}")
    if answer.returncode != NO_CONNECTION:
        return _first(OTHER_COMMAND, f"{answer.stdout}\n{answer.said}".strip(), place)
    if place["jump"] and ("UNKNOWN port 65535" in answer.said or "stdio forwarding failed" in answer.said):
        return _first(BEHIND_BASTION, answer.said, place)
    if (found := _search(REFUSED, answer.said, place)) or "Permission denied" in answer.said:
        return found or Problem("", of_account=True, denied=True)
    if found := _search(NO_LOGIN, f"{answer.said}\n{answer.greeting}", place):
        return found
    return Problem(
        "{address} does not let {user} in. {ssh_said}".format(ssh_said=_last_line("ssh", answer.said), **place)
    )


def denied(login: Login, users: list[str], task_vars: dict[str, Any]) -> str:
    """The words for accounts of which none takes this machine's key."""
    place = fields(login, users[-1], task_vars)
    password = bool(login.option("password"))
    if not password and (found := private_keys.problem(login)):
        return f"{place['address']} lets none of these accounts in: {', '.join(users)}. {found}."
    by = "key or password" if password else "key"
    return (
        f"{place['address']} lets none of these accounts in with your {by}: {', '.join(users)}. Put your public key "
        f"into the account's ~/.ssh/authorized_keys on the machine, or name the account and the private key that "
        f"are right in {place['file']}, such as ansible_user: admin and ansible_ssh_private_key_file: ~/.ssh/id_ed25519"
    )


def fields(login: Login, user: str, task_vars: dict[str, Any]) -> dict[str, str]:
    """What all words may name."""
    settings = ssh_settings.read(login) if login.by_ssh else {}
    host = ssh_settings.host_of(login)
    port = ssh_settings.first(settings, "port") or "22"
    where = where_defined("ansible_host", task_vars)
    name = ssh_settings.first(settings, "hostname") or host
    return {
        "address": name if name == host else f"{host} ({name})",
        "port": port,
        "jump": ssh_settings.first(settings, "proxyjump") or ssh_settings.first(settings, "proxycommand") or "",
        "host": host,
        "user": user,
        "where": where,
        "file": where.split(":")[0],
        "variables": where_defined("host_hardening_ssh_additional_key_exchanges", task_vars),
        "known_hosts": str(Path("~/.ssh/known_hosts").expanduser()),
        "target": name if port == "22" else f"[{name}]:{port}",
    }


def _first(symptoms: list[Symptom], said: str, place: dict[str, str]) -> Problem:
    found = _search(symptoms, said, place)
    if not found:
        raise ValueError(f"nothing matches {said!r}")
    return found


def _search(symptoms: list[Symptom], said: str, place: dict[str, str]) -> Problem | None:
    for symptom in symptoms:
        if match := re.search(symptom.said, said, re.MULTILINE):
            groups = {name: text for name, text in match.groupdict().items() if text}
            said_last = {"ssh_said": _last_line("ssh", said), "host_said": _last_line("It", said)}
            named = place | said_last | groups
            quoted = {name: shlex.quote(named[name]) for name in ("known_hosts", "target")}
            return Problem(symptom.words.format_map(named | quoted), symptom.of_account)
    return None


def _last_line(who: str, said: str) -> str:
    # A host may send anything: what a terminal would act on is left out.
    lines = ["".join(filter(str.isprintable, line)).strip() for line in said.splitlines()]
    return next((f"{who} said: {line[:300]}" for line in reversed(lines) if line), f"{who} said nothing")
