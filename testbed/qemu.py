#!/usr/bin/env python3
"""A bare virtual machine with a kernel of its own, to deploy to: Debian 13 under QEMU.

It shows what a container (vm.py) cannot: AppArmor, kernel settings, swap, a boot. It is reached over SSH, as root, with
a key, by ports of 127.0.0.1. KVM is used where it starts the kernel; elsewhere software emulation, many times slower.
"""

import argparse
import base64
import functools
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import vm

HERE = Path(__file__).resolve().parent
CACHE = HERE.parent / ".cache" / "qemu"
PORTS = (22, 80, 443)
MEMORY_MB = 1024
CORES = 2
# What is tried, one after the other, with the seconds that a first boot may take.
ACCELERATORS = {
    "kvm": (["-accel", "kvm", "-cpu", "host"], 60),
    "tcg": (["-accel", "tcg,thread=multi", "-cpu", "Nehalem"], 120),
}
# What QEMU prints when KVM, itself on a virtual machine, cannot do what a kernel asks.
HOPELESS = ["KVM internal error", "emulation failure"]


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="start a machine (or find it running) and write an inventory for it")
    up.add_argument("name", help="its name")
    up.add_argument("--memory", type=int, default=MEMORY_MB, metavar="MB", help=f"default {MEMORY_MB}")
    down = commands.add_parser("down", help="remove a machine with its disk and inventory")
    url = commands.add_parser("url", help="print the address at which its port 443 answers, and nothing else")
    for command in (up, down, url):
        command.add_argument("--inventory", type=Path, required=True, metavar="DIR", help="folder for all that is its")
    arguments = parser.parse_args()
    folder = arguments.inventory.resolve()
    try:
        match arguments.command:
            case "up":
                start(arguments.name, folder, arguments.memory)
            case "down":
                remove(folder)
            case "url":
                print(https_address(folder))
    except subprocess.CalledProcessError as error:
        print(f"qemu: `{shlex.join(map(str, error.cmd))}` failed: {(error.stderr or '').strip()}", file=sys.stderr)
        return 1
    except vm.VMError as error:
        print(f"qemu: {error}", file=sys.stderr)
        return 1
    return 0


def start(name: str, folder: Path, memory_mb: int = MEMORY_MB) -> None:
    """Start a machine and write its inventory into a folder; one that runs already is left as it is."""
    built = Path(vm.run(HERE / "qemu_image" / "build.sh", CACHE, show=True).splitlines()[-1])
    public_key = vm.make_key(name, folder)
    place = _place(folder)
    if not running(folder):
        place.mkdir(exist_ok=True)
        if not (place / "disk.qcow2").exists():
            (folder / ".ssh" / "known_hosts").unlink(missing_ok=True)
            disk = built / "disk.ext4"
            vm.run("qemu-img", "create", "-q", "-f", "qcow2", "-b", disk, "-F", "raw", place / "disk.qcow2")
        (place / "ports.json").write_text(json.dumps({port: vm.free_port() for port in PORTS}))
        boot(folder, command(name, built, place, memory_mb, public_key, ports(folder)))
    vm.write_inventory(name, folder, ports(folder)[22], plain_http=False)
    published = ", ".join(f"its port {port} on 127.0.0.1:{free}" for port, free in ports(folder).items())
    say(f"{name} is up ({accelerator(folder)}): {published}")


def command(name: str, built: Path, place: Path, memory_mb: int, public_key: str, free: dict[int, int]) -> list[str]:
    """What starts it, but for the accelerator."""
    forwarded = ",".join(f"hostfwd=tcp:127.0.0.1:{outside}-:{port}" for port, outside in free.items())
    # systemd lets root's key in, as cloud-init does on a rented machine.
    key = base64.b64encode(public_key.encode()).decode()
    kernel = [
        "root=/dev/vda", "console=ttyS0", "net.ifnames=0", f"systemd.hostname={name}",
        f"systemd.set_credential_binary=ssh.authorized_keys.root:{key}",
    ]  # fmt: skip
    return [
        "qemu-system-x86_64", "-name", name, "-machine", "q35", "-m", str(memory_mb), "-smp", str(CORES),
        "-kernel", str(built / "vmlinuz"), "-initrd", str(built / "initrd.img"), "-append", " ".join(kernel),
        # The disk is not needed after this machine has lost its power.
        "-drive", f"file={place / 'disk.qcow2'},if=virtio,format=qcow2,cache=unsafe,discard=unmap",
        "-netdev", f"user,id=net,{forwarded}", "-device", "virtio-net-pci,netdev=net", "-device", "virtio-rng-pci",
        "-display", "none", "-monitor", "none", "-serial", f"file:{place / 'console.log'}",
    ]  # fmt: skip


def boot(folder: Path, words: list[str]) -> None:
    """Start QEMU with the first accelerator that gets the machine to speak SSH."""
    log = _place(folder) / "qemu.log"
    for name, (options, seconds) in ACCELERATORS.items():
        with log.open("w") as output:
            process = subprocess.Popen(
                [*words, *options], stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        # Before it answers, so that one whose start is broken off is ended too.
        (_place(folder) / "pid").write_text(str(process.pid))
        (_place(folder) / "accelerator").write_text(name)
        if vm.answers_ssh(ports(folder)[22], seconds, functools.partial(hopeless, process, log)):
            return
        process.kill()
        process.wait()
        say(f"the machine did not start with {name}")
    raise vm.VMError(f"the machine did not answer SSH; {_place(folder)} has what it and QEMU printed")


def hopeless(process: subprocess.Popen[bytes], log: Path) -> bool:
    """Whether a machine that is starting never will."""
    return process.poll() is not None or any(sign in log.read_text(errors="replace") for sign in HOPELESS)


def running(folder: Path) -> bool:
    """Whether its QEMU runs."""
    try:
        process = int((_place(folder) / "pid").read_text())
        return str(_place(folder)).encode() in Path(f"/proc/{process}/cmdline").read_bytes()
    except (OSError, ValueError):
        return False


def stop(folder: Path) -> None:
    """End its QEMU."""
    if running(folder):
        os.kill(int((_place(folder) / "pid").read_text()), signal.SIGTERM)
    while running(folder):
        time.sleep(0.1)


def remove(folder: Path) -> None:
    """Leave nothing of it."""
    stop(folder)
    shutil.rmtree(folder, ignore_errors=True)


def ports(folder: Path) -> dict[int, int]:
    """The ports of this machine that lead to its own."""
    try:
        return {int(port): free for port, free in json.loads((_place(folder) / "ports.json").read_text()).items()}
    except FileNotFoundError as error:
        raise vm.VMError(f"there is no machine in {folder}") from error


def accelerator(folder: Path) -> str:
    """What it runs by: kvm, or tcg, which is software emulation."""
    return (_place(folder) / "accelerator").read_text()


def https_address(folder: Path) -> str:
    """Return the URL at which its port 443 answers on this machine."""
    return f"https://127.0.0.1:{ports(folder)[443]}"


def _place(folder: Path) -> Path:
    # A hidden folder, because Ansible would read its files as inventory.
    return folder / ".qemu"


def say(sentence: str) -> None:
    """Tell about progress."""
    print(f"qemu: {sentence}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
