"""The machine that is mistreated: made, deployed to, and looked into from the side."""

import itertools
import json
import os
import re
import shlex
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bundles
import vm
from deploying import TASK_BY_TASK

PROJECT = Path(__file__).resolve().parents[2]
WORK = PROJECT / ".cache" / "chaos"
# Folders of a host that share its disk. The machine with a small one gets them from a file system in memory, because a
# container's own cannot be limited.
ON_DISK = ["/srv", "/home", "/root", "/var/lib/docker", "/var/lib/containerd", "/var/log", "/var/tmp"]
A_MOMENT_SECONDS = 0.3
VERSIONS = itertools.count(int(time.time()))


class MachineError(Exception):
    """What keeps a line of the table from being made at all."""


@dataclass(frozen=True)
class Play:
    """A run of a playbook."""

    machine: str
    code: int
    printed: str
    seconds: float

    @property
    def changes(self) -> int:
        """How many tasks changed something on the machine."""
        found = re.findall(rf"^{self.machine} .*changed=(\d+)", self.printed, re.MULTILINE)
        return int(found[-1]) if found else -1

    @property
    def said(self) -> str:
        """What it said at its end, for a message."""
        return "\n".join(self.printed.splitlines()[-25:])


@dataclass(frozen=True)
class Typed:
    """A command of the release tool, typed on the machine."""

    code: int
    printed: str

    @property
    def json(self) -> Any:
        """What it printed with --json."""
        return json.loads(self.printed)


def kill(process: int) -> None:
    """Kill a play with all that it has started on this machine."""
    os.killpg(process, signal.SIGKILL)


