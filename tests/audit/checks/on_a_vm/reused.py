"""Checks that containers have too, where they show more on a kernel of the machine's own."""

from dataclasses import replace

from row import Outcome
from scenery import Scenery

from checks import containers, hardening, ports

LYNIS = replace(
    hardening.CHECK,
    words="lynis on the bare machine, and after the deployment and a reboot",
    unseen="points for partitions and a boot loader are those of a disk without either",
)
CONTAINERS = replace(containers.CHECK, unseen="5.3: Debian's kernel runs AppArmor, not SELinux")


def scan(scenery: Scenery) -> Outcome:
    """Scan from a network namespace on the machine, by an interface that is not `lo`."""
    with scenery.attacker.present():
        outcome = ports.measure(scenery)
    return replace(outcome, notes=[*outcome.notes, f"Listening on all addresses: {listening(scenery)}."])


def listening(scenery: Scenery) -> str:
    """What would be open without the firewall."""
    table = scenery.target.run("ss --no-header --listening --tcp --numeric")
    found = {line.split()[3].rpartition(":") for line in table.splitlines()}
    return ", ".join(sorted({port for host, _, port in found if host in {"0.0.0.0", "[::]", "*"}}, key=int))


PORTS = replace(
    ports.CHECK,
    words="ports open to a network namespace on the machine, whose packets come in by another interface than `lo` "
    "(`nmap -p-`, IPv4 and IPv6), while a container publishes another",
    measure=scan,
    unseen="a second host: QEMU's user network leads to single ports of the machine, so that a scan cannot come by it",
)
