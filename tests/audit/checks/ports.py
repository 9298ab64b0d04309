"""Which ports a second host finds open, while somebody on the machine has published one more."""

from readers import nmap
from row import Check, CheckError, Outcome
from scenery import Scenery

OPEN = {22, 80, 443}
PORTS = 65535
# The machine's own programs on an empty root file system: an image that needs no registry.
IMAGE = "tar --create --directory / bin lib lib64 | docker import - decoy"
RUN = (
    "docker run --detach --name decoy --publish 8080:80 --volume /usr:/usr:ro decoy /usr/bin/python3 -m http.server 80"
)
REMOVE = "docker rm --force decoy; docker image rm decoy"
ASK = """python3 -c 'import socket; socket.create_connection(("127.0.0.1", 8080), 2)'"""


NOTE = "Port 8080, which a container on the machine published meanwhile, answered on the machine itself."


def measure(scenery: Scenery) -> Outcome:
    """Scan all ports of both addresses."""
    target = scenery.target
    target.run(f"{IMAGE} && {RUN}")
    try:
        # A decoy that does not answer would be closed to everybody.
        target.wait_for(ASK)
        four, six = target.addresses
        found = {"IPv4": scan(scenery, four), "IPv6": scan(scenery, six, "-6")}
    finally:
        target.run(REMOVE)
    words = "; ".join(f"{kind}: {', '.join(map(str, sorted(ports)))}" for kind, ports in found.items())
    return Outcome(words, all(ports == OPEN for ports in found.values()), [NOTE])


def scan(scenery: Scenery, address: str, *options: str, ports: str = "-") -> set[int]:
    """Find the open ports of an address."""
    command = ["nmap", *options, "-Pn", "-n", "-T4", f"-p{ports}", "-oX", "-", address]
    xml = scenery.attacker.run(*command)
    try:
        if ports == "-" and nmap.scanned(xml) != PORTS:
            raise CheckError(f"nmap looked at {nmap.scanned(xml)} ports of {address}")
        return nmap.open_ports(xml)
    except ValueError as error:
        raise CheckError(str(error)) from error


CHECK = Check(
    "ports",
    "ports that a second host finds open (`nmap -p-`, IPv4 and IPv6), while a container publishes another",
    "only 22, 80, 443",
    measure,
    unseen="what a provider's own firewall or network does; nftables itself is the real one",
)
