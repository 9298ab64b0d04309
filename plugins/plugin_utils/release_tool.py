"""The release tool as one file: what is installed on a host, and what a look at a host without it takes along."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.modelhost.modelhost.plugins.plugin_utils import program
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.project import ROOT

PACKAGE = ROOT / "modelhostctl"


def pack() -> bytes:
    """The tool, as it is installed."""
    return program.pack(PACKAGE)


def build_tool() -> tuple[Path, str]:
    """Write the tool to a file that lives as long as this run; return its path and its SHA-256 in hexadecimal."""
    return program.build(PACKAGE)
