"""A machine to release on: a root folder, an engine that does what it is told to, servers on sockets, and a proxy.

The engine is a command `docker` whose containers are a file. The proxy follows the links that nginx follows.
"""

import http.client
import json
import os
import socket
import socketserver
import stat
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from test_release import release

from modelhostctl.cli import main
from modelhostctl.host.layout import Layout
from modelhostctl.store.atomic_files import write_json
from modelhostctl.store.lock import acquire
from modelhostctl.store.lock_owner import describe
from modelhostctl.store.release import Record, Release
from modelhostctl.store.settings import Settings

# What a real engine does to containers when it is told to: the state is a file, which tells inspect's answer. A command
# that begins with a word in the file `fails` fails. What is called is logged, with the descriptors that it inherits.
ENGINE = """#!{python}
import json, os, sys
words, file = sys.argv[1:], {file!r}
found = json.load(open(file))
images = json.load(open(file + ".images"))
def become(names, status):
    for one in found:
        if one["Id"] in names or one["Name"][1:] in names:
            one["State"]["Status"], one["State"]["Pid"] = status, os.getppid() if status == "running" else 0
            if words[0] == "compose":
                one["Config"]["Labels"]["modelhost.release"] = os.environ["RELEASE"]
                limit = int(os.environ.get("MEMORY_LIMIT_MB", 512))
                one["HostConfig"]["Memory"] = limit * 1024 * 1024
folder = "/proc/self/fd/"
held = any(os.path.realpath(folder + one).endswith(".step-lock") for one in os.listdir(folder))
print(*" ".join(words).splitlines()[:1], "(locked)" if held else "", file=open(file + ".log", "a"))
if words[0] in open(file + ".fails").read().split():
    print("the engine is broken", file=sys.stderr)
    sys.exit(7)
if words[0] == "inspect": print(json.dumps(found))
def say(*parts):
    said = words[words.index("--format") + 1]
    for name, value in parts: said = said.replace("{{{{" + name + "}}}}", value)
    print(said)
for image in images if words[:2] == ["image", "ls"] else []:
    repository, _, tag = image.partition(":")
    if image.startswith(words[-1]): say((".Repository", repository), (".Tag", tag))
if words[:2] == ["image", "inspect"]:
    label = {{"org.opencontainers.image.base.name": "modelhost-base:trixie-1-20260101"}}
    about = lambda one: {{"Id": "sha256:" + one.encode().hex(), "RepoTags": [one], "Config": {{"Labels": label}}}}
    asked = [word for word in words[2:] if word not in ("--format", ".")]
    print(json.dumps([about(image) for image in asked if image in images]))
    missing = [image for image in asked if image not in images]
    for image in missing: print("Error response from daemon: No such image: " + image, file=sys.stderr)
    sys.exit(bool(missing))
if words[0] == "run": print(open(file + ".contents").read(), end="")
if words[:2] == ["image", "rm"]: images.remove(words[-1])
if words[:2] == ["image", "tag"]: images.append(words[-1])
if words[:2] == ["builder", "prune"]: print("Total: ", open(file + ".freed").read())
if words[0] == "compose": become([words[2]], {up!r})
if words[0] == "start": become(words[1:], "running")
if words[0] == "stop": become(words[3:], "exited")
if words[0] == "logs" and words[-1] == "modelhost-proxy": print(open(file + ".proxy").read())
elif words[0] == "logs" and os.path.exists(file + ".app"): print(open(file + ".app").read())
elif words[0] == "logs": print("its last line")
for one in found if words[0] == "ps" else []:
    stopped = one["State"]["Status"] == "exited" and "--all" not in words
    asked = words[words.index("--filter") + 1] if "--filter" in words else "name=^"
    matches = one["Name"][1:].startswith(asked.removeprefix("name=^"))
    if matches and not stopped: say((".Image", one["Config"]["Image"]), (".Names", one["Name"][1:]))
# Another command may read it meanwhile.
for path, content in ((file, found), (file + ".images", images)):
    with open(f"{{path}}.{{os.getpid()}}", "w") as unfinished: json.dump(content, unfinished)
    os.replace(unfinished.name, path)
"""


