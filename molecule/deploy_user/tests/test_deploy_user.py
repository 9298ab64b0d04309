"""The account answers by key and may become root; root and passwords are refused."""

import os
import subprocess
from pathlib import Path

import pytest
from deploying import TESTBED, as_before_the_first_run, changes, log_in, on_host, play, words

NAME = os.environ["MOLECULE_SCENARIO_NAME"]
CONVERGE = "molecule/deploy_user/converge.yml"


def test_the_account_logs_in_with_the_key_that_the_inventory_names():
    assert log_in("deploy").stdout == "deploy\n"


def test_root_is_refused_with_the_same_key():
    attempt = log_in("root")
    assert attempt.returncode == 255
    assert "Permission denied (publickey)" in attempt.stderr


def test_a_password_is_not_even_asked_for():
    attempt = log_in("deploy", "-o", "PubkeyAuthentication=no")
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


# sshd as a run has left it that was killed before the reload, whatever the clock said when that run wrote the file.
NOT_RELOADED = """
set -e
file=/etc/ssh/sshd_config.d/00-0-modelhost.conf
cp --preserve $file /root/wanted
printf 'PermitRootLogin yes\\nPasswordAuthentication yes\\n' > $file
systemctl reload ssh && sleep 1
cp --preserve /root/wanted $file
touch --date %s $file
"""


@pytest.mark.parametrize("written", ["now", "2001-01-01", "2037-01-01"])
def test_an_sshd_that_runs_with_other_settings_is_reloaded(written):
    on_host(NOT_RELOADED % written)
    assert log_in("root").stdout == "root\n"
    run = play(CONVERGE)
    assert changes(run.stdout) == 1, run.stdout
    assert "Permission denied (publickey)" in log_in("root").stderr
    assert "Permission denied (publickey)" in log_in("deploy", "-o", "PubkeyAuthentication=no").stderr
    assert changes(play(CONVERGE).stdout) == 0


def test_a_check_tells_of_the_reload_and_does_not_do_it():
    on_host(NOT_RELOADED % "now")
    run = play(CONVERGE, "--check", "--diff")
    assert run.returncode == 0, run.stdout
    assert log_in("root").stdout == "root\n"
    assert changes(play(CONVERGE).stdout) == 1


def test_an_sshd_that_somebody_else_has_reloaded_is_left_alone():
    on_host(NOT_RELOADED % "now")
    on_host("systemctl reload ssh && sleep 1")
    assert changes(play(CONVERGE).stdout) == 0


def test_an_sshd_that_does_not_read_the_file_is_refused_with_the_line_to_write():
    on_host("cp /etc/ssh/sshd_config /root/ && sed -i '/^Include/d' /etc/ssh/sshd_config")
    try:
        on_host("systemctl reload ssh")
        said = " ".join(play(CONVERGE).stdout.split())
    finally:
        on_host("cp /root/sshd_config /etc/ssh/ && systemctl reload ssh")
    assert "does not read /etc/ssh/sshd_config.d/00-0-modelhost.conf" in said
    assert "Include /etc/ssh/sshd_config.d/*.conf" in said
    assert changes(play(CONVERGE).stdout) == 0


def test_where_systemd_holds_sshds_socket_settings_are_read_as_well():
    try:
        on_host("systemctl stop ssh; systemctl start ssh.socket")
        assert changes(play(CONVERGE).stdout) == 0
        on_host("rm /etc/ssh/sshd_config.d/00-0-modelhost.conf")
        ended = play(CONVERGE)
        assert ended.returncode == 0, ended.stdout
        assert "Permission denied (publickey)" in log_in("root").stderr
    finally:
        on_host("systemctl stop ssh.socket ssh; systemctl start ssh")


@pytest.fixture
def sshd_files():
    """sshd's files, to be written to and put back."""
    on_host("rm -rf /root/ssh && cp -a /etc/ssh /root/ssh")
    yield "/etc/ssh/sshd_config.d"
    on_host("rm -rf /etc/ssh/sshd_config.d && cp -a /root/ssh/. /etc/ssh/ && systemctl reload ssh && sleep 1")


MATCH_ROOT = "printf 'Match User root\\n    PermitRootLogin prohibit-password\\n' >> /etc/ssh/sshd_config"


@pytest.mark.parametrize("options", [(), ("--check", "--diff")])
@pytest.mark.parametrize("read", [True, False])
def test_a_block_that_lets_root_in_is_refused_with_its_line(sshd_files, read, options):
    on_host(MATCH_ROOT + (" && systemctl reload ssh && sleep 1" if read else ""))
    number = on_host("wc -l < /etc/ssh/sshd_config").strip()
    if read:
        assert log_in("root").stdout == "root\n"
    run = play(CONVERGE, *options)
    assert run.returncode != 0
    assert "PermitRootLogin is without-password for root, and has to be no" in words(run)
    assert f"/etc/ssh/sshd_config:{number} (PermitRootLogin prohibit-password)" in words(run)
    assert "systemctl reload ssh" in words(run)
    assert "set deploy_user_close_root_login to false" in words(run)
    assert log_in("deploy").stdout == "deploy\n"