@dataclass
class Machine:
    """A bare machine called `name`, made with testbed/vm.py, that site.yml is run against."""

    name: str
    small_disk_gb: int = 0  # 0: as large as this machine's
    wanted: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.made = False
        self.folder = WORK / self.name
        self.bundles = WORK / f"{self.name}-bundles"
        self.log = WORK / f"{self.name}.log"
        self.container = f"modelhost-{self.name}"
        models = ["models/colours/1", "models/iris/1", "models/digits/1", bundles.burden(self.bundles)]
        self.wanted = {
            "release_models": [str(model) for model in models],
            "release_memory_limit_mb": 512,
            "release_timeout_seconds": 6,  # questions.py has predictions near it
            "release_watch_seconds": 2,
            # More than one long prediction may be under way in a worker.
            "release_threads": 4,
            **self.wanted,
        }

    def start(self, keep: bool) -> None:
        """Make it and deploy the models; raises MachineError. `keep`: one that is there already is kept."""
        if not (keep and vm.state(self.container)):
            self.remove()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.write_text("")
        vm.start(self.name, self.folder, plain_http=True, copy_of=os.environ.get("TESTBED_COPY_OF"))
        if self.small_disk_gb and not self.run("ls -d /disk || true"):
            self._limit_disk()
        first = self.play("site.yml")
        if first.code:
            raise MachineError(f"site.yml failed on {self.name}, whose output is in {self.log}:\n{first.said}")
        self.made = True

    def _limit_disk(self) -> None:
        disk = f"mkdir /disk && mount -t tmpfs -o size={self.small_disk_gb}g,mode=755 none /disk"
        move = 'cp --archive --parents "$place" /disk && mount --bind "/disk$place" "$place"'
        self.run(f"mkdir -p {' '.join(ON_DISK)} && {disk} && for place in {' '.join(ON_DISK)}; do {move}; done")

    def remove(self) -> None:
        """Leave nothing of it but the log."""
        vm.remove(self.name, self.folder)

    @property
    def url(self) -> str:
        """The address it answers at."""
        return vm.address(self.name)

    def play(
        self, playbook: str, *options: str, at: str | int = 0, act: Callable[[int], object] = kill, **variables: Any
    ) -> Play:
        """Run a playbook with what is wanted and `variables` on top.

        `at`: do `act`, which gets the play's process, a moment after a task with this in its name began, or the task of
        this number.
        """
        extra = json.dumps(self.wanted | variables)
        command = ["ansible-playbook", playbook, "-i", str(self.folder), "-e", extra, *options]
        path = f"{PROJECT / '.venv/bin'}:{os.environ['PATH']}"
        environment = os.environ | TASK_BY_TASK | {"NO_COLOR": "1", "PATH": path}
        begun, lines, tasks = time.monotonic(), [], 0
        with (
            self.log.open("a") as log,
            subprocess.Popen(
                command, cwd=PROJECT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, start_new_session=True,
            ) as process,
        ):  # fmt: skip
            assert process.stdout
            log.write(f"\n$ {shlex.join(command)}\n")
            for line in process.stdout:
                lines.append(line)
                log.write(line)
                if not line.startswith("TASK ["):
                    continue
                tasks += 1
                if at == tasks or (isinstance(at, str) and at in line):
                    time.sleep(A_MOMENT_SECONDS)
                    log.write(f"{act.__name__} here\n")
                    act(process.pid)
        return Play(self.name, process.returncode, "".join(lines), time.monotonic() - begun)

    def newer(self, code: str = bundles.COLOURS) -> list[str]:
        """What is served, with a version of the first model that the machine has never had."""
        return [str(bundles.bundle(self.bundles, next(VERSIONS), code)), *self.wanted["release_models"][1:]]

    def deploy(self, **variables: Any) -> Play:
        """Run the part of site.yml that releases."""
        return self.play("site.yml", "--tags", "release", **variables)

    def run(self, command: str) -> str:
        """Run a command on the machine, as root; raises subprocess.CalledProcessError."""
        return vm.run("docker", "exec", self.container, "sh", "-c", command)

    def tool(self, words: str) -> Typed:
        """Type `modelhostctl` and these words on the machine, as root."""
        command = ["docker", "exec", self.container, "modelhostctl", *words.split()]
        typed = subprocess.run(command, capture_output=True, text=True, check=False)
        return Typed(typed.returncode, typed.stdout + ("" if "--json" in words else typed.stderr))

    def ssh(self, command: str, seconds: float) -> bool:
        """Whether somebody who logs in gets a command done within so many seconds, on a connection of their own."""
        words = ["ssh", "-F", self.folder / ".ssh/config", "-o", "ControlPath=none", "-l", "deploy", self.name, command]
        try:
            return subprocess.run(words, capture_output=True, timeout=seconds, check=False).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    def ready(self) -> bool:
        """Whether every worker of the live release is ready, as the public address tells it."""
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as answer:
                told = json.load(answer)
        except (OSError, ValueError, vm.VMError):
            return False
        return bool(told["ready"] and told["workers_ready"] == told["workers"])

    def live(self) -> str:
        """The name of the live container."""
        colour = self.run("readlink /srv/modelhost/run/active").strip().rpartition("/")[2].partition("-")[0]
        return f"modelhost-{colour}"

    def live_release(self) -> str:
        """The release that the live container runs."""
        label = '{{index .Config.Labels "modelhost.release"}}'
        return self.run(f"docker inspect --format '{label}' {self.live()}").strip()

    def started(self) -> str:
        """When the containers that serve were started last, for comparing."""
        return self.run(f"docker inspect --format '{{{{.State.StartedAt}}}}' {self.live()} modelhost-proxy")

    def processes(self, container: str = "") -> tuple[int, int, list[int]]:
        """First process, Gunicorn's master, and workers of a container (the live one), as the machine numbers them."""
        first = int(self.run(f"docker inspect --format '{{{{.State.Pid}}}}' {container or self.live()}"))
        (master,) = self.children(first)
        return first, master, self.children(master)

    def children(self, process: int) -> list[int]:
        """The numbers of a process's children."""
        return [int(number) for number in self.run(f"cat /proc/{process}/task/{process}/children").split()]