# What a container of an image says of what is in it (host/image_contents.py).
CONTENTS = """\
os ID=debian
os VERSION_ID="13"
os VERSION_CODENAME=trixie
deb ii |libstdc++6|14.2.0-19|amd64|gcc-14|14.2.0-19
deb ii |libssl3t64|3.5.1-1|amd64|openssl|3.5.1-1
deb ii |login|1:4.16.0-2+really2.41-5|amd64|util-linux|2.41-5
deb rc |nano|8.4-1|amd64|nano|8.4-1
pypi ["Flask", "3.1.2", "BSD-3-Clause", null, []]
pypi ["orjson", "3.11.4", null, null, ["Apache Software License", "MIT License"]]
end
"""


def inspected(name: str, release: str, status: str = "running") -> dict[str, Any]:
    """What `docker inspect` says of a container, as far as it is read."""
    return {
        "Id": f"id-of-{name}",
        "Name": f"/modelhost-{name}",
        "RestartCount": 0,
        "Config": {"Image": "modelhost-app:a", "Labels": {"modelhost.release": release}},
        "HostConfig": {"Memory": 512 * 1024 * 1024},
        "State": {
            "Status": status, "Health": {"Status": "healthy"}, "Pid": os.getpid() if status == "running" else 0,
            "ExitCode": 0, "OOMKilled": False, "StartedAt": "2025-01-31T12:00:00Z",
        },
    }  # fmt: skip


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """A replica: it answers every request alike, after `seconds`."""

    daemon_threads = True
    release = ""
    status, seconds = 200, 0.0
    said = b'{"ready": true, "workers": 2, "workers_ready": 2, "prediction": {"p": 1}}'


class Handler(BaseHTTPRequestHandler):
    server: Any

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        health = self.path in {"/healthz", "/readyz"}
        known = health or (self.path.endswith("/predict") and self.command == "POST")
        time.sleep(0 if health else self.server.seconds)
        status = (200 if health else self.server.status) if known else 404
        head = f"HTTP/1.0 {status} said\r\nX-Release: {self.server.release}\r\n\r\n"
        self.wfile.write(head.encode() + self.server.said)

    do_POST = do_GET  # noqa: N815 - http.server's name

    def log_message(self, *_: Any) -> None:
        """Be silent."""

    def address_string(self) -> str:
        return ""


def mirrored(folder: Path, path: str, sent: bytes, headers: dict[str, str]) -> int:
    """What nginx does of a client's request; returns the status."""
    connection = http.client.HTTPConnection("shadow")
    with socket.socket(socket.AF_UNIX) as connection.sock:
        connection.sock.connect(str(folder / "server.sock"))
        connection.request("POST", path, sent, headers)
        return connection.getresponse().status


