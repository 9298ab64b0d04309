"""Where this project is: in a checkout, or in an installed collection."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def start_of_relative_paths() -> Path:
    """The checkout's folder, wherever Ansible was started; for an installed collection, the folder where it was."""
    # Only the source has it: what is built of it has a MANIFEST.json.
    return ROOT if (ROOT / "galaxy.yml").is_file() else Path.cwd()
