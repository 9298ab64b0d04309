"""The account answers by key and may become root; root and passwords are refused."""

import os
import subprocess
from pathlib import Path

import pytest

NAME = os.environ["MOLECULE_SCENARIO_NAME"]
TESTBED = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "testbed"


def ssh(user: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [
        "ssh",
        "-F",
        str(TESTBED / ".ssh" / "config"),
        "-o",
        "BatchMode=yes",
        *options,
        "-l",
        user,
        NAME,
        "id -un",
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_account_logs_in_with_the_key_that_root_had():
    assert ssh("deploy").stdout == "deploy\n"


def test_root_is_refused_with_the_same_key():
    attempt = ssh("root")
    assert attempt.returncode == 255
    assert "Permission denied (publickey)" in attempt.stderr


def test_a_password_is_not_even_asked_for():
    attempt = ssh("deploy", "-o", "PubkeyAuthentication=no")
    assert "Permission denied (publickey)" in attempt.stderr


def test_the_account_has_no_password_that_could_be_guessed(host):
    assert host.check_output("getent shadow deploy").split(":")[1] == "*"


def test_the_account_becomes_root_without_a_password(host):
    assert host.check_output("sudo -u deploy sudo -n id -un") == "root"


@pytest.mark.parametrize(
    "setting", ["permitrootlogin no", "passwordauthentication no", "kbdinteractiveauthentication no"]
)
def test_the_running_server_has_the_setting(host, setting):
    assert setting in host.check_output("sshd -T").splitlines()


def test_a_later_file_cannot_open_roots_login_again(host):
    host.check_output("echo 'PermitRootLogin yes' > /etc/ssh/sshd_config.d/99-provider.conf")
    try:
        assert "permitrootlogin no" in host.check_output("sshd -T").splitlines()
    finally:
        host.check_output("rm /etc/ssh/sshd_config.d/99-provider.conf")


def find_account(known_hosts: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["ansible", NAME, "-i", str(TESTBED), "-m", "modelhost.modelhost.find_account", "-a", '{"users": ["deploy"]}',
         "-e", f'{{"ansible_ssh_common_args": "-o UserKnownHostsFile={known_hosts}"}}'],
        capture_output=True, text=True, check=False, env=os.environ | environment,
    )  # fmt: skip


def test_a_changed_host_key_is_explained(host, tmp_path):
    """What a person sees whose machine was rebuilt, or who talks to another machine."""
    known_hosts = tmp_path / "known_hosts"
    ours = (TESTBED / ".ssh" / "known_hosts").read_text().splitlines()[0].split()
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    known_hosts.write_text(f"{ours[0]} {other.with_suffix('.pub').read_text()}")
    run = find_account(known_hosts)
    assert run.returncode != 0
    assert "shows another host key than the one it had before" in run.stdout
    assert f"ssh-keygen -f {known_hosts} -R" in run.stdout


def test_an_unknown_host_is_let_in_as_the_settings_of_ansible_say(host, tmp_path):
    """In a project with an ansible.cfg of its own: ssh's default asks, and Ansible has a setting for that."""
    asks = {"ANSIBLE_SSH_ARGS": "-o StrictHostKeyChecking=ask"}
    refused = find_account(tmp_path / "known_hosts", **asks)
    assert refused.returncode != 0
    assert "is not in your known_hosts" in refused.stdout
    assert "-o StrictHostKeyChecking=accept-new" in refused.stdout
    unchecked = find_account(tmp_path / "known_hosts", ANSIBLE_SSH_ARGS="", ANSIBLE_HOST_KEY_CHECKING="False")
    assert unchecked.returncode == 0, unchecked.stdout
