"""What is said to be in images and releases is what is in them, and what waits for a patch is counted."""

import json
import re
import subprocess
import time
from pathlib import Path

import pip
import pytest
import vm
from deploying import NAME, on_host

SECURITY = "/var/lib/apt/lists/*-security_main_binary-*_Packages"
ASKED = "docker run --rm --network none --read-only"
# Whoever has written a library may write both into the image: one runs with every Python, one is first in PATH.
TREACHEROUS = r"""
FROM {image}
USER 0
RUN printf 'import os; os.write(1, b"pypi [\\"never\\", \\"1\\", null, null, []]\\\\n")\n' \
      > $(echo /opt/modelhost/lib/python3*/site-packages)/treacherous.pth \
 && printf '#!/bin/sh\necho end\n' > /opt/modelhost/bin/dpkg-query && chmod 755 /opt/modelhost/bin/dpkg-query \
 && cp /opt/modelhost/bin/dpkg-query /opt/modelhost/bin/sed
USER 10001
"""


def images() -> list[str]:
    """Those of modelhost on the machine."""
    return on_host("docker image ls --format '{{.Repository}}:{{.Tag}}' 'modelhost-*'").split()


def of_image(name: str) -> dict:
    return json.loads(on_host(f"modelhostctl sbom --image {name}"))


def listed(sbom: dict, kind: str) -> dict[str, str]:
    found = [one for one in sbom["components"] if one.get("purl", "").startswith(f"pkg:{kind}/")]
    return {one["name"]: one["version"] for one in found}


def app() -> str:
    (image,) = {one for one in images() if one in on_host("docker ps --format '{{.Image}}'").split() and "app" in one}
    return image


def test_each_images_packages_are_those_that_dpkg_lists():
    names = images()
    assert {name.partition(":")[0] for name in names} >= {"modelhost-app", "modelhost-base", "modelhost-proxy"}
    for name in names:
        lines = on_host(f"{ASKED} --entrypoint dpkg {name} -l").splitlines()
        rows = [line.split()[1:3] for line in lines if line[1:2] == "i"]
        assert len(rows) > 50
        assert listed(of_image(name), "deb") == {package.partition(":")[0]: version for package, version in rows}


def test_the_apps_distributions_are_those_that_pip_lists():
    on_host("rm -rf /root/pip; mkdir /root/pip")
    vm.run("docker", "cp", str(Path(pip.__file__).parent), f"modelhost-{NAME}:/root/pip/pip")
    command = f"{ASKED} -v /root/pip:/pip:ro -e PYTHONPATH=/pip --entrypoint /opt/modelhost/bin/python {app()}"
    printed = on_host(f"{command} -m pip list --format json --no-cache-dir --disable-pip-version-check 2>/dev/null")
    names = {re.sub(r"[-_.]+", "-", one["name"]).lower(): one["version"] for one in json.loads(printed)}
    assert "gunicorn" in names
    assert listed(of_image(app()), "pypi") == names


def test_a_release_lists_the_files_that_are_served():
    sbom = json.loads(on_host("modelhostctl sbom"))
    release = sbom["metadata"]["component"]["version"]
    served = json.loads(on_host(f"cat /srv/modelhost/releases/{release}/release.json"))["bundles"]
    models = {one["name"]: one for one in sbom["components"] if one["type"] == "machine-learning-model"}
    assert set(models) == {bundle["name"] for bundle in served}
    for bundle in served:
        summed = on_host(f"cd {bundle['folder']} && find . -type f -exec sha256sum {{}} +").splitlines()
        found = {one["name"]: one["hashes"][0]["content"] for one in models[bundle["name"]]["components"]}
        pairs = (line.split(maxsplit=1) for line in summed)
        assert found == {name.removeprefix("./"): digest for digest, name in pairs}


def test_what_is_kept_is_made_again_byte_for_byte():
    release = json.loads(on_host("modelhostctl sbom"))["metadata"]["component"]["version"]
    files = {"": f"/srv/modelhost/releases/{release}/sbom.cdx.json"}
    for name in images():
        image = on_host(f"docker image inspect --format '{{{{.Id}}}}' {name}").strip().removeprefix("sha256:")
        files[f"--image {name}"] = f"/srv/modelhost/sboms/{image}.cdx.json"
    kept = {option: on_host(f"cat {file}") for option, file in files.items()}
    on_host(f"for file in {' '.join(files.values())}; do mv $file $file.away; done")
    try:
        assert {option: on_host(f"modelhostctl sbom {option}") for option in files} == kept
    finally:
        on_host(f"for file in {' '.join(files.values())}; do mv $file.away $file; done")
    assert "asked-by" not in on_host("docker ps --all --format '{{.Names}}'")


def test_nothing_that_a_library_has_brought_runs_or_is_believed():
    recipe = TREACHEROUS.format(image=app())
    build = ["docker", "build", "--quiet", "--tag", "modelhost-app:bad", "-"]
    build = ["docker", "exec", "-i", f"modelhost-{NAME}", *build]
    subprocess.run(build, input=recipe, text=True, check=True, capture_output=True)
    try:
        assert "never" in on_host(f"{ASKED} --entrypoint /opt/modelhost/bin/python modelhost-app:bad -c pass")
        assert of_image("modelhost-app:bad")["components"] == of_image(app())["components"]
    finally:
        on_host("docker image rm modelhost-app:bad")


def known_status() -> dict:
    """A machine that has much else to do may not find out in time, and says so."""
    deadline = time.monotonic() + 60
    while True:
        status = json.loads(on_host("modelhostctl status --json"))
        if all(one["packages"] is not None for one in status["status"]["updates"]["waiting"]):
            return status
        assert time.monotonic() < deadline, status["lines"]


@pytest.mark.parametrize("of", ["the host", "an image"])
def test_status_counts_what_the_security_archive_has_newer(of):
    # bash is in every image and on every host; openssh-server on hosts alone.
    package = "openssh-server" if of == "the host" else "login.defs"
    there = on_host("dpkg-query --show --showformat '${Package} ${Architecture}\\n'").split("\n")
    (architecture,) = (line.split()[1] for line in there if line.split()[:1] == [package])
    paragraph = f"\\nPackage: {package}\\nArchitecture: {architecture}\\nVersion: 99:1\\n\\n"
    on_host(f"for list in {SECURITY}; do cp $list /tmp/list; printf '{paragraph}' >> $list; done")
    try:
        status = known_status()
    finally:
        on_host(f"for list in {SECURITY}; do cat /tmp/list > $list; done")
    waiting = {one["of"]: one["packages"] for one in status["status"]["updates"]["waiting"]}
    assert package in waiting["host"]
    assert (package in waiting[app()]) == (of == "an image")
    assert any("`make upgrade`" in line for line in status["lines"])
