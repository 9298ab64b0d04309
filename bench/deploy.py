#!/usr/bin/env python3
"""Time a first deployment and one with nothing to change, against the floor: the same steps in a plain shell script;
and a start of what was deployed.

Both run over SSH against bare machines made here, in turn, so that a noisy minute hits both. The floor does the same
installs and builds with the same files, and nothing else: no check, no account, no second run that changes nothing.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT / "testbed"))
import vm  # noqa: E402 - the project's own module, beside this folder

FLOOR = PROJECT / "bench" / "floor.sh"
COMPOSE_UP = PROJECT / "bench" / "compose_up.sh"
OURS, PLAIN = "bench-ours", "bench-plain"


def main() -> int:
    """Run the rounds and print the table; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2, help="how often each is run on a new machine (default 2)")
    parser.add_argument("--tasks", action="store_true", help="show where the time of the last runs goes, task by task")
    arguments = parser.parse_args()
    firsts, floors, agains, ups = [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        inventories = {name: Path(folder) / name for name in (OURS, PLAIN)}
        try:
            for number in range(1, arguments.rounds + 1):
                for name in (OURS, PLAIN):
                    vm.remove(name, inventories[name])
                    vm.start(name, inventories[name])
                first, output = site(inventories[OURS])
                firsts.append(first)
                floors.append(floor(inventories))
                for _ in range(2):
                    again, output_again = site(inventories[OURS])
                    agains.append(again)
                    if not re.search(r"changed=0 .*failed=0", output_again):
                        print(output_again)
                        return 1
                ups.append(compose_up(inventories[OURS]))
                print(f"round {number}: site.yml {firsts[-1]:.1f} s, the floor {floors[-1]:.1f} s, "
                      f"nothing to change {agains[-2]:.1f} and {agains[-1]:.1f} s, "
                      f"from compose up to an answer {ups[-1]:.1f} s", flush=True)  # fmt: skip
        finally:
            for name in (OURS, PLAIN):
                vm.remove(name, None)
    ratio = statistics.median(firsts) / statistics.median(floors)
    print(f"""
first site.yml on a bare machine       {statistics.median(firsts):6.1f} s
the floor: a plain shell script        {statistics.median(floors):6.1f} s
ratio                                  {ratio:6.2f}    (aim: at most 1.3)
site.yml with nothing to change        {statistics.median(agains):6.1f} s  changed=0 (aim: at most 12 s)
`docker compose up` to an answer       {statistics.median(ups):6.1f} s  (aim: under 4 s)""")
    if arguments.tasks:
        for title, text in (("first run", output), ("nothing to change", output_again)):
            print(f"\nWhere the time goes, {title}:\n" + text[text.rindex("=====") + 5 :].strip())
    return 0


def site(inventory: Path) -> tuple[float, str]:
    """Run site.yml; return its seconds and its output, which ends with the longest tasks."""
    environment = os.environ | {"ANSIBLE_CALLBACKS_ENABLED": "ansible.posix.profile_tasks", "NO_COLOR": "1"}
    command = [PROJECT / ".venv/bin/ansible-playbook", "site.yml", "-i", inventory]
    begun = time.monotonic()
    run = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    if run.returncode:
        sys.exit(run.stdout + run.stderr)
    return time.monotonic() - begun, run.stdout


def compose_up(inventory: Path) -> float:
    """Remove both containers and start them with compose; return the seconds until a prediction is answered."""
    return int(subprocess.check_output([*ssh(inventory), "sudo bash -s"], input=COMPOSE_UP.read_bytes())) / 1000


def ssh(inventory: Path) -> list[str | Path]:
    """What a command on our machine begins with."""
    return ["ssh", "-F", inventory / ".ssh" / "config", "-l", "deploy", OURS]


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
    vm.run("bash", "-c", script)
    return time.monotonic() - begun


if __name__ == "__main__":
    sys.exit(main())
