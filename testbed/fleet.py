#!/usr/bin/env python3
"""Several bare machines on one network, and one inventory for all of them.

Each is a machine as testbed/vm.py makes them: <name>-1, <name>-2 and so on, at 10.213.x.11, .12 and so on.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import vm


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="start the machines (or find them running) and write an inventory for them")
    up.add_argument("name", help="its name, for example fleet")
    up.add_argument("--count", type=int, default=3, help="how many (default 3)")
    up.add_argument("--inventory", type=Path, required=True, metavar="DIR", help="folder for hosts.yml, key and so on")
    up.add_argument("--plain-http", action="store_true", help="write an inventory that wants no TLS")
    down = commands.add_parser("down", help="remove the machines with their network and disks")
    down.add_argument("name")
    down.add_argument("--inventory", type=Path, metavar="DIR", help="remove this folder too")
    arguments = parser.parse_args()
    try:
        if arguments.command == "up":
            folder = arguments.inventory.resolve()
            start(arguments.name, folder, arguments.count, arguments.plain_http)
        else:
            remove(arguments.name, arguments.inventory)
    except subprocess.CalledProcessError as error:
        words = " ".join(str(part) for part in error.cmd)
        print(f"fleet: `{words}` failed: {(error.stderr or '').strip()}", file=sys.stderr)
        return 1
    except vm.VMError as error:
        print(f"fleet: {error}", file=sys.stderr)
        return 1
    return 0


def start(name: str, folder: Path, count: int, plain_http: bool = False) -> dict[str, str]:
    """Start the machines and write their inventory; returns the address of each on their network, by its name."""
    vm.run(vm.HERE / "engine.sh", show=True)
    network = f"modelhost-{name}"
    public_key = vm.make_key(name, folder)
    if not vm.run("docker", "network", "ls", "--quiet", "--filter", f"name=^{network}$"):
        vm.create_network(network, name)
    addresses = {}
    for number in range(1, count + 1):
        machine = f"{name}-{number}"
        addresses[machine] = start_machine(machine, number, network, folder, public_key)
    ports = {machine: vm.published_port(f"modelhost-{machine}", 22) for machine in addresses}
    vm.write_hosts(ports, folder)
    vm.write_variables(folder, plain_http)
    for machine, port in ports.items():
        if not vm.answers_ssh(port, vm.SECONDS_TO_BOOT):
            raise vm.VMError(f"{machine} did not answer SSH within {vm.SECONDS_TO_BOOT} s")
        vm.say(f"{machine} is up: {addresses[machine]}")
    return addresses


def start_machine(machine: str, number: int, network: str, folder: Path, public_key: str) -> str:
    """Have one of them run; returns its address."""
    container = f"modelhost-{machine}"
    subnet = vm.run("docker", "network", "inspect", "--format", "{{(index .IPAM.Config 0).Subnet}}", network)
    address = subnet.strip().removesuffix("0/24") + str(10 + number)
    if vm.state(container) is None:
        image = vm.run(vm.HERE / "image" / "build.sh", "trixie", show=True).splitlines()[-1]
        ports = {port: vm.free_port() for port in (22, 80, 443)}
        (folder / ".ssh" / "known_hosts").unlink(missing_ok=True)
        vm.create(machine, container, image, ports, None, folder, ["--network", network, "--ip", address])
        vm.fill(container, public_key)
    elif vm.state(container) != "running":
        vm.run("docker", "start", container)
    return address


def machines(name: str) -> list[str]:
    """The machines that there are of a fleet."""
    found = vm.run("docker", "ps", "--all", "--filter", f"name=^modelhost-{name}-[0-9]+$", "--format", "{{.Names}}")
    return sorted(line.removeprefix("modelhost-") for line in found.split())


def remove(name: str, folder: Path | None) -> None:
    """Remove the machines, their disks and their network, and the folder if one is given."""
    for machine in machines(name):
        vm.remove(machine, None)
    vm.run("docker", "network", "rm", f"modelhost-{name}", check=False)
    if folder:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
