"""nmap's XML."""

import xml.etree.ElementTree as ElementTree


def open_ports(xml: str) -> set[int]:
    """The TCP ports found open on the one host that was scanned. Raises ValueError where no host was."""
    try:
        run = ElementTree.fromstring(xml)
    except ElementTree.ParseError as error:
        raise ValueError(f"nmap printed no XML: {xml[:200]!r}") from error
    hosts = [host for host in run.iter("host") if host.find("ports") is not None]
    finished = run.find("runstats/finished")
    if len(hosts) != 1 or finished is None or finished.get("exit") != "success":
        raise ValueError(f"nmap scanned {len(hosts)} hosts: {xml[-400:]}")
    return {int(port.attrib["portid"]) for port in hosts[0].iter("port") if _state(port) == "open"}


def scanned(xml: str) -> int:
    """How many ports were looked at."""
    return sum(int(info.attrib["numservices"]) for info in ElementTree.fromstring(xml).iter("scaninfo"))


def _state(port: ElementTree.Element) -> str:
    state = port.find("state")
    return "" if state is None else state.attrib["state"]
