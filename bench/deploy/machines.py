"""The two machines that are deployed to, ours and the plain script's, and what is run on them."""

import os
import subprocess
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT / "testbed"))
import vm  # noqa: E402 - the project's own module, in the folder named above

FLOOR = PROJECT / "bench" / "deploy" / "floor.sh"
COMPOSE_UP = PROJECT / "bench" / "deploy" / "compose_up.sh"
OURS, PLAIN = "bench-ours", "bench-plain"


def start(inventories: dict[str, Path]) -> None:
    """Make both machines anew."""
    for name in (OURS, PLAIN):
        vm.remove(name, inventories[name])
        vm.start(name, inventories[name], plain_http=True)


def remove() -> None:
    """Leave neither."""
    for name in (OURS, PLAIN):
        vm.remove(name, None)


def address() -> str:
    """Where ours answers predictions."""
    return vm.address(OURS)


def play(playbook: str, inventory: Path, *options: str, **environment: str) -> tuple[float, str]:
    """Run a playbook; return its seconds and its output. Ends the run where it fails."""
    command = [PROJECT / ".venv/bin/ansible-playbook", playbook, "-i", inventory, *options]
    begun = time.monotonic()
    run = subprocess.run(
        command,
        cwd=PROJECT,
        env=os.environ | {"NO_COLOR": "1"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        sys.exit(run.stdout + run.stderr)
    return time.monotonic() - begun, run.stdout


def site(inventory: Path, *options: str) -> tuple[float, str]:
    """Run site.yml; its output ends with the longest tasks."""
    return play("site.yml", inventory, *options, ANSIBLE_CALLBACKS_ENABLED="ansible.posix.profile_tasks")


def ssh(inventory: Path) -> list[str | Path]:
    """What a command on our machine begins with."""
    return ["ssh", "-F", inventory / ".ssh" / "config", "-l", "deploy", OURS]


def compose_up(inventory: Path) -> float:
    """Remove both containers and start them with compose; return the seconds until a prediction is answered."""
    return int(subprocess.check_output([*ssh(inventory), "sudo bash -s"], input=COMPOSE_UP.read_bytes())) / 1000


def floor(inventories: dict[str, Path]) -> float:
    """Run the plain script with the files that site.yml wrote; return its seconds."""
    files = subprocess.check_output([*ssh(inventories[OURS]), "sudo tar -C / -c --exclude=server.sock srv/modelhost"])
    script = f"""
        set -e
        cd {PROJECT}
        ssh='ssh -F {inventories[PLAIN]}/.ssh/config {PLAIN}'
        $ssh 'tar -C / -x' < {inventories[PLAIN]}/files.tar
        $ssh 'bash -s' < {FLOOR}
    """
    (inventories[PLAIN] / "files.tar").write_bytes(files)
    begun = time.monotonic()
    subprocess.run(["bash", "-c", script], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begun
