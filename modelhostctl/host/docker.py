"""The Docker engine, through its command: the host has no library for it."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import StepError
from ..host.layout import COLOURS, REPLICAS, suffix

# A container may log without end, and without a line break. The proxy's log is what nginx has written, and is rotated.
MOST_LOG_BYTES = 16 * 1024 * 1024
MOST_PROXY_LOG_BYTES = 64 * 1024 * 1024
MOST_LINE = 16_000  # characters; the app's own lines are no longer (app/modelhost/server/logs.py)
MOST_SAID = 4000
# What an image may say of itself (image_contents.py), and how long it may take.
MOST_ANSWER_BYTES = 4 * 1024 * 1024
ANSWERS_WITHIN_SECONDS = 60

LABEL = "modelhost.release"
BASE_LABEL = "org.opencontainers.image.base.name"
NGINX = "modelhost-proxy"
# What the name of an image of the app begins with that was pulled; the digest follows (roles/app_image/vars/main.yml).
PULLED = "modelhost-app:sha256-"

# A container that can reach nothing, change nothing and leave nothing behind, not even a log. Debian's own `timeout`
# ends it, also where this process was killed.
WITHOUT_RIGHTS = [
    "docker", "run", "--rm", "--pull=never", "--network=none", "--read-only", "--user=65534:65534", "--cap-drop=ALL",
    "--security-opt=no-new-privileges", "--memory=256m", "--memory-swap=256m", "--pids-limit=32", "--log-driver=none",
    "--entrypoint=/usr/bin/timeout",
]  # fmt: skip


@dataclass(frozen=True)
class Container:
    """What the engine knows of one container: a replica, by its number, of a release in a colour."""

    colour: str
    number: int
    id: str
    release: str
    image: str
    status: str  # running, restarting, exited, ...
    health: str  # starting, healthy, unhealthy
    pid: int
    restarts: int
    exit_code: int
    killed_for_memory: bool
    started: str
    memory_limit_mb: int

    @property
    def name(self) -> str:
        """What the engine calls it."""
        return name_of(self.colour, self.number)

    @property
    def up(self) -> bool:
        """Whether it runs or is about to."""
        return self.status in {"running", "restarting", "paused"}


@dataclass(frozen=True)
class Image:
    """What the engine knows of an image: name:tag, ID, and the image that it stands on, empty if not known."""

    name: str
    id: str
    base: str


@dataclass(frozen=True)
class Docker:
    """Commands to the engine. `inherit` are file descriptors that what it starts keeps open."""

    inherit: tuple[int, ...] = ()

    def containers(self) -> list[Container]:
        """The containers that there are, by colour and number."""
        names = [name_of(colour, number) for colour in COLOURS for number in REPLICAS]
        found = json.loads(self._run(["docker", "inspect", "--type", "container", *names], check=False) or "[]")
        return sorted(map(_container, found), key=lambda container: container.name)

    def start(self, compose_file: Path, release: str, colour: str, memory_limit_mb: int | None = None) -> None:
        """Create a release's containers in a colour, instead of another release's; start those that are stopped.

        `memory_limit_mb` is for a compose file that leaves it to the machine.
        """
        compose = ["docker", "compose", "--project-name", name_of(colour), "--file", str(compose_file)]
        up = ["up", "--detach", "--no-build", "--pull", "never", "--remove-orphans"]
        given = {"COLOUR": colour, "RELEASE": release}
        if memory_limit_mb is not None:
            given["MEMORY_LIMIT_MB"] = str(memory_limit_mb)
        self._run(["env", *(f"{name}={value}" for name, value in given.items()), *compose, *up])

    def start_again(self, containers: Sequence[Container]) -> None:
        """Start stopped containers as they are."""
        self._run(["docker", "start", *(container.id for container in containers)])

    def stop(self, containers: Sequence[Container], seconds: int) -> None:
        """Ask containers to end, all at once, and wait; kill those that have not ended by then. They are kept."""
        ids = [container.id for container in containers]
        self._run(["docker", "stop", "--time", str(seconds), *ids], timeout=seconds + 60)

    def names(self) -> list[str]:
        """The names of all containers of modelhost, stopped ones too."""
        found = self._run(["docker", "ps", "--all", "--filter", "name=^modelhost-", "--format", "{{.Names}}"])
        return sorted(found.split())

    def logs(self, name: str, lines: int) -> list[str]:
        """The last lines that a container wrote."""
        text = self._read(["docker", "logs", "--tail", str(lines), name], MOST_LOG_BYTES, subprocess.STDOUT)
        return [f"{line[:MOST_LINE]} ..." if len(line) > MOST_LINE else line for line in text.splitlines()]

    def proxy_log(self, since: float) -> list[str]:
        """What nginx has logged since then (seconds since 1970); empty where there is no proxy."""
        command = ["docker", "logs", "--since", f"{since:.3f}", NGINX]
        return self._read(command, MOST_PROXY_LOG_BYTES, subprocess.DEVNULL).splitlines()

    def images(self, name: str) -> list[str]:
        """The images of a name, as name:tag."""
        return self._run(["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", name]).split()

    def running_images(self) -> list[str]:
        """The images of the containers of modelhost that run."""
        found = self._run(["docker", "ps", "--filter", "name=^modelhost-", "--format", "{{.Image}}"])
        return sorted(set(found.split()))

    def describe_images(self, names: Sequence[str]) -> list[Image]:
        """What is known of those of these images that are there."""
        if not names:
            return []
        found = json.loads(self._run(["docker", "image", "inspect", *names], check=False) or "[]")
        images = [_image(name, one) for name in names for one in found if name in (one["RepoTags"] or [])]
        return list(dict.fromkeys(images))

    def inspect_image(self, name: str) -> dict[str, Any]:
        """All that the engine knows of an image; raises StepError where it is not there."""
        found: list[dict[str, Any]] = json.loads(self._run(["docker", "image", "inspect", name]))
        return found[0]

    def has_image(self, name: str) -> bool:
        """Whether there is an image of this name; raises StepError where the engine does not say so."""
        try:
            self._run(["docker", "image", "inspect", "--format", ".", name])
        except StepError as problem:
            if "o such image" in str(problem):
                return False
            raise
        return True

    def architecture(self) -> str:
        """What this host's images have to be for, as in amd64."""
        return self._run(["docker", "version", "--format", "{{.Server.Arch}}"]).strip()

    def name_image(self, image: str, name: str) -> None:
        """Give an image one more name."""
        self._run(["docker", "image", "tag", image, name])

    def forget_name(self, name: str) -> None:
        """Take a name away, and with the last one the image; one that a container has stays."""
        self._run(["docker", "image", "rm", name], check=False)

    def ask_image(self, image: Image, script: str, *arguments: str) -> str:
        """What a shell script prints in a container of an image, its errors included; the container may do nothing."""
        name = f"asked-by-modelhostctl-{os.getpid()}"
        inside = ["--signal=KILL", str(ANSWERS_WITHIN_SECONDS), "/bin/sh", "-c", script, "sh", *arguments]
        try:
            return self._read(
                [*WITHOUT_RIGHTS, f"--name={name}", image.id, *inside],
                MOST_ANSWER_BYTES,
                subprocess.STDOUT,
                ANSWERS_WITHIN_SECONDS,
            )
        except StepError:
            raise StepError(f"a container of {image.name} did not answer within {ANSWERS_WITHIN_SECONDS} s") from None
        finally:
            # The command may have been ended, which does not end the container.
            self._run(["docker", "rm", "--force", name], check=False)

    def images_in_use(self) -> set[str]:
        """The images of all containers, stopped ones too."""
        return set(self._run(["docker", "ps", "--all", "--format", "{{.Image}}"]).split())

    def remove_image(self, image: str) -> None:
        """Forget an image, and remove its layers where no other has them."""
        self._run(["docker", "image", "rm", image])

    def forget_builds(self, everything: bool) -> bool:
        """Remove what building left: all, or what was not used for three days. Returns whether there was any."""
        how = ["--all"] if everything else ["--filter", "until=72h"]
        freed = self._run(["docker", "builder", "prune", "--force", *how], check=False).split()
        return bool(freed) and freed[-1] != "0B"

    def _read(self, command: list[str], most_bytes: int, errors: int, timeout: float = 60) -> str:
        """What a command prints, with its errors or without; of too much the beginning."""
        begun = time.monotonic()
        try:
            with subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, pass_fds=self.inherit
            ) as process:
                ends = threading.Timer(timeout, process.kill)
                ends.start()
                try:
                    found = process.stdout.read(most_bytes) if process.stdout else b""
                finally:
                    ends.cancel()
                    process.kill()
        except OSError as error:
            raise StepError(f"`{' '.join(command)}` did not end well: {error}") from None
        if time.monotonic() - begun > timeout:
            raise StepError(f"`{' '.join(command)}` did not end within {timeout:g} s")
        return found.decode(errors="replace")

    def _run(self, command: list[str], check: bool = True, timeout: float = 300) -> str:
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                stdin=subprocess.DEVNULL,
                text=True,
                errors="replace",
                pass_fds=self.inherit,
                timeout=timeout,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise StepError(f"`{' '.join(command)}` did not end well: {error}") from None
        if check and done.returncode:
            said = (done.stderr or done.stdout).strip()[:MOST_SAID]
            raise StepError(f"`{' '.join(command)}` failed: {said}")
        return done.stdout


def name_of(colour: str, number: int = 1) -> str:
    """The name of a replica's container, and of its colour's compose project."""
    return f"modelhost-{colour}{suffix(number)}"


def _image(name: str, found: dict[str, Any]) -> Image:
    labels = (found.get("Config") or {}).get("Labels") or {}
    return Image(name, found["Id"], labels.get(BASE_LABEL, ""))


def _container(found: dict[str, Any]) -> Container:
    state, config = found["State"], found["Config"]
    _, colour, *number = found["Name"].split("-")
    return Container(
        colour=colour,
        number=int(number[0]) if number else 1,
        id=found["Id"],
        release=(config["Labels"] or {}).get(LABEL, ""),
        image=config["Image"],
        status=state["Status"],
        health=(state.get("Health") or {}).get("Status", "none"),
        pid=state["Pid"],
        restarts=found["RestartCount"],
        exit_code=state["ExitCode"],
        killed_for_memory=state["OOMKilled"],
        started=state["StartedAt"],
        memory_limit_mb=found["HostConfig"]["Memory"] // (1024 * 1024),
    )
