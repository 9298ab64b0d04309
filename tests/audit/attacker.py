"""A second machine, on the network of the audited one, from which that is attacked."""

import hashlib
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import vm

if TYPE_CHECKING:
    from target import Target

FOLDER = Path(__file__).with_name("attacker")
MOST_SECONDS = 1800


class Attacker:
    """A container with nmap, testssl.sh, slowhttptest, wrk and lynis.

    `beside` is the container that it attacks. `inside`: it shares the network of that one, and is to it what a program
    on the same machine is.
    """

    def __init__(self, beside: str, inside: bool = False) -> None:
        self.name = f"{beside}-{'inside' if inside else 'attacker'}"
        self._network = f"container:{beside}" if inside else beside

    def start(self) -> None:
        """Have it; the image is built the first time (about 20 s)."""
        self.remove()
        image = build(vm.run(vm.HERE / "image" / "build.sh", "trixie").splitlines()[-1])
        vm.run("docker", "run", "--detach", "--name", self.name, "--network", self._network, image)

    def remove(self) -> None:
        """Leave nothing of it but the image."""
        vm.run("docker", "rm", "--force", self.name, check=False)

    def run(self, *words: str, text: str | None = None, seconds: float = MOST_SECONDS) -> str:
        """Run a program there; returns what it printed, whatever its exit code. Raises subprocess.TimeoutExpired."""
        command = ["docker", "exec", "--interactive", self.name, *words]
        return subprocess.run(
            command, input=text or "", capture_output=True, text=True, check=False, timeout=seconds, errors="replace"
        ).stdout

    def lend(self, target: "Target", package: str, files: str) -> None:
        """Put files of a Debian package that is installed here on the audited machine, without installing it there."""
        packed = f"docker exec {self.name} tar --create --directory / {files}"
        copy = f"{packed} | docker exec --interactive {target.container} tar --extract --directory /"
        subprocess.run(["sh", "-c", copy], check=True, capture_output=True)

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """Start a program there, to be waited for."""
        command = ["docker", "exec", self.name, *words]
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def write(self, path: str, text: str) -> None:
        """Write a file there."""
        self.run("tee", path, text=text)


def build(base: str) -> str:
    """The image's name, built if it is not there; it carries a hash of what it is made of."""
    content = (FOLDER / "Dockerfile").read_bytes() + base.encode()
    image = f"modelhost-audit-attacker:{hashlib.sha256(content).hexdigest()[:12]}"
    if not vm.run("docker", "image", "ls", "--quiet", image):
        vm.run(
            "env",
            "DOCKER_BUILDKIT=0",
            "docker",
            "build",
            "--quiet",
            "--build-arg",
            f"BASE={base}",
            "--tag",
            image,
            FOLDER,
        )
    return image
