"""The product's version is the same wherever it stands and wherever it is served."""

import re
import subprocess
import sys
import tomllib

import modelhost
import pytest
from harness import ROOT, Server
from werkzeug.test import Client

# Each file that repeats the version, with the pattern that finds it there.
PLACES = {
    "modelhostctl/__init__.py": r'^__version__ = "(.+?)"',
    "app/Dockerfile": r'org\.opencontainers\.image\.version="(.+?)"',
    "galaxy.yml": r"^version: (\S+)$",
    "CHANGELOG.md": r"^## (\d\S*) - \d{4}-\d\d-\d\d$",  # the first is the newest
}


@pytest.mark.parametrize("file", PLACES)
def test_a_file_that_repeats_the_version_has_the_same(file: str) -> None:
    found = re.search(PLACES[file], (ROOT / file).read_text(), re.MULTILINE)
    assert found, f"{file} has no line like {PLACES[file]}"
    assert found[1] == modelhost.__version__


def test_the_package_takes_its_version_from_the_module() -> None:
    package = tomllib.loads((ROOT / "app" / "pyproject.toml").read_text())
    assert package["project"]["dynamic"] == ["version"]
    assert package["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "modelhost.__version__"}


def test_the_command_prints_the_version() -> None:
    command = [sys.executable, "-m", "modelhost.cli", "--version"]
    printed = subprocess.run(command, cwd=ROOT / "app", capture_output=True, text=True, check=True).stdout
    assert printed == f"modelhost, version {modelhost.__version__}\n"


def test_the_server_tells_the_version(client: Client) -> None:
    assert client.get("/v2").json["version"] == modelhost.__version__
    assert client.get("/version").text == modelhost.__version__
    assert client.get("/openapi.json").json["info"]["version"] == modelhost.__version__


def test_the_metrics_of_all_workers_have_the_version_once(server: Server) -> None:
    lines = server.request("GET", "/metrics").body.decode().splitlines()
    found = [line for line in lines if line.startswith("modelhost_build_info")]
    assert found == [f'modelhost_build_info{{version="{modelhost.__version__}"}} 1.0']


def test_each_metric_is_documented(server: Server) -> None:
    text = server.request("GET", "/metrics").body.decode()
    served = set(re.findall(r"^# TYPE (modelhost_\w+)", text, re.MULTILINE))
    documented = set(re.findall(r"`(modelhost_\w+)`", (ROOT / "docs" / "operations.md").read_text()))
    assert served
    assert served <= documented
