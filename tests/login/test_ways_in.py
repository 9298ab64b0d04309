"""By which ways a host is reached: what ~/.ssh/config says, an agent, a bastion, IPv6, another port, no SSH at all."""

import itertools
import os
import pwd
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ask_hosts import ask, changes, inventory, play, run
from debian_host import ROOT, machine
from rendering import load_plugins

MANY = 7


@pytest.fixture
def ssh_folder(accounts, tmp_path) -> Path:
    """An own ~/.ssh, whose configuration leads to the machine."""
    folder = tmp_path / "ssh"
    folder.mkdir(mode=0o700)
    (folder / "config").write_text(
        "Host vm vm-as-me vm-as-nobody vm-behind\n"
        f"  HostName 127.0.0.1\n  Port {accounts.port}\n  IdentityFile {accounts.key}\n"
        "Host vm\n  User ubuntu\n"
        "Host vm-as-me\n  User root\n"
        f"Host jump\n  HostName 127.0.0.1\n  Port {accounts.port}\n  User nosudo\n  IdentityFile {accounts.key}\n"
        "Host vm-behind\n  User ubuntu\n  ProxyJump jump\n"
        f"Host *\n  UserKnownHostsFile {tmp_path}/known_hosts\n  StrictHostKeyChecking accept-new\n"
    )
    return folder


def test_what_the_configuration_of_ssh_says_is_not_overridden(accounts, ssh_folder, tmp_path):
    """Name, port, account and key; an account that it does not name is root, also where root runs this."""
    hosts: dict[str, Any] = {name: {} for name in ("vm", "vm-as-me", "vm-as-nobody", "vm-behind")}
    hosts["named"] = {"ansible_host": "vm", "ansible_user": "noisy"}
    answers = ask(tmp_path / "ask", hosts, users=("deploy",), ssh_folder=ssh_folder)
    found = {host: answer.get("user", answer.get("msg")) for host, answer in answers.items()}
    assert found == {
        "vm": "ubuntu", "vm-as-me": "root", "vm-as-nobody": "root", "vm-behind": "ubuntu", "named": "noisy",
    }  # fmt: skip


class Option(NamedTuple):
    """A connection that has these options, where an action would have Ansible's."""

    options: dict[str, str]

    def option(self, name: str) -> str | None:
        return self.options.get(name)


@pytest.mark.parametrize(
    ("config", "user"),
    [
        ("Host vm\n  User {me}\n", "{me}"),
        ("Host vm\n  User ada\n", "ada"),
        ("Host other\n  User {me}\n", None),
        ("", None),
    ],
)
def test_an_account_that_is_named_is_told_from_the_one_that_runs_ssh(tmp_path, config, user):
    """ssh shows the same for both where they have one name."""
    load_plugins()
    from ansible_collections.modelhost.modelhost.plugins.plugin_utils.ssh_settings import own_user

    me = pwd.getpwuid(os.getuid()).pw_name
    (tmp_path / "config").write_text(config.format(me=me))
    login = Option({"host": "vm", "ssh_common_args": f"-F {tmp_path}/config"})
    assert own_user(login) == (user and user.format(me=me))
    assert own_user(Option(login.options | {"remote_user": "bob"})) == "bob"


def test_what_the_inventory_says_wins_over_the_configuration(accounts, ssh_folder, tmp_path):
    config = ssh_folder / "config"
    config.write_text(
        config.read_text().replace(f"Port {accounts.port}", "Port 1").replace("User ubuntu", "User nobody")
    )
    answers = ask(
        tmp_path / "ask", {"vm": {"ansible_port": accounts.port, "ansible_user": "root"}}, ssh_folder=ssh_folder
    )
    assert answers["vm"]["user"] == "root"


def test_a_bastion_may_be_named_in_the_inventory(accounts, ssh_folder, tmp_path):
    hosts = {
        "behind": accounts.variables(
            ansible_ssh_common_args=f"-J jump -o UserKnownHostsFile={tmp_path}/known", ansible_user="root"
        ),
    }
    answers = ask(tmp_path / "ask", hosts, ssh_folder=ssh_folder)
    assert answers["behind"]["user"] == "root"


