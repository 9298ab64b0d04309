"""site.yml refuses what cannot work before it touches the host: the variable, the value, the file, a right example."""

import hashlib
import os
import pickle
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

PROJECT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
TESTBED = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "testbed"
MODELS = ["models/colours/1", "models/iris/1"]


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """A copy of the machine's inventory, to be spoilt."""
    return Path(shutil.copytree(TESTBED, tmp_path / "inventory"))


def site(inventory: Path | None, *options: str) -> str:
    """Run site.yml, which has to fail, and return what it said, without its line breaks."""
    where = ["-i", str(inventory)] if inventory else []
    run = subprocess.run(
        ["ansible-playbook", "site.yml", *where, *options], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert run.returncode != 0, run.stdout
    assert "changed=0" in run.stdout or "PLAY RECAP" not in run.stdout
    return " ".join((run.stdout + run.stderr).split())


def set_variables(inventory: Path, **variables: object) -> None:
    file = inventory / "group_vars" / "modelhost.yml"
    file.write_text(yaml.safe_dump({"release_models": MODELS} | variables))


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"reverse_proxy_http_port": "eighty"}, ['reverse_proxy_http_port: got "eighty"', "must be a whole number"]),
        ({"reverse_proxy_http_port": 99999}, ["reverse_proxy_http_port: got 99999", "a port from 1 to 65535"]),
        ({"reverse_proxy_http_port": 22}, ["reverse_proxy_http_port: got 22", "other than SSH's"]),
        ({"docker_engine_source": "snap"}, ['got "snap"', "one of auto, distribution, upstream"]),
        ({"release_worker": 2}, ["release_worker: got 2", "did you mean release_workers?"]),
        ({"revers_proxy_http_port": 81}, ["did you mean reverse_proxy_http_port?"]),
        ({"model_server_workers": 2}, ["model_server_workers: got 2", "is called release_workers now"]),
        ({"release_models": None}, ["release_models", "a list"]),
        ({"release_models": []}, ["release_models: got []", "at least one bundle"]),
        ({"release_workers": -1}, ["release_workers: got -1", "from 1 to 64, or 0"]),
        ({"release_allow_pickle": "churn"}, ['release_allow_pickle: got "churn"', "a list of texts"]),
        ({"release_allow_pickle": ["Churn"]}, ['release_allow_pickle: got ["Churn"]', "each of a-z, 0-9, _ and -"]),
        ({"release_trusted_keys": "a.pub"}, ['release_trusted_keys: got "a.pub"', "a list of texts"]),
        ({"release_trusted_keys": ["none.pub"]}, ['release_trusted_keys: got "none.pub"', "cannot be read"]),
        ({"release_memory_limit_mb": 16}, ["release_memory_limit_mb: got 16", "at least 128 MB"]),
        ({"release_memory_limit_mb": "-1"}, ['release_memory_limit_mb: got "-1"', "or 0, which means no fixed number"]),
        ({"release_memory_limit_mb": "5e2"}, ['release_memory_limit_mb: got "5e2"', "must be a whole number"]),
        ({"release_grpc": "y"}, ['release_grpc: got "y"', "must be true or false"]),
        ({"release_default_model": "churn"}, ['got "churn"', "colours, iris"]),
        ({"release_canary_percent": 100}, ["release_canary_percent: got 100", "from 0 (no canary) to 99"]),
        ({"release_canary_key_header": "X User"}, ['got "X User"', "the name of a header"]),
        ({"outbound_http_proxy": "proxy:3128"}, ['outbound_http_proxy: got "proxy:3128"', "begins with http://"]),
        ({"outbound_http_proxy": "socks://u:p@proxy:1080"}, ["outbound_http_proxy: got a value that is not shown"]),
        (
            {"outbound_http_proxy": "http://u:s3cret%40proxy:3128"},
            ["outbound_http_proxy: got a value that is not shown"],
        ),
        ({"outbound_proxy": "u:p"}, ["outbound_proxy: got a value that is not shown"]),
        ({"outbound_no_proxy": "a,b"}, ['outbound_no_proxy: got "a,b"', "a list of texts"]),
        (
            {"base_image_mirror": "http://mirror/debian", "base_image_security_mirror": ""},
            ['base_image_security_mirror: got ""', "images would have none"],
        ),
        ({"deploy_user_name": "root"}, ['deploy_user_name: got "root"', "other than root"]),
        ({"base_image_reference": "debian:latest"}, ['got "debian:latest"', "with its digest"]),
        (
            {"app_image_source": "registry", "app_image_reference": "registry.example.com/modelhost:1"},
            ['app_image_reference: got "registry.example.com/modelhost:1"', "a tag may name another image tomorrow"],
        ),
        (
            {"app_image_push_repository": "https://ci:s3cret@registry.example.com/modelhost"},
            ["app_image_push_repository: got a value that is not shown", "belongs into app_image_registry_username"],
        ),
        ({"docker_daemon_options": {"hosts": ["tcp://0.0.0.0"]}}, ["docker_daemon_options", "without hosts"]),
        ({"reverse_proxy_timeout_seconds": 5}, ["reverse_proxy_timeout_seconds: got 5", "longer than release_timeout"]),
        (
            {"reverse_proxy_tls": "auto", "reverse_proxy_trusted_proxies": ["10.0.0.2"]},
            ['reverse_proxy_tls: got "auto"', "off where that one ends TLS"],
        ),
        ({"host_hardening_updates_reboot_time": 840}, ["host_hardening_updates_reboot_time: got 840", "in quotes"]),
        ({"host_hardening_firewall_ssh_sources": ["home"]}, ['got ["home"]', "a list of addresses and networks"]),
        ({"host_hardening_firewall_open_ports": [{"port": 0}]}, ['got [{"port": 0}]', "ports from 1 to 65535"]),
        ({"deploy_user_close_root_login": "{{ nothing }}"}, ["deploy_user_close_root_login", "cannot be rendered"]),
    ],
)
def test_a_wrong_variable_is_refused_with_the_file_to_edit_and_an_example(inventory, variables, said):
    set_variables(inventory, **variables)
    output = site(inventory)
    for words in said:
        assert words in output
    assert "group_vars/modelhost.yml:" in output
    assert "for example: " in output


