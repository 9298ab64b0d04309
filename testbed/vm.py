#!/usr/bin/env python3
"""Bare virtual machines to deploy to, made of containers that boot systemd and sshd.

Nothing about such a machine is special but its address: it is reached over SSH, as root, with a key, like a rented one.
Needs Python 3.11 and nothing else; what is missing (a Docker engine, mmdebstrap) is installed by engine.sh and image/.
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
LABEL = "modelhost.testbed"
APT_CACHE, PACKAGES = "modelhost-testbed-apt", "/var/cache/apt/shared"
IMAGES = ["modelhost-vm", "modelhost-vm-base", "modelhost-readers", "modelhost-audit-attacker"]
# All that systemd and an engine inside need; --privileged asks for more than some machines can give.
CAPABILITIES = ["--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE"]
SNAPSHOT = "modelhost-vm-snapshot"
DISKS = ["docker", "containerd"]  # of /var/lib, each a volume of its own
SECONDS_TO_BOOT = 60

HOSTS = """\
# Made by testbed/: a machine that behaves like a rented one.
modelhost:
  hosts:
"""

HOST = """\
    {name}:
      ansible_host: 127.0.0.1
      ansible_port: {ssh_port}
      ansible_user: root
      ansible_ssh_private_key_file: {folder}/.ssh/id_ed25519
      ansible_ssh_common_args: -o UserKnownHostsFile={folder}/.ssh/known_hosts
      deploy_user_authorized_keys: ["{{{{ lookup('file', '{folder}/.ssh/id_ed25519.pub') }}}}"]
"""

VARIABLES = """\
# What this deployment wants; the roles' READMEs list what else can be set.
release_models:
  - models/colours/1
  - models/iris/1
  - models/digits/1
  - models/churn/1
release_memory_limit_mb: 512
{build}{tls}"""

SSH_CONFIG = """\
# The first deployment closes root's login. From then on: ssh -F <this file> deploy@{name}
Host {name}
  HostName 127.0.0.1
  Port {ssh_port}
  User root
  IdentityFile {folder}/.ssh/id_ed25519
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/.ssh/known_hosts
  StrictHostKeyChecking accept-new
  LogLevel ERROR