@contextmanager
def agent(*keys: Path) -> Iterator[dict[str, str]]:
    """Run one that holds these keys; its variables."""
    said = subprocess.check_output(["ssh-agent", "-s"], text=True)
    variables = dict(line.split(";")[0].split("=") for line in said.splitlines() if "=" in line)
    try:
        subprocess.run(["ssh-add", "-q", *keys], check=True, env=os.environ | variables)
        yield variables
    finally:
        subprocess.run(["kill", variables["SSH_AGENT_PID"]], check=True)


def other_keys(folder: Path) -> list[Path]:
    keys = [folder / f"other{number}" for number in range(MANY)]
    for key in keys:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    return keys


def without_key(variables: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in variables.items() if name != "ansible_ssh_private_key_file"}


def test_a_key_that_only_an_agent_holds_gets_in(accounts, ssh_folder, tmp_path):
    (ssh_folder / "config").unlink()
    with agent(accounts.key) as variables:
        answers = ask(tmp_path / "ask", {"one": without_key(accounts.variables())}, ssh_folder=ssh_folder, **variables)
    assert answers["one"]["user"] == "root"


def test_of_an_agent_with_many_keys_the_one_that_is_named_is_offered(accounts, ssh_folder, tmp_path):
    (ssh_folder / "config").unlink()
    hosts = {"named": accounts.variables()}, {"any": without_key(accounts.variables())}
    with agent(*other_keys(tmp_path)) as variables:
        named, of_any = (
            ask(tmp_path / str(number), host, users=("deploy",), ssh_folder=ssh_folder, **variables)
            for number, host in enumerate(hosts)
        )
    assert named["named"]["user"] == "root"
    assert "-o IdentitiesOnly=yes" in named["named"]["ssh_common_args"]
    assert "your agent offered more keys than it will look at" in of_any["any"]["msg"]
    assert "ansible_ssh_private_key_file: ~/.ssh/id_ed25519" in of_any["any"]["msg"]


def test_the_tasks_that_follow_offer_the_named_key_alone(tmp_path):
    """Each by a connection of its own; an agent's keys would go first."""
    with machine(tmp_path / "machine", "let_in root") as made, agent(*other_keys(tmp_path)) as variables:
        file = inventory(tmp_path, {"one": made.variables()}, deploy_user_authorized_keys=[made.public_key])
        ended = play(tmp_path, file, ANSIBLE_SSH_ARGS="-o StrictHostKeyChecking=accept-new", **variables)
        assert ended.returncode == 0, ended.stdout


def test_a_passphrase_is_the_agents_to_know(accounts, ssh_folder, tmp_path):
    (ssh_folder / "config").unlink()
    locked = tmp_path / "locked"
    locked.write_bytes(accounts.key.read_bytes())
    locked.chmod(0o600)
    hosts = {"one": accounts.variables(ansible_ssh_private_key_file=str(locked))}
    with agent(locked) as variables:
        subprocess.run(["ssh-keygen", "-q", "-p", "-N", "a long word", "-f", locked], check=True, capture_output=True)
        held = ask(tmp_path / "held", hosts, ssh_folder=ssh_folder, **variables)
    alone = ask(tmp_path / "alone", hosts, ssh_folder=ssh_folder)
    assert held["one"]["user"] == "root"
    assert (
        f'The key {locked} has a passphrase, and no agent holds it: eval "$(ssh-agent)" && ssh-add {locked}'
        in alone["one"]["msg"]
    )


def test_a_host_that_has_an_address_of_ipv6_alone_is_deployed_to_at_any_port(tmp_path):
    with machine(tmp_path / "machine", "let_in root") as made:
        keys = {"deploy_user_authorized_keys": [made.public_key]}
        file = inventory(tmp_path, {"one": made.variables(ansible_host="::1")}, **keys)
        ended = play(tmp_path, file)
        assert ended.returncode == 0, ended.stdout
        assert "from ::1 port" in made.log
        again = play(tmp_path, file)
        assert (again.returncode, changes(again)) == (0, 0), again.stdout