def test_of_a_variable_that_is_missing_the_file_is_named_that_most_stand_in(inventory):
    set_variables(inventory, app_image_registry_username="ci")
    output = site(inventory)
    assert "app_image_registry_password: got nothing" in output
    assert "set where app_image_registry_username is" in output
    assert "group_vars/modelhost.yml, for example: " in output


def test_a_wrong_variable_of_the_command_line_is_said_to_be_from_there(inventory):
    output = site(inventory, "-e", "release_workers=-1")
    assert "release_workers: got" in output
    assert "Edit what -e gives on the command line, for example: release_workers: " in output


def test_a_misspelt_tag_is_refused(inventory):
    assert "--tags: got relase, but no role has that tag; did you mean release?" in site(inventory, "--tags", "relase")


ROLES = ["deploy_user", "host_hardening", "docker", "base_image", "app_image", "reverse_proxy", "release"]


@pytest.mark.parametrize("role", ROLES)
def test_a_check_of_each_role_alone_tells_what_it_can_of_a_bare_host(inventory, role):
    set_variables(inventory)
    command = ["ansible-playbook", "site.yml", "-i", str(inventory), "--check", "--diff", "--tags", role]
    run = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"^preflight .* changed=[1-9]", run.stdout, re.MULTILINE), run.stdout


@pytest.mark.parametrize("role", ["reverse_proxy", "release"])
def test_a_role_that_needs_an_engine_is_refused_alone_where_there_is_none(inventory, role):
    set_variables(inventory)
    assert f"has no engine yet, and --tags {role} leaves out the role that installs it" in site(
        inventory, "--tags", role
    )


