"""nginx as a peer would configure it, and as the role reverse_proxy does, with only its paths and its port changed."""

import os
import re
import subprocess
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
    """Write what the role's configuration becomes, below `folder`; return nginx's file and the socket it looks for.

    Without TLS, as the peers are measured, unless `overrides` say otherwise.
    """
    from rendering import render  # Ansible's own templar: it takes a second to import

    without_tls = {"reverse_proxy_tls": "off", "reverse_proxy_http_port": port}
    overrides = {"__reverse_proxy_cores": os.cpu_count(), **without_tls, **overrides}
    config = folder / "etc/nginx/nginx.conf"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(below(folder, render("reverse_proxy", "etc/nginx/nginx.conf.j2", **overrides)))
    sockets = re.findall(r"server unix:(/[^ ;]*/(?:server|second)\.sock)", config.read_text())
    socket, second = map(Path, sockets)
    # As on a host: a link to the folder of a release, by which nginx's cache knows whose answers are whose, and in it
    # another, because there is one replica.
    active = socket.parent
    if not active.is_symlink():
        active.rmdir()
        active.with_name("blue-bench").mkdir()
        active.symlink_to("blue-bench")
        second.symlink_to(socket.name)
    return config, socket


def over_tls(folder: Path, port: int, without: int, **overrides: Any) -> tuple[Path, Path]:
    """As of_role, with TLS at `port` and a certificate of its own; what comes without TLS is at the other port.

    As an nginx of Debian 12 has it too: HTTP/2 as an option of `listen`, and no post-quantum key exchange.
    """
    ports = {"reverse_proxy_https_port": port, "reverse_proxy_http_port": without}
    config, socket = of_role(folder, port, reverse_proxy_tls="selfsigned", **ports, **overrides)
    text = config.read_text()
    for newer, older in (("http2 on;", ""), ("X25519MLKEM768:", ""), (f"{port} ssl ", f"{port} ssl http2 ")):
        if newer not in text:
            raise ValueError(f"the role's nginx.conf has no {newer}")
        text = text.replace(newer, older)
    config.write_text(text)
    certificate = folder / "etc/tls/current"
    certificate.mkdir(parents=True, exist_ok=True)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", certificate / "key.pem"]
    words = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "1"]
    command = ["openssl", "req", "-x509", *key, *words, "-out", certificate / "certificate.pem"]
    subprocess.run(command, check=True, capture_output=True)
    (certificate / "key.pem").chmod(0o644)  # nginx's workers read it, and are another user where root starts nginx
    return config, socket


def below(folder: Path, text: str) -> str:
    """Move every path that nginx writes to, reads or connects to below `folder`, and make the folders."""

    def move(found: re.Match[str]) -> str:
        path = folder / found["path"].lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        return found["before"] + str(path)

    return re.sub(r"(?P<before>[\s:=])(?P<path>/(?:tmp|run|var|srv|etc/nginx|etc/tls)/[^\s;:)]+)", move, text)