def test_this_machine_itself_needs_no_ssh(tmp_path):
    answers = ask(tmp_path, {"this": {"ansible_connection": "local"}}, users=("deploy",))
    assert (answers["this"]["by_ssh"], answers["this"]["host"]["root"]) == (False, "yes")


def test_any_connection_of_ansible_does_and_leaves_accounts_alone(accounts, tmp_path):
    """chroot has no accounts to log in to, like docker exec."""
    file = inventory(tmp_path, {"one": {"ansible_connection": "community.general.chroot", "ansible_host": str(ROOT)}})
    ended = play(tmp_path, file)
    assert ended.returncode == 0, ended.stdout
    assert changes(ended) == 0
    assert "this host is reached by ansible_connection: community.general.chroot, and not by SSH" in ended.stdout


def test_the_connection_that_is_found_is_the_one_that_is_used_afterwards(tmp_path):
    """One login for a whole run, where the settings share connections."""
    with machine(tmp_path / "machine", "sudoer deploy NOPASSWD:") as made:
        file = inventory(tmp_path, {"one": made.variables()}, deploy_user_authorized_keys=[made.public_key])
        assert play(tmp_path, file).returncode == 0
        before = made.log.count("Accepted publickey")
        again = play(tmp_path, file, ANSIBLE_SSH_CONTROL_PATH_DIR=str(tmp_path / "cp2"))
        assert (again.returncode, changes(again)) == (0, 0), again.stdout
        assert made.log.count("Accepted publickey") == before + 1


SHARED = [
    "-o ControlMaster=auto -o ControlPath={path} -o ControlPersist=60s",
    "-oControlMaster=auto -oControlPath={path} -oControlPersist=60s",
    "-M -S {path} -o ControlPersist=60s",
    "-S {path} -o ControlMaster=auto -o ControlPersist=60s",
]


def test_a_proof_shares_no_connection_whatever_the_inventory_says(tmp_path):
    """One that is open was let in by what is to be proven."""
    with machine(tmp_path / "machine", "let_in root") as made:
        hosts = {
            f"{name}{number}": made.variables() | {
                "ansible_ssh_args": f"-o UserKnownHostsFile={tmp_path}/known -o StrictHostKeyChecking=accept-new",
                name: f"-o UserKnownHostsFile={tmp_path}/known -o StrictHostKeyChecking=accept-new "
                + shared.format(path=tmp_path / f"{name[12:15]}{number}"),
            }
            for name in ("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args")
            for number, shared in enumerate(SHARED)
        }  # fmt: skip
        file = inventory(tmp_path, hosts)
        counts = [0]
        for _ in range(2):
            run(tmp_path, "ansible", "all", "-i", file, "-m", "ansible.builtin.raw", "-a", "true")
            counts.append(made.log.count("Accepted publickey"))
        answers = ask(tmp_path, hosts, new_connection=True)
        counts.append(made.log.count("Accepted publickey"))
    assert {answer["user"] for answer in answers.values()} == {"root"}
    # What is a master by -M opens one more beside it, and does not share.
    by_m = [name for name in hosts if name.endswith("2")]
    new = [after - before for before, after in itertools.pairwise(counts)]
    assert new == [len(hosts), len(by_m), len(hosts)]


def test_a_connection_of_an_earlier_run_is_not_taken_for_the_host(tmp_path):
    """It would hang where the machine was replaced, and get in by a key that the inventory no longer names."""
    with machine(tmp_path / "machine", "let_in root") as made:
        other = other_keys(tmp_path)[0]
        assert ask(tmp_path, {"one": made.variables()})["one"]["user"] == "root"
        answers = ask(tmp_path, {"one": made.variables(ansible_ssh_private_key_file=str(other))})
    assert "lets none of these accounts in" in answers["one"]["msg"]