def test_a_missing_required_variable_is_refused(inventory):
    (inventory / "group_vars" / "modelhost.yml").write_text("{}")
    output = site(inventory)
    assert "release_models: got nothing, but it is required" in output
    assert "for example: release_models: [models/colours/1, models/iris/1]" in output


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda bundle: (bundle / "model.yaml").unlink(), "model.yaml"),
        (lambda bundle: (bundle / "model.onnx").write_bytes(b"not what it was"), "model.onnx"),
        (lambda bundle: (bundle / "model.onnx").unlink(), "model.onnx"),
    ],
)
def test_a_bundle_that_could_not_be_served_is_refused(inventory, tmp_path, spoil, said):
    bundle = Path(shutil.copytree(PROJECT / "models" / "iris" / "1", tmp_path / "iris" / "1"))
    spoil(bundle)
    set_variables(inventory, release_models=[str(bundle)])
    output = site(inventory)
    assert "These bundles cannot be served" in output
    assert said in output
    assert "group_vars/modelhost.yml" in output


def test_a_pickle_that_the_deployment_does_not_name_is_refused(inventory, tmp_path):
    bundle = Path(shutil.copytree(PROJECT / "models" / "iris" / "1", tmp_path / "iris" / "1"))
    manifest = yaml.safe_load((bundle / "model.yaml").read_text())
    (bundle / manifest["entry"]).unlink()
    model = pickle.dumps({"harmless": True})
    (bundle / "model.pkl").write_bytes(model)
    files = {name: digest for name, digest in manifest["files"].items() if name != manifest["entry"]}
    files["model.pkl"] = hashlib.sha256(model).hexdigest()
    changed = {"format": "pickle", "allow_pickle": True, "entry": "model.pkl", "files": files}
    (bundle / "model.yaml").write_text(yaml.safe_dump(manifest | changed))
    set_variables(inventory, release_models=[str(bundle)])
    output = site(inventory)
    assert "iris version 1 is a pickle, which can run any code on the host" in output
    assert "release_allow_pickle: [iris]" in output
    assert "group_vars/modelhost.yml" in output


def test_a_missing_deployment_is_explained():
    output = site(Path("/nonexistent"))
    assert "cp -r inventory/example inventory/production" in output


def test_a_host_that_does_not_answer_is_told_from_one_that_refuses(inventory):
    hosts = inventory / "hosts.yml"
    hosts.write_text(hosts.read_text().replace("ansible_port: ", "ansible_port: 1 #"))
    assert "does not answer SSH on port 1" in site(inventory)


