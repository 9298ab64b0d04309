"""The machine that is audited: bare, then deployed to by site.yml with HTTPS, hardening, and two clients with keys."""

import json
import re
import time
from pathlib import Path
from typing import Any

import victim
import vm

PROJECT = Path(__file__).resolve().parents[2]
WORK = PROJECT / ".cache" / "audit"
PLAY_SECONDS = {"release_watch_seconds": 2}
CLIENTS = ["alice", "bob"]
BODY, ANSWER = b'{"index": 2}', b'"blue"'


class Target(victim.Machine):
    """A machine called `name` that is made, deployed to with the examples, and attacked."""

    def __post_init__(self) -> None:
        self.made = False
        self.folder = WORK / self.name
        self.log = WORK / f"{self.name}.log"
        self.container = f"modelhost-{self.name}"
        self.wanted = PLAY_SECONDS | self.wanted
        self.keys: dict[str, str] = {}
        # A hidden file, because Ansible would read another one as inventory.
        self._keys_file = self.folder / ".keys.json"

    def boot(self) -> None:
        """Have the bare machine."""
        self.remove()
        WORK.mkdir(parents=True, exist_ok=True)
        self.log.write_text("")
        self.make()

    def make(self) -> None:
        """Start it, and write its inventory."""
        vm.start(self.name, self.folder)

    def runs(self) -> bool:
        """Whether it is there and on."""
        return vm.state(self.container) == "running"

    def resume(self) -> bool:
        """Use the machine that an earlier run has left, if there is one."""
        if not self.runs() or not self._keys_file.exists():
            return False
        self.keys = json.loads(self._keys_file.read_text())
        self.made = True
        return True

    def deploy_everything(self) -> float:
        """Make a key for each client and run site.yml; returns its seconds. Raises victim.MachineError."""
        self.keys = {client: self.make_key(client) for client in CLIENTS}
        self._keys_file.write_text(json.dumps(self.keys))
        first = self.must_play("site.yml")
        self.made = True
        return first.seconds

    def must_play(self, playbook: str, *options: str, **variables: Any) -> victim.Play:
        """Run a playbook that has to succeed; raises victim.MachineError."""
        run = self.play(playbook, *options, **variables)
        if run.code:
            raise victim.MachineError(f"{playbook} failed on {self.name}; its output is in {self.log}:\n{run.said}")
        return run

    def make_key(self, client: str) -> str:
        """Make a key for a client, as `make key` does; it opens the door at the next deployment."""
        printed = self.must_play("playbooks/key.yml", client=client).printed
        found = re.search(r"mh_[A-Za-z0-9_-]{43}", printed)
        if not found:
            raise victim.MachineError(f"playbooks/key.yml shows no key:\n{printed}")
        return found[0]

    def revoke_key(self, client: str) -> None:
        """Take a client's oldest key away, from the next deployment on."""
        self.must_play("playbooks/key.yml", client=client, revoke=True)

    @property
    def url(self) -> str:
        """Its address for HTTPS, as this machine reaches it."""
        return vm.https_address(self.name)

    def bearer(self, client: str = "alice") -> dict[str, str]:
        """The header that opens the door."""
        return {"Authorization": f"Bearer {self.keys[client]}"}

    @property
    def addresses(self) -> tuple[str, str]:
        """Its addresses on its own network, IPv4 and IPv6, as the attacker reaches them."""
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.GlobalIPv6Address}}{{end}}"
        four, six = vm.run("docker", "inspect", "--format", form, self.container).split()
        return four, six

    def wait_for(self, command: str, seconds: float = 30) -> None:
        """Wait until a command succeeds on the machine; raises victim.MachineError."""
        deadline = time.monotonic() + seconds
        while self.run(f"{command} >/dev/null 2>&1 && echo yes || true").strip() != "yes":
            if time.monotonic() > deadline:
                raise victim.MachineError(f"`{command}` does not succeed on {self.name} within {seconds:.0f} s")
            time.sleep(0.3)