"""


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="start a machine (or find it running) and write an inventory for it")
    up.add_argument("name", help="its name, for example demo")
    up.add_argument("--inventory", type=Path, required=True, metavar="DIR", help="folder for hosts.yml, key and so on")
    up.add_argument("--suite", default="trixie", choices=["trixie", "bookworm"], help="Debian release (default trixie)")
    up.add_argument("--plain-http", action="store_true", help="write an inventory that wants no TLS")
    up.add_argument("--memory", metavar="SIZE", help="limit its memory, for example 1g")
    up.add_argument("--copy-of", metavar="NAME", help="begin as this machine was at its snapshot; bare if it has none")
    snapshot = commands.add_parser("snapshot", help="stop a machine for good, and keep it for `up --copy-of`")
    snapshot.add_argument("name")
    down = commands.add_parser("down", help="remove a machine with its network and disk")
    down.add_argument("name")
    down.add_argument("--inventory", type=Path, metavar="DIR", help="remove this folder too")
    url = commands.add_parser("url", help="print the address at which it answers, and nothing else")
    url.add_argument("name")
    url.add_argument("--plain-http", action="store_true", help="of its port 80, not of 443")
    clean = commands.add_parser("clean", help="remove the images and caches that machines need, if there is no machine")
    clean.add_argument("--keep-images", action="store_true", help="remove the caches only")
    arguments = parser.parse_args()
    try:
        match arguments.command:
            case "up":
                folder = arguments.inventory.resolve()
                start(
                    arguments.name, folder, arguments.suite, arguments.memory, arguments.plain_http, arguments.copy_of
                )
            case "snapshot":
                take_snapshot(arguments.name)
            case "down":
                remove(arguments.name, arguments.inventory)
            case "url":
                print(address(arguments.name) if arguments.plain_http else https_address(arguments.name))
            case "clean":
                remove_leftovers(arguments.keep_images)
    except subprocess.CalledProcessError as error:
        words = " ".join(str(part) for part in error.cmd)
        print(f"vm: `{words}` failed: {(error.stderr or '').strip()}", file=sys.stderr)
        return 1
    except VMError as error:
        print(f"vm: {error}", file=sys.stderr)
        return 1
    return 0


class VMError(Exception):
    """What stands in the way, as a sentence."""


def start(
    name: str,
    folder: Path,
    suite: str = "trixie",
    memory: str | None = None,
    plain_http: bool = False,
    copy_of: str | None = None,
) -> None:
    """Start a machine and write its inventory into a folder; one that runs already is left as it is."""
    run(HERE / "engine.sh", show=True)
    container = f"modelhost-{name}"
    if state(container) is None:
        if copy_of and has_snapshot(copy_of):
            image = copy(copy_of, container, folder)
        else:
            image = run(HERE / "image" / "build.sh", suite, show=True).splitlines()[-1]
        public_key = make_key(name, folder)
        ports = {port: free_port() for port in (22, 80, 443)}
        (folder / ".ssh" / "known_hosts").unlink(missing_ok=True)
        create_network(container, name)
        create(name, container, image, ports, memory, folder, ["--network", container])
        fill(container, public_key)
    elif not (folder / ".ssh" / "id_ed25519").exists():
        raise VMError(
            f"{name} is there already, with a key that is not in {folder}; `testbed/vm.py down {name}` removes it"
        )
    elif state(container) != "running":
        run("docker", "start", container)
    write_inventory(name, folder, published_port(container, 22), plain_http)
    if not answers_ssh(published_port(container, 22), SECONDS_TO_BOOT):
        raise VMError(f"{name} did not answer SSH within {SECONDS_TO_BOOT} s; `docker logs {container}` says more")
    published = ", ".join(f"its port {port} on 127.0.0.1:{published_port(container, port)}" for port in (22, 80, 443))
    say(f"{name} is up: {published}")


def take_snapshot(name: str) -> None:
    """Shut a machine down and keep its file system as an image; its disks stay where they are."""
    container = f"modelhost-{name}"
    run("docker", "stop", "--time", SECONDS_TO_BOOT, container)
    run("docker", "commit", container, snapshot_of(name))
    say(f"{name} is kept as it is, for copies")


def snapshot_of(name: str) -> str:
    """Return the name of the image of a machine's snapshot."""
    return f"{SNAPSHOT}:{name}"


def has_snapshot(name: str) -> bool:
    """Tell whether a snapshot of a machine was taken."""
    return bool(run("docker", "image", "ls", "--quiet", snapshot_of(name)))


def copy(name: str, container: str, folder: Path) -> str:
    """Have the disks of a machine's snapshot for a new container; returns the image of the rest."""
    image = snapshot_of(name)
    label = f'{{{{index .Config.Labels "{LABEL}.folder"}}}}'
    original = run("docker", "image", "inspect", "--format", label, image).strip()
    # Whoever may log in to the one may log in to the other.
    shutil.copytree(Path(original) / ".ssh", folder / ".ssh", dirs_exist_ok=True)
    for disk in DISKS:
        run("docker", "run", "--rm", *CAPABILITIES, "--volume", f"modelhost-{name}-{disk}:/from:ro",
            "--volume", f"{container}-{disk}:/to", image, "cp", "--archive", "/from/.", "/to/")  # fmt: skip
    return image


def make_key(name: str, folder: Path) -> str:
    """Have a key for root's first login; returns its public half."""
    # A hidden folder, because Ansible would read its files as inventory.
    (folder / ".ssh").mkdir(parents=True, exist_ok=True)
    key = folder / ".ssh" / "id_ed25519"
    if not key.exists():
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"modelhost-{name}", "-f", key)
    return key.with_suffix(".pub").read_text()