def test_a_key_that_nobody_accepts_is_explained(inventory, tmp_path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    output = site(inventory, "-e", f"ansible_ssh_private_key_file={tmp_path}/other")
    assert "lets none of these accounts in with your key: deploy, root" in output


def test_a_new_host_without_a_key_for_its_account_is_refused(inventory):
    output = site(inventory, "-e", '{"deploy_user_authorized_keys": []}')
    assert "deploy_user_authorized_keys: got [], but it must be the public keys that may log in as deploy" in output
    assert "lookup('file', '~/.ssh/id_ed25519.pub')" in output


@contextmanager
def instead(host, path: str, content: str) -> Iterator[None]:
    """Lay a file over another one of the machine for a while."""
    host.check_output(
        "sh -c %s",
        f"printf '%b' '{content}' > /run/instead && mount --bind /run/instead {path}",
    )
    try:
        yield
    finally:
        host.check_output("umount %s", path)


@pytest.mark.parametrize(
    ("path", "content", "said"),
    [
        (
            "/usr/lib/os-release",
            'ID=fedora\\nVERSION_ID=43\\nPRETTY_NAME="Fedora 43"\\n',
            "runs Fedora 43, which is not",
        ),
        ("/proc/meminfo", "MemTotal: 261120 kB\\n", "has 255 MB of memory, and at least 512 MB are needed"),
        ("/usr/bin/python3.13", "#!/bin/sh\\nexit 1\\n", "has a python3 that does not run"),
    ],
)
def test_a_host_that_cannot_carry_it_is_refused_with_the_figure(host, inventory, path, content, said):
    with instead(host, path, content):
        assert said in site(inventory)


def test_an_archive_without_compose_is_refused_before_anything_else_is_done(host, inventory):
    set_variables(inventory, docker_engine_source="distribution")
    bookworm = 'ID=debian\\nVERSION_ID="12"\\nVERSION_CODENAME=bookworm\\nPRETTY_NAME="Debian 12"\\n'
    with instead(host, "/usr/lib/os-release", bookworm):
        output = site(inventory)
    assert 'docker_engine_source: got "distribution"' in output
    assert "has no compose v2" in output
    assert "docker_engine_source: upstream" in output


# A program in front of the real one: a container has its host's clock and processor.
IN_FRONT = {
    "a clock that is slow": ("date", 'exec /usr/bin/date --date "-2 hours" "$@"', "s behind of this machine's"),
    "a clock that is fast": ("date", 'exec /usr/bin/date --date "+1 day" "$@"', "s ahead of this machine's"),
    "32 bits": ("dpkg", "echo i386", "has a system for i386, and what models run in is there for amd64"),
}


@pytest.mark.parametrize(("program", "does", "said"), IN_FRONT.values(), ids=IN_FRONT)
def test_a_clock_that_is_wrong_and_another_processor_are_refused(host, inventory, program, does, said):
    host.check_output(f"printf '#!/bin/sh\\n%s\\n' '{does}' > /usr/local/bin/{program}")
    host.check_output(f"chmod +x /usr/local/bin/{program}")
    try:
        assert said in site(inventory)
    finally:
        host.check_output(f"rm /usr/local/bin/{program}")


def test_a_full_disk_is_refused_with_the_figure(host, inventory):
    host.check_output("mount -t tmpfs -o size=300m tmpfs /srv")
    try:
        assert "300 MB of disk are free, and at least 1024 MB are needed" in site(inventory)
    finally:
        host.check_output("umount /srv")


def test_a_port_in_use_is_refused_with_the_program_that_holds_it(host, inventory):
    host.check_output("systemd-run --quiet --unit squatter python3 -m http.server 80")
    try:
        host.check_output("timeout 10 sh -c 'until ss -Hltn sport = :80 | grep -q .; do sleep 0.1; done'")
        output = site(inventory)
    finally:
        host.check_output("systemctl stop squatter")
    assert "port 80 is in use by python3" in output
    assert "reverse_proxy_http_port: 8080" in output


# What stands for engines that cannot be had here: how it comes, how it goes, and what is said.
PODMAN = """Package: podman-docker
Version: 1
Architecture: all
Maintainer: nobody <nobody@localhost>
Description: a stub
"""
AN_ENGINE = (
    "printf '#!/bin/sh\\necho Docker version %s, build x\\n' {} > /usr/local/bin/dockerd"
    " && chmod +x /usr/local/bin/dockerd"
)
NO_ENGINE = "rm /usr/local/bin/dockerd"
ENGINES = {
    "a snap": ("mkdir -p /snap/bin && touch /snap/bin/docker", "rm -r /snap", "has Docker as a snap"),
    "Podman": (
        f"mkdir -p /root/stub/DEBIAN && echo '{PODMAN}' > /root/stub/DEBIAN/control && dpkg-deb --build /root/stub"
        " && dpkg -i /root/stub.deb",
        "dpkg --purge podman-docker && rm -r /root/stub /root/stub.deb",
        "has Podman under the name of docker",
    ),
    "an old one": (
        AN_ENGINE.format("19.03.15"),
        NO_ENGINE,
        "has the engine 19.03.15 (unpackaged), and 25.0 is the oldest that works",
    ),
    "one without compose": (
        AN_ENGINE.format("28.1.1"),
        NO_ENGINE,
        "(unpackaged), without compose and buildx. Install what is missing as a plugin",
    ),
    "one that does not run": (AN_ENGINE.format("28.1.1"), NO_ENGINE, "(unpackaged) that does not run"),
}


@pytest.mark.parametrize(("there", "gone", "said"), ENGINES.values(), ids=ENGINES)
def test_what_cannot_serve_is_refused(host, inventory, there, gone, said):
    set_variables(inventory)
    host.check_output("sh -c %s", there)
    try:
        assert said in site(inventory)
    finally:
        host.check_output("sh -c %s", gone)


def test_all_of_this_has_left_the_host_untouched(host):
    assert not host.user("deploy").exists
    assert not host.file("/srv/modelhost").exists
    assert not host.file("/etc/docker").exists
    assert host.file("/srv").listdir() == []