class Proxy(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Follows the link `active`, or `canary` for who asks for it, and logs what was asked, as nginx does."""

    daemon_threads = True
    allow_reuse_address = True
    machine: "Machine"


class ProxyHandler(Handler):
    def do_GET(self) -> None:
        layout = self.server.machine.layout
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        canary = self.headers.get("X-Canary") == "always"
        if self.server.mirror and self.command == "POST":
            self.server.mirror(self.path, body, dict(self.headers))
        begun = time.monotonic()
        status, release, said = 502, "", b""
        try:
            connection = http.client.HTTPConnection("app")
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(str((layout.canary if canary else layout.active) / "server.sock"))
            connection.request(self.command, self.path, body)
            answer = connection.getresponse()
            status, release, said = answer.status, answer.headers["X-Release"], answer.read()
        except OSError:
            pass
        seconds = time.monotonic() - begun
        if self.path != "/healthz":
            entry = {"status": status, "upstream_seconds": seconds, "release": release}
            self.server.machine.log("proxy", json.dumps(entry | {"canary": "answered" if canary else ""}))
        self.wfile.write(f"HTTP/1.0 {status} said\r\nX-Release: {release}\r\n\r\n".encode() + said)

    do_POST = do_GET  # noqa: N815 - http.server's name


class Machine:
    """A root folder on which blue is live and green was before."""

    def __init__(self, root: Path, bin_folder: Path) -> None:
        self.layout, self.bin = Layout(root), bin_folder
        (bin_folder / "golden.json").write_text('[{"inputs": {"a": 1}, "outputs": {"p": 1}}]')
        (bin_folder / "model.yaml").write_text("name: iris")
        bundle = {"folder": str(bin_folder), "golden": "golden.json", "tolerance": 0, "version": 1, "name": "iris"}
        self.bundles = [bundle | {"digest": "d", "bytes": 1}]
        self.old = release(bundles=self.bundles)
        self.new = release(bundles=self.bundles, settings={"workers": 1, "threads": 1})
        for one in (self.old, self.new):
            Record.of(self.layout, one.id).write(one)
            Record.of(self.layout, one.id).mark_passed()
        for colour, one in (("blue", self.new), ("green", self.old)):
            self.layout.socket(colour, one.id).parent.mkdir(parents=True)
        self.layout.active.symlink_to(f"blue-{self.new.id}")
        self.settings = Settings(app_uid=os.getuid(), proxy_gid=os.getgid(), drain_seconds=0, start_seconds=5)
        write_json(self.layout.settings, self.settings.__dict__)
        self.engine("running")
        self.servers: list[socketserver.BaseServer] = []

    def engine(self, up: str, green: str = "exited") -> None:
        """Have an engine whose containers are `up` after a start; green is so before it."""
        both = [inspected("blue", self.new.id), inspected("green", self.old.id, status=green)]
        self.file("").write_text(json.dumps(both))
        self.file("images").write_text(json.dumps([self.old.image]))
        self.file("freed").write_text("0B")
        for name in ("fails", "log", "proxy"):
            self.file(name).write_text("")
        self.file("contents").write_text(CONTENTS)
        self.program("docker", ENGINE.format(python=sys.executable, file=str(self.file("")), up=up))

    def program(self, name: str, text: str) -> None:
        """Have another program under a name."""
        program = self.bin / name
        program.write_text(text)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def file(self, name: str) -> Path:
        """A file of the engine's."""
        return self.bin / f"found.json{f'.{name}' if name else ''}"

    def log(self, name: str, line: str) -> None:
        with self.file(name).open("a") as file:
            file.write(line + "\n")

    @property
    def live(self) -> str:
        return os.readlink(self.layout.active)

    def containers(self) -> dict[str, str]:
        return {one["Name"][1:]: one["State"]["Status"] for one in json.loads(self.file("").read_text())}

    def change(self, name: str, **state: Any) -> None:
        """Change what the engine says of a container."""
        found = json.loads(self.file("").read_text())
        for one in found:
            if one["Name"][1:] == name:
                one["State"] |= state
        self.file("").write_text(json.dumps(found))

    def told(self) -> list[str]:
        """What the engine was told to do, without looking."""
        lines = self.file("log").read_text().splitlines()
        looks = ("inspect", "logs", "ps", "image ls", "image inspect", "run", "rm")
        return [line.strip() for line in lines if not line.startswith(looks)]

    def serve(self, colour: str, of: str, said: bytes = Server.said) -> Server:
        """Have a server answer in a colour."""
        path = self.layout.socket(colour, of)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        server = Server(str(path), Handler)
        server.release, server.said = of, said
        self._run(server)
        return server

    def proxy(self, mirror: Callable[[str, bytes, dict[str, str]], None] | None = None) -> str:
        """Have a proxy, which gives `mirror` the path, body and headers of what is posted; returns its URL."""
        server = Proxy(("127.0.0.1", 0), ProxyHandler)
        server.machine = self
        server.mirror = mirror
        self._run(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    def _run(self, server: socketserver.BaseServer) -> None:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        self.servers.append(server)

    def close(self) -> None:
        for server in self.servers:
            server.shutdown()
            server.server_close()

    def type(self, *words: str) -> int:
        """Type a command on this machine; returns its exit code."""
        return main([*words, "--root", str(self.layout.root)])

    def lock(self) -> str:
        """Hold the lock, as a deployment does; returns the token."""
        owner = {**describe(os.getpid(), "ada@laptop"), "what": "site.yml"}
        acquire(self.layout, owner)
        return str(owner["token"])

    def content(self, one: Release) -> dict[str, Any]:
        """What a play passes of a release."""
        return {"image": one.image, "bundles": list(one.bundles), "settings": one.settings, "compose": one.compose}

    def tree(self) -> dict[str, str]:
        """Every file, folder and link of the machine, with what is in it; of the lock only that it is there."""

        def content(path: Path) -> str:
            if path.is_symlink():
                return os.readlink(path)
            return path.read_text() if path.is_file() and path != self.layout.lock else ""

        found = sorted(self.layout.root.rglob("*"))
        return {str(path.relative_to(self.layout.root)): content(path) for path in found}
