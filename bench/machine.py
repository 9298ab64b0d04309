"""The machine and the versions that figures belong to."""

import json
import os
import platform
import re
import subprocess
from pathlib import Path

from places import PROJECT, program

# Of each environment, the packages that a reader would ask for.
ASKED = {
    "modelhost": ("flask", "gunicorn", "numpy", "onnxruntime", "uvloop"),
    "modelhost-sklearn": ("scikit-learn", "skops"),
    "modelhost-grpc": ("grpcio", "protobuf"),
    "modelhost-gevent": ("gevent", "greenlet"),
    "seed": ("flask", "gunicorn", "scikit-learn"),
    "flask": ("flask", "gunicorn", "scikit-learn"),
    "fastapi": ("fastapi", "uvicorn", "uvloop", "onnxruntime", "scikit-learn"),
    "granian": ("granian", "msgspec", "uvloop", "onnxruntime"),
    "robyn": ("robyn", "pydantic", "uvloop", "onnxruntime"),
    "mlserver": ("mlserver", "scikit-learn"),
    "litserve": ("litserve", "scikit-learn"),
    "bentoml": ("bentoml", "scikit-learn"),
    "mlflow": ("mlflow", "scikit-learn"),
    "rayserve": ("ray", "scikit-learn"),
}


def describe() -> dict[str, str]:
    """Processor, cores, memory, system and commit."""
    models = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = re.search(r"^MemTotal: +(\d+)", Path("/proc/meminfo").read_text())
    return {
        "processor": f"{models[0] if models else platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        "memory": f"{int(memory[1]) / 1024**2:.0f} GB" if memory else "unknown",
        "system": f"{platform.freedesktop_os_release()['PRETTY_NAME']}, Linux {platform.release()}",
        "python": platform.python_version(),
        "nginx": said(["/usr/sbin/nginx", "-v"], r"nginx/(\S+)"),
        "wrk": said(["wrk", "-v"], r"wrk (\S+)"),
        "h2load": said(["h2load", "--version"], r"nghttp2/(\S+)"),
        "commit": said(["git", "-C", str(PROJECT), "describe", "--always", "--dirty"], r"(\S+)"),
    }


def versions() -> dict[str, str]:
    """What each environment that is there has installed, in words."""
    there = {name: packages for name, packages in ASKED.items() if Path(program(name, "python")).exists()}
    return {name: ", ".join(installed(name, packages)) for name, packages in there.items()}


def installed(environment: str, packages: tuple[str, ...]) -> list[str]:
    """The packages of an environment with their versions, those it has."""
    listing = subprocess.check_output(
        [program(environment, "python"), "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"],
        stderr=subprocess.DEVNULL,
    )
    found = {package["name"].lower(): package["version"] for package in json.loads(listing)}
    return [f"{package} {found[package]}" for package in packages if package in found]


def said(command: list[str], pattern: str) -> str:
    """What a program says of its version."""
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(pattern, run.stdout + run.stderr)
    return found[1] if found else "unknown"
