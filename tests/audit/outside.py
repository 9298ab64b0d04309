"""A stranger to a virtual machine that no second one stands beside: a network namespace on it.

What is sent from there comes in by an interface that is not `lo`, through the kernel's own input and forward hooks, as
what comes in by eth0 does. Both are rows of the same firewall, which names no interface but `lo` and Docker's bridges.
"""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager

from target import Target
from virtual_target import OUTSIDE, VirtualTarget

MAKE = f"""
ip netns add outside
ip link add outside type veth peer name eth0 netns outside
for address in {" ".join(f"{address}/{bits}" for address, bits in zip(OUTSIDE, (24, 64), strict=True))}; do
  ip address add "$address" dev outside nodad
done
ip link set outside up
ip -n outside address add 10.213.250.2/24 dev eth0
ip -n outside address add fd6d:6f64:fa::2/64 dev eth0 nodad
ip -n outside link set eth0 up
"""
REMOVE = "ip netns delete outside 2>/dev/null || true; ip link delete outside 2>/dev/null || true"
INSTALL = "DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends nmap >/dev/null"
UNINSTALL = "DEBIAN_FRONTEND=noninteractive apt-get -qq purge --autoremove nmap >/dev/null"


class Outside:
    """Programs of strangers, and where they are run."""

    def __init__(self, target: VirtualTarget) -> None:
        self._target = target

    def start(self) -> None:
        """Nothing is there before it is needed (`present`): it would be part of what is looked at."""

    def remove(self) -> None:
        """Nothing is left of it."""

    @contextmanager
    def present(self) -> Iterator[None]:
        """Have it, with nmap, for a while."""
        self._target.run(f"set -e; {REMOVE}; {MAKE.strip()}; {INSTALL}")
        try:
            yield
        finally:
            self._target.run(f"{REMOVE}; {UNINSTALL}")

    def run(self, *words: str) -> str:
        """Run a program there; returns what it printed."""
        return self._target.run(f"ip netns exec outside {shlex.join(words)}")

    def lend(self, target: Target, package: str, files: str) -> None:
        """Put files of a Debian package on the machine, without installing it."""
        picked = " ".join(f"./{file}" for file in files.split())
        target.run(
            f"set -e; cd /tmp; apt-get -qq update; apt-get -qq download {package}; "
            f"dpkg-deb --fsys-tarfile {package}_*.deb | tar --extract --directory / {picked}; rm {package}_*.deb"
        )