def create_network(network: str, name: str) -> None:
    """Create a network with IPv4 and IPv6."""
    number = zlib.crc32(name.encode()) % 250
    run("docker", "network", "create", "--label", f"{LABEL}={name}", "--ipv6",
        # Away from 172.16.0.0/12, which the engine inside takes for itself.
        "--subnet", f"10.213.{number}.0/24", "--subnet", f"fd6d:6f64:{number:x}::/64", network)  # fmt: skip


def create(
    name: str, container: str, image: str, ports: dict[int, int], memory: str | None, folder: Path, network: list[str]
) -> None:
    """Create and start the container; `network`: the engine's options for it."""
    published = [option for port, free in ports.items() for option in ("--publish", f"127.0.0.1:{free}:{port}")]
    say(f"starting {name}: ports {', '.join(map(str, ports.values()))} of this machine are free and will be used")
    run("docker", "run", "--detach", "--name", container, "--hostname", name, "--label", f"{LABEL}={name}",
        "--label", f"{LABEL}.folder={folder}", *network, *published,
        *CAPABILITIES, "--security-opt", "seccomp=unconfined",
        "--security-opt", "apparmor=unconfined", "--security-opt", "systempaths=unconfined",
        "--cgroupns", "private", "--tmpfs", "/run", "--tmpfs", "/tmp:exec",
        # The engine inside needs a file system that overlays can stand on.
        *[word for disk in DISKS for word in ("--volume", f"{container}-{disk}:/var/lib/{disk}")],
        # Packages that other machines have downloaded. A folder beside apt's own, which apt locks.
        "--volume", f"{APT_CACHE}:{PACKAGES}",
        *(["--memory", memory] if memory else []), image)  # fmt: skip


def fill(container: str, public_key: str) -> None:
    """Give a new machine the packages that there are already, and a key for root's first login."""
    copy_packages(container, PACKAGES, "/var/cache/apt/archives")
    run("docker", "exec", "-i", container, "tee", "/root/.ssh/authorized_keys", text=public_key)


def copy_packages(container: str, source: str, target: str) -> None:
    """Copy the packages that the target folder has not got yet; apt itself checks that they are whole."""
    run("docker", "exec", container, "sh", "-c", f"cp -n {source}/*.deb {target}/ 2>/dev/null || true", check=False)


def write_inventory(name: str, folder: Path, ssh_port: int, plain_http: bool) -> None:
    """Write hosts.yml and .ssh/config, and group_vars/modelhost.yml unless somebody has changed it already."""
    write_hosts({name: ssh_port}, folder)
    write_variables(folder, plain_http)


def write_hosts(ssh_ports: dict[str, int], folder: Path) -> None:
    """Write hosts.yml and .ssh/config for machines and the ports of this machine that lead to their sshd."""
    values = [{"name": name, "ssh_port": port, "folder": folder} for name, port in ssh_ports.items()]
    (folder / "hosts.yml").write_text(HOSTS + "".join(HOST.format(**each) for each in values))
    (folder / ".ssh" / "config").write_text("".join(SSH_CONFIG.format(**each) for each in values))


def write_variables(folder: Path, plain_http: bool) -> None:
    """Write group_vars/modelhost.yml, unless somebody has changed it already."""
    variables = folder / "group_vars" / "modelhost.yml"
    if not variables.exists():
        # Behind a proxy that opens TLS, pip needs its certificates inside the build as well.
        certificates = next(
            (os.environ[name] for name in ("PIP_CERT", "REQUESTS_CA_BUNDLE") if os.environ.get(name)), ""
        )
        build = f"app_image_build_ca_file: {certificates}\n" if certificates else ""
        tls = 'reverse_proxy_tls: "off"\n' if plain_http else ""
        variables.parent.mkdir(exist_ok=True)
        variables.write_text(VARIABLES.format(build=build, tls=tls))


