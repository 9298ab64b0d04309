"""The audited machine with a kernel of its own (testbed/qemu.py)."""

import http.client
import shlex
import subprocess
import time
import urllib.request

import qemu
import victim
import vm
from scenery import trusting_anyone
from target import ANSWER, BODY, Target

# Its addresses as a namespace beside it reaches them (outside.py).
OUTSIDE = ("10.213.250.1", "fd6d:6f64:fa::1")
SECONDS_TO_ANSWER = 900
IDENTITY = "cat /proc/sys/kernel/random/boot_id"


class VirtualTarget(Target):
    """A machine called `name` under QEMU."""

    def make(self) -> None:
        """Start it, and write its inventory."""
        qemu.start(self.name, self.folder)

    def runs(self) -> bool:
        """Whether it is there and on."""
        return qemu.running(self.folder)

    def remove(self) -> None:
        """Leave nothing of it but the log."""
        qemu.remove(self.folder)

    def run(self, command: str) -> str:
        """Run a command on the machine, as root; raises subprocess.CalledProcessError."""
        typed = f"sh -c {shlex.quote(command)}"
        return vm.run(*(self.login("deploy", f"sudo {typed}") if self.made else self.login("root", typed)))

    def login(self, account: str, command: str) -> list[str]:
        """What runs a command on it as an account, on a connection of its own."""
        return ["ssh", "-F", str(self.folder / ".ssh/config"), "-o", "ControlPath=none", "-o", "BatchMode=yes",
                "-l", account, self.name, command]  # fmt: skip

    def reboot(self) -> float:
        """Boot it anew; returns the seconds until it answers by itself. Raises victim.MachineError."""
        before, begun = self.run(IDENTITY), time.monotonic()
        self.run("systemctl --no-block reboot")
        for wanted in (False, True):
            while self.predicts() != wanted:
                if time.monotonic() - begun > SECONDS_TO_ANSWER:
                    raise victim.MachineError(f"{self.name} does not answer {SECONDS_TO_ANSWER} s after a reboot")
                time.sleep(0.5)
        seconds = time.monotonic() - begun
        if self.run(IDENTITY) == before:
            raise victim.MachineError(f"{self.name} did not boot")
        return seconds

    def predicts(self) -> bool:
        """Whether it gives a client the right prediction over HTTPS."""
        headers = self.bearer() | {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/", data=BODY, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10, context=trusting_anyone()) as answer:
                return ANSWER in answer.read()
        except (OSError, http.client.HTTPException):
            return False

    def refusal(self, account: str) -> str:
        """What sshd says to an account with the key that the machine was made with; empty where it is let in."""
        words = self.login(account, "true")
        run = subprocess.run(words, capture_output=True, text=True, check=False)
        return "" if run.returncode == 0 else run.stderr.strip()

    @property
    def url(self) -> str:
        """Its address for HTTPS, as this machine reaches it."""
        return qemu.https_address(self.folder)

    @property
    def addresses(self) -> tuple[str, str]:
        """Its addresses, IPv4 and IPv6, as a namespace beside it reaches them."""
        return OUTSIDE

    @property
    def accelerator(self) -> str:
        """What QEMU runs it by."""
        return qemu.accelerator(self.folder)
