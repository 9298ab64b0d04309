"""Run a command on a host by Ansible's own connection, as one account or another, and tell how it ended."""

from __future__ import annotations

import re
import shlex
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.plugins.connection import ConnectionBase

SECONDS_TO_ANSWER = 60
# ssh's own exit code; and what stands for a command that did not end in time, and for one that was not allowed as root.
NO_CONNECTION, TOO_LATE, NOT_ROOT = 255, -1, -2
# What Ansible says before the words of ssh.
PREFIX = re.compile(
    r"^(Failed to connect to the host via \w+:|Data could not be sent to remote host .+? over ssh:)\s*", re.I
)
# What ssh -v says besides.
DEBUGGING = ("debug1: ", "debug2: ", "debug3: ", "OpenSSH_", "Authenticated to ", "Transferred: ", "Bytes per second: ")
# Of -o the first value counts, and of -S the last one.
NOT_SHARED = ("-o", "ControlMaster=no", "-o", "ControlPath=none"), ("-S", "none")
BY_KEY = ("-o", "PasswordAuthentication=no", "-o", "KbdInteractiveAuthentication=no")
# An agent's keys go before the one that is named, and sshd hangs up after six.
NAMED_KEY = ("-o", "IdentitiesOnly=yes")


@dataclass(frozen=True)
class Answer:
    """How a command ended: its exit code, or one of the above, and then stderr has the reason."""

    returncode: int
    stdout: str = ""
    stderr: str = ""

    @property
    def said(self) -> str:
        """What it said on its standard error, without what ssh -v adds."""
        return "\n".join(line for line in self.stderr.splitlines() if not line.startswith(DEBUGGING)).strip()

    @property
    def greeting(self) -> str:
        """What came instead of sshd's greeting, which ssh -v tells."""
        return "\n".join(re.findall(r"banner line \d+: .*", self.stderr))


class Login:
    """The connection of an action's task."""

    def __init__(self, action: ActionBase) -> None:
        self._action = action
        self.connection: ConnectionBase = action._connection
        # Any other kind has no accounts to choose from: this machine itself, a container.
        self.by_ssh = self.connection.transport == "ssh"

    def option(self, name: str) -> Any:
        """What the inventory, ansible.cfg or a default says of the connection; None where there is no such option."""
        try:
            return self.connection.get_option(name)
        except KeyError:
            return None

    def run(
        self,
        command: str,
        script: str = "",
        *,
        user: str | None = None,
        shared: bool = True,
        by_key: bool = False,
        become: bool = False,
        first: tuple[str, ...] = (),
        last: tuple[str, ...] = (),
    ) -> Answer:
        """Run a command with a script on its standard input, once; with options of ssh before all others, and behind.

        `shared`: by a connection that is open, or leaving one open; `by_key`: by no password, since the inventory's is
        another account's; `become`: as root, by the task's own method.
        """
        if not shared:
            first, last = (*first, *NOT_SHARED[0]), (*last, *NOT_SHARED[1])
        first = (*first, *(BY_KEY if by_key else ()), *(NAMED_KEY if self.option("private_key_file") else ()))
        try:
            with self._as(user, first, last), _within(SECONDS_TO_ANSWER):
                ended = self._action._low_level_execute_command(
                    command, sudoable=become, in_data=script.encode() or None
                )
        except AnsibleConnectionFailure as error:
            return Answer(NO_CONNECTION, stderr=PREFIX.sub("", str(error)))
        except TimeoutError as error:
            return Answer(TOO_LATE, stderr=str(error))
        except AnsibleError as error:
            if not become:
                raise
            # Of a password, the only words that Ansible has for it.
            return Answer(NOT_ROOT, stderr=str(error))
        return Answer(ended["rc"], ended["stdout"], ended["stderr"])

    def leave_shared(self, user: str | None) -> None:
        """Take no connection that an earlier run has left open: its host may have been replaced since."""
        if self.by_ssh:
            with self._as(user, (), ()):
                self.connection.reset()

    @contextmanager
    def _as(self, user: str | None, first: tuple[str, ...], last: tuple[str, ...]) -> Iterator[None]:
        """Set the connection's options for a while."""
        with ExitStack() as changed:
            if self.by_ssh:
                set_for = changed.enter_context
                # One attempt is one: what fails too often is refused for a while.
                set_for(_option(self.connection, "reconnection_retries", 0))
                set_for(_option(self.connection, "ssh_args", f"{shlex.join(first)} {self.option('ssh_args') or ''}"))
                set_for(
                    _option(
                        self.connection, "ssh_extra_args", f"{self.option('ssh_extra_args') or ''} {shlex.join(last)}"
                    )
                )
                if user:
                    set_for(_option(self.connection, "remote_user", user))
            if (become := self.connection.become) and become.name == "sudo":
                # Its words are read, and a host may speak another language. Without `env`: that of uutils 0.0.30
                # takes sudo's -S for its own.
                changed.enter_context(
                    _option(become, "become_exe", f"LC_ALL=C {become.get_option('become_exe') or 'sudo'}")
                )
            yield


@contextmanager
def _option(plugin: Any, name: str, value: Any) -> Iterator[None]:
    before = plugin.get_option(name)
    plugin.set_option(name, value)
    try:
        yield
    finally:
        plugin.set_option(name, before)


@contextmanager
def _within(seconds: int) -> Iterator[None]:
    """Raise TimeoutError if it takes longer: a host may hang behind its greeting, and ssh would wait for ever."""

    def give_up(*_: object) -> NoReturn:
        raise TimeoutError(f"no answer within {seconds} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