def answers_ssh(port: int, seconds: float, hopeless: Callable[[], bool] = lambda: False) -> bool:
    """Wait until sshd speaks; any account's greeting will do, because a deployed machine refuses root."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not hopeless():
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
                if connection.recv(4) == b"SSH-":
                    return True
        except OSError:
            pass
        time.sleep(0.2)
    return False


def remove(name: str, folder: Path | None) -> None:
    """Remove a machine's container, disk and network, and the folder if one is given."""
    container = f"modelhost-{name}"
    if state(container) == "running":
        copy_packages(container, "/var/cache/apt/archives", PACKAGES)
    # With what stands beside it on its network.
    beside = run("docker", "ps", "--all", "--quiet", "--filter", f"label={LABEL}={name}", check=False).split()
    run("docker", "rm", "--force", "--volumes", container, *beside, check=False)
    run("docker", "volume", "rm", *[f"{container}-{disk}" for disk in DISKS], check=False)
    run("docker", "image", "rm", snapshot_of(name), check=False)
    run("docker", "network", "rm", container, check=False)
    if folder:
        shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(keep_images: bool) -> None:
    """Remove what machines share, unless one of them still needs it."""
    machines = run(
        "docker", "ps", "--all", "--filter", f"label={LABEL}", "--format", f'{{{{.Label "{LABEL}"}}}}'
    ).split()
    if machines:
        say(f"keeping the images and the package cache for {', '.join(sorted(set(machines)))}")
        return
    run("docker", "volume", "rm", APT_CACHE, check=False)
    for image in [] if keep_images else IMAGES:
        found = run("docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", image).split()
        if found:
            run("docker", "image", "rm", "--force", *found)


def address(name: str) -> str:
    """Return the URL at which a machine's port 80 answers on this machine."""
    return f"http://127.0.0.1:{published_port(f'modelhost-{name}', 80)}"


def https_address(name: str) -> str:
    """Return the URL at which its port 443 does."""
    return f"https://127.0.0.1:{published_port(f'modelhost-{name}', 443)}"


def fetch_ca(name: str, folder: Path) -> Path:
    """Copy the certificate of a deployed machine's own CA over SSH, whose key is trusted; return the file's path."""
    authority = "/srv/modelhost/proxy/certificate-authority/ca.pem"
    text = run("ssh", "-F", folder / ".ssh" / "config", "-l", "deploy", name, "cat", authority)
    # A hidden file, because Ansible would read another one as inventory.
    file = folder / ".ca.pem"
    file.write_text(text)
    return file


def published_port(container: str, port: int) -> int:
    """Return the port of this machine that leads to a port of the container."""
    if state(container) is None:
        raise VMError(f"there is no machine {container.removeprefix('modelhost-')}; `make demo` makes one")
    return int(run("docker", "port", container, f"{port}/tcp").splitlines()[0].rsplit(":", 1)[1])


def state(container: str) -> str | None:
    """Return a container's state, such as running or exited; None where there is no such container."""
    answer = run("docker", "inspect", "--format", "{{.State.Status}}", container, check=False)
    return answer.strip() or None


def free_port() -> int:
    """Find a free TCP port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run(*command: object, text: str | None = None, check: bool = True, show: bool = False) -> str:
    """Run a command and return what it printed; with show, its lines go to the screen as they come, too."""
    words = [str(part) for part in command]
    if not show:
        answer = subprocess.run(words, input=text, capture_output=True, text=True, check=check)
        return answer.stdout if answer.returncode == 0 else ""
    lines = []
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            lines.append(line)
            print(line, end="", flush=True)
    if process.returncode:
        raise VMError(f"{words[0]} failed; its last lines above say why")
    return "".join(lines)


def say(sentence: str) -> None:
    """Tell about progress."""
    print(f"vm: {sentence}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
