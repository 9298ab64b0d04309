"""The files of a bare Debian in a folder, to run something in that needs no machine of its own."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path


def bootstrap(suite: str, packages: Sequence[str], folder: Path) -> None:
    """Make it from Debian's archive, as root; what an unfinished try has left there is removed."""
    if not shutil.which("mmdebstrap"):
        install = ["apt-get", "-qq", "install", "--no-install-recommends", "mmdebstrap"]
        subprocess.run(["apt-get", "-qq", "update"], check=True)
        subprocess.run(install, check=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # A mirror may be some weeks behind, as far as testing says how long it is good for; its signature is looked at.
    old = "--aptopt=Acquire::Check-Valid-Until false"
    make = ["mmdebstrap", "--quiet", "--variant=minbase", old, f"--include={','.join(packages)}", suite, str(folder)]
    subprocess.run(make, check=True)