def test_a_block_for_another_place_is_refused_and_one_for_others_is_told(sshd_files):
    on_host(f"printf 'Match User partner\\nPasswordAuthentication yes\\n' > {sshd_files}/60-partner.conf")
    run = play(CONVERGE)
    assert run.returncode == 0, run.stdout
    assert "sshd, for accounts that its files name: PasswordAuthentication yes by " in words(run)
    on_host(f"printf 'Match Address 198.51.100.0/24\\nPasswordAuthentication yes\\n' > {sshd_files}/60-partner.conf")
    run = play(CONVERGE)
    assert run.returncode != 0
    assert f"{sshd_files}/60-partner.conf:2 (PasswordAuthentication yes)" in words(run)


def test_an_sshd_that_runs_with_files_that_are_gone_is_made_to_read_those_that_are_there(sshd_files):
    on_host(MATCH_ROOT + " && systemctl reload ssh && sleep 1 && cp /root/ssh/sshd_config /etc/ssh/")
    assert log_in("root").stdout == "root\n"
    check = play(CONVERGE, "--check", "--diff")
    assert changes(check.stdout) == 1, check.stdout
    assert log_in("root").stdout == "root\n"
    run = play(CONVERGE)
    assert changes(run.stdout) == 1, run.stdout
    assert "Permission denied (publickey)" in log_in("root").stderr
    assert changes(play(CONVERGE).stdout) == 0


def logins_of_root() -> int:
    """How often root's login was tried by a key that it accepts; sshd says each of these twice."""
    return int(on_host("journalctl --unit ssh | grep -c 'ROOT LOGIN REFUSED.*preauth' || true"))


def test_roots_login_is_tried_once_for_each_time_that_sshd_has_read_its_files():
    """Whoever fails to log in is counted, by programs that ban him in the end."""
    assert play(CONVERGE).returncode == 0
    before = logins_of_root()
    assert play(CONVERGE).returncode == 0
    assert logins_of_root() == before
    on_host("systemctl reload ssh && sleep 1")
    assert play(CONVERGE).returncode == 0
    assert logins_of_root() == before + 1


def test_the_file_of_an_older_version_goes(sshd_files):
    on_host(f"mv {sshd_files}/00-0-modelhost.conf {sshd_files}/00-modelhost.conf")
    assert play(CONVERGE).returncode == 0
    assert on_host(f"ls {sshd_files}").split() == ["00-0-modelhost.conf"]
    assert changes(play(CONVERGE).stdout) == 0


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A second key pair of this machine's."""
    make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "new", "-f", tmp_path / "new"]
    subprocess.run(make, check=True)
    return tmp_path / "new"


def public(key: Path) -> str:
    return key.with_suffix(".pub").read_text()


def accepted() -> set[str]:
    """Not by a login: the keys that are looked at decide over that."""
    return {line.split()[1] for line in on_host("cat /home/deploy/.ssh/authorized_keys").splitlines()}


FIRST = TESTBED / ".ssh" / "id_ed25519"


def test_a_key_that_does_not_let_this_machine_in_replaces_none_and_what_to_do_is_told(key):
    """As with a typing error, the example of a document, or a colleague's key."""
    run = play(CONVERGE, deploy_user_authorized_keys=[public(key)])
    said = " ".join(run.stdout.split())
    assert run.returncode != 0
    assert log_in("deploy").stdout == "deploy\n"
    assert public(FIRST).split()[1] in accepted()
    assert "Add that key to deploy_user_authorized_keys" in said
    assert "ansible_ssh_private_key_file: ~/.ssh/id_ed25519" in said
    assert "Nothing was taken away" in said
    # The inventory is put right, and the other key goes.
    assert changes(play(CONVERGE).stdout) == 1
    assert accepted() == {public(FIRST).split()[1]}


def test_keys_change_one_after_the_other(key):
    """Named beside the first one, then used, then alone."""
    both = [public(FIRST), public(key)]
    assert play(CONVERGE, deploy_user_authorized_keys=both).returncode == 0
    new = {"deploy_user_authorized_keys": [public(key)], "ansible_ssh_private_key_file": str(key)}
    assert play(CONVERGE, **new).returncode == 0
    assert accepted() == {public(key).split()[1]}
    assert changes(play(CONVERGE, **new).stdout) == 0
    assert "Permission denied" in log_in("deploy").stderr
    back = play(CONVERGE, **new | {"deploy_user_authorized_keys": [public(FIRST)]})
    assert back.returncode != 0
    assert play(CONVERGE).returncode == 0
    assert accepted() == {public(FIRST).split()[1]}


