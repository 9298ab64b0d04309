#!/usr/bin/env python3
"""From nothing to a live endpoint on a rented machine: playbooks/provision.yml, site.yml, a request to what it made.

`make launch` runs this. Its price is asked for before anything is made; --yes answers beforehand.
"""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
# A request that no one waits for any longer fails, and so does one that is answered by an error.
CURL_OPTIONS = ["--silent", "--show-error", "--fail-with-body", "--max-time", "30"]


def main() -> int:
    """Run all stages; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of the deployment, of its machine and of its folder under inventory/")
    parser.add_argument("--yes", action="store_true", help="make it at the price that is shown, without a question")
    parser.add_argument(
        "--inventories", type=Path, default=PROJECT / "inventory", metavar="DIR", help="where its folder is"
    )
    parser.add_argument(
        "--deploy", default="site.yml", metavar="PLAYBOOK", help="what deploys to it (default site.yml)"
    )
    parser.add_argument(
        "-e", "--extra-vars", action="append", default=[], metavar="VARS", help="handed on to provision.yml"
    )
    options = parser.parse_args()
    folder = options.inventories / options.name
    # In the order of what the playbooks print, also into a pipe.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    with tempfile.TemporaryDirectory() as kept:
        stages = Path(kept, "stages")
        try:
            given = [*options.extra_vars, f"provision_name={options.name}", *(["confirm=yes"] if options.yes else [])]
            # Of a deployment that is not there yet, nothing is to be read.
            where = folder if folder.exists() else "localhost,"
            play("playbooks/provision.yml", where, stages, *(word for one in given for word in ("-e", one)))
            play(options.deploy, folder, stages)
        except subprocess.CalledProcessError as error:
            print(
                f"\nlaunch: {Path(error.cmd[1]).name} failed; its output is above. Type the same to go on.",
                file=sys.stderr,
            )
            return 1
        finally:
            print_stages(stages)
    return tell(folder)


def play(playbook: str, inventory: object, stages: Path, *options: str) -> None:
    """Run a playbook, whose output goes to the screen as it comes."""
    program = Path(sys.executable).with_name("ansible-playbook")
    enabled = {"ANSIBLE_CALLBACKS_ENABLED": "modelhost.modelhost.stages", "MODELHOST_STAGES_FILE": str(stages)}
    subprocess.run(
        [program, playbook, "-i", str(inventory), *options], cwd=PROJECT, check=True, env=os.environ | enabled
    )


def print_stages(file: Path) -> None:
    """Print how long each play took; one that several playbooks have in common once."""
    seconds: dict[str, float] = {}
    for line in file.read_text().splitlines() if file.exists() else []:
        took, name = line.split("\t", 1)
        seconds[name] = seconds.get(name, 0.0) + float(took)
    print("\nHow long it took:")
    for name, spent in [*seconds.items(), ("in all", sum(seconds.values()))]:
        if spent >= 0.05:
            print(f"  {spent:6.1f} s  {name}")


def tell(folder: Path) -> int:
    """Say where the endpoint is and how to ask it, and do so."""
    report = {"ANSIBLE_STDOUT_CALLBACK": "modelhost.modelhost.report"}
    program = Path(sys.executable).with_name("ansible-playbook")
    shown = subprocess.run(
        [program, "playbooks/endpoint.yml", "-i", str(folder)],
        cwd=PROJECT, env=os.environ | report, stdout=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    print(f"\n{shown.stdout}", end="")
    commands = [line.strip() for line in shown.stdout.splitlines() if line.strip().startswith("curl ")]
    if shown.returncode or not commands:
        return 1
    if not shutil.which("curl"):
        print("\nThere is no curl here to type that with.")
        return 0
    answered = subprocess.run([*shlex.split(commands[0]), *CURL_OPTIONS], capture_output=True, text=True, check=False)
    print(f"\n{answered.stdout.strip()}")
    if answered.returncode:
        print(
            f"launch: it does not answer that from here: {answered.stderr.strip()}. `make status "
            f"WHERE={folder.name}` shows how it is.",
            file=sys.stderr,
        )
        return 1
    print(f"\n`make status WHERE={folder.name}` shows how it is, `make unprovision NAME={folder.name}` gives it back.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
