"""Debian 13 with its own sshd, sudo and accounts on a port of the loopback, for the time of a test."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from debian_root import bootstrap

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
PACKAGES = ["openssh-server", "sudo", "python3", "iproute2", "locales", "sudo-rs", "rust-coreutils"]
SECONDS_TO_START = 60

# What the roles ask of systemd for sshd; there is none here.
SYSTEMCTL = """\
#!/bin/sh
case "$*" in
  *is-active*) exit 1 ;;
  *ssh*) kill -HUP "$(cat /run/sshd.pid)" ;;
esac
"""
# What all machines begin as; made once, and anew when this file changes.
ROOT = PROJECT / ".cache" / "test" / f"debian13-{hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]}"


def make_root() -> Path:
    """Bootstrap that, unless it is there."""
    if ROOT.exists():
        return ROOT
    unfinished = ROOT.with_suffix(".unfinished")
    bootstrap("trixie", PACKAGES, unfinished)
    subprocess.run(["chroot", unfinished, "localedef", "-i", "de_DE", "-f", "UTF-8", "de_DE.UTF-8"], check=True)
    (unfinished / "usr/bin/systemctl").write_text(SYSTEMCTL)
    (unfinished / "usr/bin/systemctl").chmod(0o755)
    unfinished.rename(ROOT)
    return ROOT


@dataclass(frozen=True)
class Machine:
    """One that runs."""

    port: int
    folder: Path

    @property
    def key(self) -> Path:
        """The private key that its accounts accept."""
        return self.folder / "key"

    @property
    def public_key(self) -> str:
        """Its other half."""
        return self.key.with_suffix(".pub").read_text().strip()

    @property
    def log(self) -> str:
        """What its sshd has logged."""
        return (self.folder / "sshd.log").read_text()

    def variables(self, **more: Any) -> dict[str, Any]:
        """Those of an inventory's host that lead here."""
        return {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.port,
            "ansible_ssh_private_key_file": str(self.key),
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={self.folder}/known_hosts",
        } | more


def free_port() -> int:
    """A port of the loopback at which no one listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def machine(folder: Path, prepare: str) -> Iterator[Machine]:
    """Run one, prepared by a script of bash with the functions of prepare.sh."""
    folder.mkdir(exist_ok=True)
    made = Machine(free_port(), folder)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", made.key], check=True)
    (folder / "prepare.sh").write_text(f"{(HERE / 'prepare.sh').read_text()}\n{prepare}")
    namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
    with (folder / "machine.log").open("w") as log:
        run = subprocess.Popen(
            [*namespaces, "sh", HERE / "debian_host.sh", make_root(), folder, str(made.port)], stdout=log, stderr=log
        )
    try:
        wait_for(made, run)
        yield made
    finally:
        # All of its processes and mounts end with it.
        run.kill()
        run.wait()


def wait_for(made: Machine, run: subprocess.Popen[bytes]) -> None:
    """Wait until its sshd listens."""
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and run.poll() is None:
        with socket.socket() as connection:
            if connection.connect_ex(("127.0.0.1", made.port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"the machine has no sshd: {(made.folder / 'machine.log').read_text()}")