def test_of_several_keys_that_ssh_may_choose_from_one_that_stays_is_the_proof(key):
    """An agent offers the old one first."""
    agent = subprocess.check_output(["ssh-agent", "-s"], text=True)
    variables = dict(line.split(";")[0].split("=") for line in agent.splitlines() if "=" in line)
    free = {"ansible_ssh_private_key_file": "", "deploy_user_authorized_keys": [public(key)]}
    try:
        subprocess.run(["ssh-add", "-q", FIRST, key], check=True, env=os.environ | variables)
        run = play(CONVERGE, environment=variables, **free)
        assert run.returncode == 0, run.stdout
        assert accepted() == {public(key).split()[1]}
        back = play(CONVERGE, environment=variables, **free | {"deploy_user_authorized_keys": [public(FIRST)]})
        assert back.returncode == 0, back.stdout
    finally:
        subprocess.run(["kill", variables["SSH_AGENT_PID"]], check=True)
    assert accepted() == {public(FIRST).split()[1]}


@pytest.fixture
def before_the_first_run():
    """A machine that has no account yet, and one that has it again afterwards."""
    as_before_the_first_run()
    keys = on_host("cat /root/.ssh/authorized_keys")
    yield
    on_host(f"echo '{keys.strip()}' > /root/.ssh/authorized_keys")
    as_before_the_first_run()
    assert play(CONVERGE).returncode == 0


def has_account() -> bool:
    return "deploy" in on_host("cut -d: -f1 /etc/passwd").split()


@pytest.mark.usefixtures("before_the_first_run")
def test_a_check_before_the_first_run_ends_well_and_changes_nothing():
    run = play(CONVERGE, "--check", "--diff")
    assert run.returncode == 0, run.stdout
    assert changes(run.stdout) > 0
    assert not has_account()
    assert log_in("root").stdout == "root\n"


@pytest.mark.usefixtures("before_the_first_run")
def test_a_file_of_the_images_vendor_that_opens_root_does_not_win(sshd_files):
    on_host(f"echo 'PermitRootLogin yes' > {sshd_files}/00-a-vendor.conf && systemctl reload ssh && sleep 1")
    run = play(CONVERGE)
    assert run.returncode == 0, run.stdout
    assert "Permission denied (publickey)" in log_in("root").stderr


@pytest.mark.usefixtures("before_the_first_run")
@pytest.mark.parametrize("place", ["sshd_config.d/00-!vendor.conf", "sshd_config"])
def test_a_line_that_sshd_reads_before_ours_is_refused_and_locks_no_one_out(sshd_files, place):
    before_it = f"{{ echo PermitRootLogin yes; cat {place}; }} > /root/new && cp /root/new {place}"
    on_host(f"cd /etc/ssh && touch {place} && {before_it}")
    run = play(CONVERGE)
    assert run.returncode != 0
    assert "PermitRootLogin is yes for root and deploy and modelhost-stranger, and has to be no" in words(run)
    assert f"/etc/ssh/{place}:1 (PermitRootLogin yes)" in words(run)
    assert log_in("root").stdout == "root\n"
    on_host(f"sed -i '/^PermitRootLogin/d' /etc/ssh/{place} && systemctl reload ssh && sleep 1")
    again = play(CONVERGE)
    assert again.returncode == 0, again.stdout
    assert "Permission denied (publickey)" in log_in("root").stderr


@pytest.mark.usefixtures("before_the_first_run")
def test_without_a_key_no_account_is_made_and_how_to_name_one_is_told():
    run = play(CONVERGE, deploy_user_authorized_keys=[])
    said = " ".join(run.stdout.split()).replace("\\", "")
    assert run.returncode != 0
    assert changes(run.stdout) == 0
    assert "deploy_user_authorized_keys: got [], but it must be the public keys that may log in as deploy" in said
    assert "[\"{{ lookup('file', '~/.ssh/id_ed25519.pub') }}\"]" in said
    assert "deploy_user_copy_first_keys: true" in said
    assert not has_account()


@pytest.mark.usefixtures("before_the_first_run")
def test_a_providers_keys_are_copied_where_that_is_asked_for(key):
    on_host(f"echo '{public(key).strip()}' >> /root/.ssh/authorized_keys")
    assert play(CONVERGE).returncode == 0
    assert accepted() == {public(FIRST).split()[1]}
    as_before_the_first_run()
    copy = {"deploy_user_authorized_keys": [], "deploy_user_copy_first_keys": True}
    run = play(CONVERGE, **copy)
    assert run.returncode == 0, run.stdout
    assert accepted() == {public(FIRST).split()[1], public(key).split()[1]}
    assert changes(play(CONVERGE, **copy).stdout) == 0


@pytest.mark.usefixtures("before_the_first_run")
def test_a_key_with_options_is_not_copied():
    on_host("""sed -i '1{p;s|^|command="/bin/false" |}' /root/.ssh/authorized_keys""")
    run = play(CONVERGE, deploy_user_authorized_keys=[], deploy_user_copy_first_keys=True)
    said = " ".join(run.stdout.split()).replace("\\", "")
    assert run.returncode != 0
    assert 'root accepts as key 2 the options command="/bin/false" before a key' in said
    assert not has_account()


@pytest.mark.usefixtures("before_the_first_run")
def test_roots_login_stays_open_where_the_named_key_does_not_let_this_machine_in(key):
    run = play(CONVERGE, deploy_user_authorized_keys=[public(key)])
    assert run.returncode != 0
    assert "Nothing was taken away" in " ".join(run.stdout.split())
    assert log_in("root").stdout == "root\n"
