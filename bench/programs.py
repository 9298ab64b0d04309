#!/usr/bin/env python3
"""Have nginx, wrk and h2load: install what is missing where that is allowed, otherwise say what to type."""

import os
import shutil
import subprocess
import sys

PACKAGES = {"nginx": "nginx-light", "wrk": "wrk", "h2load": "nghttp2-client"}


def main() -> int:
    """Install; return the exit code."""
    missing = [package for program, package in PACKAGES.items() if not shutil.which(program, path=path())]
    if not missing:
        return 0
    install = ["apt-get", "-qq", "install", "--no-install-recommends", *missing]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"bench: installing {' and '.join(missing)}", flush=True)
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        commands = (["apt-get", "-qq", "update"], install)
        if not any(
            subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False).returncode
            for command in commands
        ):
            return 0
    print(f"bench: {' and '.join(missing)} must be installed. Type this, then start again:")
    print(f"  sudo apt-get update && sudo apt-get install --no-install-recommends {' '.join(missing)}")
    return 1


def path() -> str:
    """Where programs are; nginx is where only root looks."""
    return f"{os.environ['PATH']}:/usr/sbin"


if __name__ == "__main__":
    sys.exit(main())
