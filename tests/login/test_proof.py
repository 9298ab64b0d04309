"""An account lets this machine in by a key that stays before any other key goes: a real sshd, keys and an agent."""

import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from ask_hosts import changes, inventory, play
from debian_host import machine
from test_ways_in import agent


@pytest.fixture
def new_key(tmp_path: Path) -> Path:
    """A second key pair of this machine's."""
    key = tmp_path / "new"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "new", "-f", key], check=True)
    return key


def public(key: Path) -> str:
    return key.with_suffix(".pub").read_text().strip()


@contextmanager
def deployed(tmp_path: Path):
    """A machine with the account, and what deploys to it: a function of variables and the environment."""
    with machine(tmp_path / "machine", "let_in root") as made:
        runs = iter(range(100))

        def deploy(keys, *, environment=None, **variables):
            folder = tmp_path / str(next(runs))
            file = inventory(folder, {"one": made.variables(**variables)}, deploy_user_authorized_keys=keys)
            return play(folder, file, **(environment or {}))

        assert deploy([made.public_key]).returncode == 0
        yield made, deploy


def lets_in(made, key: Path) -> bool:
    words = ["ssh", "-p", str(made.port), "-o", "IdentitiesOnly=yes", "-i", key, "-o", "BatchMode=yes"]
    known = ["-o", f"UserKnownHostsFile={made.folder}/known_hosts"]
    return (
        subprocess.run([*words, *known, "deploy@127.0.0.1", "true"], capture_output=True, check=False).returncode == 0
    )


def test_a_key_that_does_not_let_this_machine_in_replaces_none(tmp_path, new_key):
    with deployed(tmp_path) as (made, deploy):
        ended = deploy([public(new_key)])
        said = " ".join(ended.stdout.split())
        assert ended.returncode != 0
        assert "deploy lets this machine in at 127.0.0.1 by SHA256:" in said
        assert "Add that key to deploy_user_authorized_keys" in said
        assert "Nothing was taken away" in said
        assert lets_in(made, made.key)
        back = deploy([made.public_key])
        assert (back.returncode, changes(back)) == (0, 1), back.stdout
        assert not lets_in(made, new_key)


def test_keys_change_one_after_the_other(tmp_path, new_key):
    with deployed(tmp_path) as (made, deploy):
        assert deploy([made.public_key, public(new_key)]).returncode == 0
        ended = deploy([public(new_key)], ansible_ssh_private_key_file=str(new_key))
        assert ended.returncode == 0, ended.stdout
        assert lets_in(made, new_key)
        assert not lets_in(made, made.key)


def test_of_several_keys_that_ssh_may_choose_from_one_that_stays_is_the_proof(tmp_path, new_key):
    """An agent offers the old one first."""
    with deployed(tmp_path) as (made, deploy), agent(made.key, new_key) as variables:
        ended = deploy([public(new_key)], environment=variables, ansible_ssh_private_key_file="")
        assert ended.returncode == 0, ended.stdout
        assert not lets_in(made, made.key)


def test_a_password_is_no_proof(tmp_path, new_key):
    """The account has none, and the inventory's is that of the first account: sshd would let root in by it."""
    prepare = "echo root:secret | chpasswd; echo PermitRootLogin yes >/etc/ssh/sshd_config.d/root.conf"
    with machine(tmp_path / "machine", prepare) as made:
        file = inventory(tmp_path, {"one": made.variables()}, deploy_user_authorized_keys=[public(new_key)])
        ended = play(tmp_path, file, "-e", "ansible_password=secret")
        said = " ".join(ended.stdout.split())
        assert (
            "deploy does not let this machine in at 127.0.0.1 by any of the keys that are to be its only ones" in said
        )
        assert "root's login, are as they were" in said
        assert "Failed password" not in made.log
        again = play(tmp_path, file, "-e", "ansible_password=secret", "-e", f"ansible_ssh_private_key_file={new_key}")
        assert again.returncode == 0, again.stdout
