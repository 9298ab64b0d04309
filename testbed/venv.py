#!/usr/bin/env python3
"""Make a virtual environment. Where this Python cannot (Debian packs venv apart), install what is missing or say so."""

import os
import shutil
import subprocess
import sys


def main(folder: str) -> int:
    """Make the environment in a folder, replacing one that another Python made; return the exit code."""
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    if not can_make_environments():
        install = ["apt-get", "-qq", "install", "--no-install-recommends", package]
        root = [] if os.geteuid() == 0 else ["sudo", "-n"]
        print(f"venv: this Python cannot make virtual environments; installing {package}", flush=True)
        done = shutil.which("apt-get") and not any(
            subprocess.run([*root, *words], stdout=subprocess.DEVNULL, check=False).returncode
            for words in (["apt-get", "-qq", "update"], install)
        )
        if not done:
            print("venv: that did not work. Type it yourself, then start again:")
            print(f"  sudo apt-get update && sudo apt-get install {package}")
            return 1
    return subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=False).returncode


def can_make_environments() -> bool:
    """Tell whether both halves of venv are installed; Debian's minimal Python has only the first."""
    return (
        subprocess.run([sys.executable, "-c", "import venv, ensurepip"], capture_output=True, check=False).returncode
        == 0
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
