"""nginx as a peer would configure it, and as the role reverse_proxy does, with only its paths and its port changed."""

import os
import re
import sys
from pathlib import Path
from typing import Any

from places import PEERS, PROJECT

sys.path.insert(0, str(PROJECT / "tests" / "roles"))
ROLE = PROJECT / "roles" / "reverse_proxy"


def plain(folder: Path, peer: str, port: int, upstream: int) -> Path:
    """Write a peer's nginx.conf for these ports; return its path."""
    text = (PEERS / peer / "nginx.conf").read_text()
    for word, value in (("FOLDER", folder), ("PORT", port), ("UPSTREAM", upstream)):
        text = text.replace(word, str(value))
    path = folder / "nginx.conf"
    path.write_text(text)
    return path


def of_role(folder: Path, port: int, **overrides: Any) -> tuple[Path, Path]:
    """Write what the role's configuration becomes, below `folder`; return nginx's file and the socket it looks for."""
    from rendering import render  # Ansible's own templar: it takes a second to import

    overrides = {"reverse_proxy_http_port": port, "__reverse_proxy_cores": os.cpu_count(), **overrides}
    config = folder / "etc/nginx/nginx.conf"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(below(folder, render("reverse_proxy", "etc/nginx/nginx.conf.j2", **overrides)))
    socket, second = (Path(found) for found in re.findall(r"server unix:(/[^ ;]*)", config.read_text()))
    # As on a host: a link to the folder of a release, by which nginx's cache knows whose answers are whose, and in it
    # another, because there is one replica.
    active = socket.parent
    if not active.is_symlink():
        active.rmdir()
        active.with_name("blue-bench").mkdir()
        active.symlink_to("blue-bench")
        second.symlink_to(socket.name)
    return config, socket


def below(folder: Path, text: str) -> str:
    """Move every path that nginx writes to, reads or connects to below `folder`, and make the folders."""

    def move(found: re.Match[str]) -> str:
        path = folder / found["path"].lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        return found["before"] + str(path)

    return re.sub(r"(?P<before>[\s:=])(?P<path>/(?:tmp|run|var|srv|etc/nginx)/[^\s;:]+)", move, text)
