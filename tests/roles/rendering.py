"""Render a role's templates as Ansible does: its own templar, the role's defaults and vars, undefined names fail."""

import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar, trust_as_template

# Hands a text to a command of the container with the real readers (conftest.py).
Read = Callable[[str, str], subprocess.CompletedProcess[str]]

PROJECT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.name for path in (PROJECT / "roles").iterdir())

# What preflight gathers on a host, what a first task of a role registers there, and what a task gives a template.
HOST = {
    "daemon": "docker",
    "inventory_hostname": "vm1",
    "inventory_dir": str(PROJECT / "inventory" / "example"),
    "ansible_managed": "Ansible managed",
    "ansible_check_mode": False,
    "ansible_facts": {
        "distribution": "Debian",
        "distribution_release": "trixie",
        "distribution_version": "13.1",
        "architecture": "x86_64",
        "memtotal_mb": 1024,
        "processor_nproc": 2,
        "all_ipv6_addresses": ["fd00::2"],
    },
    "docker_seen": {
        "engine": "none",
        "packages": "",
        "containerd": "",
        "active": "no",
        "enabled": "no",
        "managed": "no",
        "containerd_managed": "no",
        "settings": "",
        "settings_link": "no",
        "settings_owned": "",
        "record": "",
        "repository": "",
    },
    "host_hardening_host": {
        "container": "no",
        "memory_mb": "1024",
        "swap_mb": "0",
        "disk_free_mb": "9000",
        "packages": "nftables",
        "sshd": "yes",
        "ssh_ports": "22 2222",
        "ssh_kex": "sntrup761x25519-sha512@openssh.com curve25519-sha256 mlkem768x25519-sha256",
        "ssh_ciphers": "aes128-ctr aes256-gcm@openssh.com",
        "ssh_macs": "hmac-sha2-256-etm@openssh.com",
        "ssh_host_keys": "ssh-ed25519 rsa-sha2-512",
        "ssh_rsa_bits": "3072",
        "other_firewall": "",
        "connlimit": "yes",
        "modules": "nf_tables usb-storage",
        "there": "",
    },
    "release_models": ["models/colours/1", "models/iris/1"],
    "app_image_name": "modelhost-app:0123456789ab",
    "release_read": {
        "bundles": [
            {
                "name": name,
                "version": 1,
                "format": kind,
                "digest": digit * 64,
                "path": f"models/{name}/1",
                "golden": "golden.json",
                "tolerance": 1e-6,
                "bytes": 1000,
                "extras": [],
                "requirements": {},
            }
            for name, kind, digit in (("colours", "python", "a"), ("iris", "onnx", "b"))
        ]
    },
}


def load(role: str, file: str) -> dict[str, Any]:
    """Read a YAML file of a role; an absent one is empty."""
    path = PROJECT / "roles" / role / file
    return (yaml.safe_load(path.read_text()) or {}) if path.exists() else {}


def render(role: str, template: str, **overrides: Any) -> str:
    """Render a template of a role with its defaults, a host's facts, and values that replace them."""
    return evaluate(role, (PROJECT / "roles" / role / "templates" / template).read_text(), **overrides)


def evaluate(role: str, text: str, **overrides: Any) -> str:
    """Render a text of a role's, such as a task's argument, likewise."""
    load_plugins()
    variables = (
        trusted(load(role, "defaults/main.yml")) | HOST | trusted(load(role, "vars/main.yml")) | trusted(overrides)
    )
    variables["role_path"] = str(PROJECT / "roles" / role)
    templar = Templar(loader=DataLoader(), variables=variables)
    # Where the parts of a template are, as for Ansible's own module.
    templar = templar.copy_with_new_env(searchpath=[str(PROJECT / "roles" / role / "templates")])
    return str(templar.template(trust_as_template(text)))


@cache
def load_plugins() -> None:
    """Let the full names of this project's plugins lead to this checkout, as ansible.cfg does."""
    init_plugin_loader([str(PROJECT / "collections")])


def trusted(value: Any) -> Any:
    """Mark every text of a structure as a template, as Ansible does with what it reads from a role's files."""
    if isinstance(value, str):
        return trust_as_template(value)
    if isinstance(value, dict):
        return {key: trusted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [trusted(item) for item in value]
    return value
