"""Public SSH keys as an inventory names them: what is wrong with one, and its fingerprint. ssh-keygen reads them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

# Keys that the project's documents show, or have shown, by their second word. A test holds that there are no others.
EXAMPLES = {"AAAAC3NzaC1lZDI1NTE5AAAAI..."}
# The first word of a line in a .pub file.
KIND = re.compile(r"(ssh|ecdsa|sk)-[a-z0-9@.-]+")


def problems(keys: object) -> list[str]:
    """What of this is no key to let in by, in words; a private key is not repeated."""
    if not isinstance(keys, list):
        return [f"one {'text' if isinstance(keys, str) else 'value'} instead of a list"]
    found = [(number, _problem(str(key).strip())) for number, key in enumerate(keys, start=1)]
    return [f"as key {number} {problem}" for number, problem in found if problem]


def fingerprints(keys: list[str]) -> set[str]:
    """The keys' fingerprints, as ssh prints them."""
    return {found for key in keys if (found := _fingerprint("-", key))}


def fingerprint_of_file(path: Path) -> str | None:
    """The fingerprint of a key file, private or public; None where it holds no key that can be read."""
    return _fingerprint(str(path))


def _fingerprint(file: str, content: str = "") -> str | None:
    # The user's own settings do not reach ssh-keygen; without -E it prints SHA-256 already, and says so.
    command = ["ssh-keygen", "-l", "-E", "sha256", "-f", file]
    read = subprocess.run(command, input=content, capture_output=True, text=True, check=False)
    return read.stdout.split()[1] if read.returncode == 0 else None


def _problem(key: str) -> str | None:
    words = key.split()
    if not words:
        return "an empty text"
    if "PRIVATE KEY" in key:
        return "a private key, which nobody but its owner may have; the public one is in the file that ends in .pub"
    if len(key.splitlines()) > 1:
        return f"{len(key.splitlines())} lines, where each key is a text of its own"
    if len(words) == 1 and key.startswith(("~", "/", ".")) | key.endswith(".pub"):
        return f'the file name "{key}" instead of what is in that file'
    if EXAMPLES & set(words):
        return f'the documents\' example "{key}", whose private key nobody has'
    if not KIND.fullmatch(words[0]):
        behind = re.search(rf"\s{KIND.pattern}\s+AAAA", key)
        if behind:
            return f"the options {key[: behind.start()]} before a key: Ansible has to run anything as this account"
        return f'"{_shortened(key)}"'
    if "-cert-" in words[0]:
        return f'the certificate "{_shortened(key)}" instead of a key'
    if not _fingerprint("-", key):
        return f'"{_shortened(key)}", which is cut off or mistyped: ssh-keygen cannot read it'
    return None


def _shortened(key: str) -> str:
    return key if len(key) <= 60 else f"{key[:30]}...{key[-25:]}"
