"""A machine that deploys and is another than this one: a newer Python, and no program but OpenSSH's and POSIX's."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from debian_root import bootstrap
from packaging.markers import Marker

PROJECT = Path(__file__).resolve().parents[2]
ENTER = Path(__file__).parent / "enter.sh"
NAME = "control-machine"
FOLDER = PROJECT / ".cache" / "test" / NAME
SUITE, PYTHON = "forky", "3.14"
# What Ansible itself runs on the machine that deploys (sh, and what makes and removes its folders), and what roles do.
PROGRAMS = ["sh", "chmod", "mkdir", "rm", "sleep", "sftp", "ssh", "ssh-add", "ssh-keygen"]
PIP = ["-m", "pip", "--quiet", "--disable-pip-version-check"]
LOCKED = ["--require-hashes", "--requirement", FOLDER / "requirements.lock"]
# For a wheel that says how old the C library may be.
PLATFORMS = [
    word
    for platform in ["any", "linux_x86_64", "manylinux1_x86_64", "manylinux2010_x86_64", "manylinux2014_x86_64",
                     *(f"manylinux_2_{minor}_x86_64" for minor in range(5, 40))]
    for word in ("--platform", platform)
]  # fmt: skip

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can enter another Debian")


def of_that_python(lock: str) -> str:
    """The entries of a lock file that are for it: pip, told to download for another Python, goes by its own."""
    kept = []
    for entry in re.split(r"\n(?=\S)", lock):
        said = re.match(r"\S+ ; (.+) \\", entry)
        if not said:
            kept.append(entry)
        elif Marker(said[1]).evaluate({"python_version": PYTHON, "python_full_version": f"{PYTHON}.0"}):
            kept.append(entry.replace(f" ; {said[1]}", "", 1))
    return "\n".join(kept)


@pytest.fixture(scope="module")
def packages() -> Path:
    """All that the lock file names, for that Python, and what builds those of it that are no wheels."""
    folder = FOLDER / "packages"
    folder.mkdir(parents=True, exist_ok=True)
    (FOLDER / "requirements.lock").write_text(of_that_python((PROJECT / "requirements.lock").read_text()))
    download = [sys.executable, *PIP, "download", "--no-deps", "--dest", folder]
    subprocess.run([*download, "--python-version", PYTHON, *PLATFORMS, *LOCKED], check=True)
    subprocess.run([*download, "setuptools"], check=True)
    return folder


@pytest.fixture(scope="module")
def root() -> Path:
    """A Debian with that Python and with ssh, and nothing else."""
    folder = FOLDER / "root"
    bootstrap(SUITE, [f"python{PYTHON}-venv", "openssh-client"], folder)
    # What the inventory has builds trust, where a proxy opens TLS (testbed/vm.py).
    for authorities in {os.environ[name] for name in ("PIP_CERT", "REQUESTS_CA_BUNDLE") if os.environ.get(name)}:
        (folder / authorities[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(authorities, folder / authorities[1:])
    (FOLDER / "bin").mkdir(exist_ok=True)
    for program in PROGRAMS:
        (FOLDER / "bin" / program).unlink(missing_ok=True)
        (FOLDER / "bin" / program).symlink_to(f"/usr/bin/{program}")
    return folder


def enter(root: Path, *command: object, path: str = f"{FOLDER}/bin") -> str:
    """Run a command there; return what it printed."""
    environment = {
        "PATH": path, "HOME": f"{FOLDER}/home", "LANG": "C.UTF-8", "ANSIBLE_HOME": f"{FOLDER}/home",
        "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"),
    }  # fmt: skip
    (FOLDER / "home").mkdir(exist_ok=True)
    ended = subprocess.run(
        ["unshare", "--mount", ENTER, root, FOLDER, PROJECT, "/usr/bin/env", "-i",
         *(f"{name}={value}" for name, value in environment.items()), *command],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


@pytest.fixture(scope="module")
def environment(root: Path, packages: Path) -> Path:
    """What `make .venv` makes, by the Python there, where nothing can be compiled."""
    folder = FOLDER / "venv"
    everything = "/usr/sbin:/usr/bin"
    enter(root, f"/usr/bin/python{PYTHON}", "-m", "venv", "--clear", folder, path=everything)
    python = folder / "bin" / "python"
    enter(root, python, *PIP, "install", "--no-index", "--find-links", packages, *LOCKED, path=everything)
    return folder


@pytest.fixture(scope="module")
def inventory() -> Iterator[Path]:
    """That of a bare machine."""
    vm, folder = [sys.executable, PROJECT / "testbed" / "vm.py"], FOLDER / "inventory"
    subprocess.run([*vm, "up", NAME, "--inventory", folder, "--plain-http"], check=True)
    yield folder
    subprocess.run([*vm, "down", NAME, "--inventory", folder], check=True)


def test_a_bare_machine_is_deployed_to_from_there_twice(root, environment, inventory):
    """Without make, grep, sed, find and all else that has another form on macOS."""
    playbook = [environment / "bin" / "ansible-playbook", "--inventory", inventory]
    version = enter(root, playbook[0], "--version")
    assert f"python version = {PYTHON}" in version
    recaps = [enter(root, *playbook, "site.yml") for _ in range(2)]
    changed = [int(re.search(r"changed=(\d+) +unreachable=0 +failed=0", recap)[1]) for recap in recaps]
    assert changed[0] > 0
    assert changed[1] == 0, recaps[1]
    assert "live: release " in enter(root, *playbook, "playbooks/status.yml")
