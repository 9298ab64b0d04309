"""Accounts as hosts have them, by a real sshd and sudo: which get in, which become root, what is said of others."""

from typing import Any

import pytest
from ask_hosts import ask

USERS = [
    *("root", "admin", "ubuntu", "needstty", "nosudo", "nologin", "false", "missing", "expired", "stale", "noisy"),
    *("homeless", "readonly", "full", "forced", "echoes", "backup2", "nobody"),
]


@pytest.fixture(scope="module")
def answers(accounts, tmp_path_factory) -> dict[str, Any]:
    hosts = {user: accounts.variables(ansible_user=user) for user in USERS}
    return ask(tmp_path_factory.mktemp("ask"), hosts, users=("deploy",))


@pytest.mark.parametrize("user", ["root", "ubuntu", "noisy"])
def test_an_account_that_becomes_root_is_found(answers, user):
    answer = answers[user]
    assert (answer["user"], answer["host"]["root"], answer["by_ssh"]) == (user, "yes", True)
    assert answer["host"]["distribution"] == "debian"
    assert answer["host"]["user"] == user
    # What the account's .bashrc says before each command is no fact.
    assert "port_holder" not in answer["host"]


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ("nologin", "nologin gets in at 127.0.0.1, and may run nothing there: its shell is nologin or false"),
        ("false", "usermod --shell /bin/bash false"),
        ("missing", "lets none of these accounts in with your key: deploy, missing"),
        ("expired", "chage --expiredate -1 expired"),
        ("stale", "stale has to change its password on 127.0.0.1 before it may do anything: ssh -t"),
        ("forced", "127.0.0.1 has another account for you than forced: admin."),
        ("forced", "ansible_user: admin"),
        ("backup2", "It said: nothing to restore"),
        ("echoes", "echoes gets in at 127.0.0.1, and something else runs there than what was asked for"),
        ("nobody", "Put your public key into the account's ~/.ssh/authorized_keys"),
    ],
)
def test_an_account_that_does_not_get_in_is_explained(answers, user, said):
    assert "host" not in answers[user]
    assert said in answers[user]["msg"]


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ("admin", "admin needs a password for sudo on 127.0.0.1, and none was given. Add --ask-become-pass"),
        ("nosudo", "nosudo needs a password for sudo"),
        ("needstty", "Defaults:needstty !requiretty"),
    ],
)
def test_an_account_that_does_not_become_root_is_explained(answers, user, said):
    assert answers[user]["host"]["root"] == "no"
    assert said in answers[user]["host"]["root_problem"]


@pytest.mark.parametrize(
    ("user", "home"), [("homeless", "missing"), ("readonly", "read only"), ("full", "full"), ("root", "writable")]
)
def test_a_home_that_cannot_be_written_to_is_seen(answers, user, home):
    assert answers[user]["host"]["home_is"] == home


def test_a_password_for_sudo_is_given_and_seen_nowhere(accounts, tmp_path):
    hosts = {
        user: accounts.variables(ansible_user=user, ansible_become_password="secret") for user in ("admin", "nosudo")
    }
    answers = ask(tmp_path, hosts)
    assert answers["admin"]["host"]["root"] == "yes"
    assert answers["admin"]["host"]["user"] == "admin"
    assert "usermod --append --groups sudo nosudo" in answers["nosudo"]["host"]["root_problem"]


def test_a_wrong_password_for_sudo_is_told(accounts, tmp_path):
    answers = ask(tmp_path, {"admin": accounts.variables(ansible_user="admin", ansible_become_password="wrong")})
    assert "The password for sudo that was given is not the one of admin" in answers["admin"]["host"]["root_problem"]
