"""A client's key is shown once; the deployment's variables hold its hash, encrypted where a vault password is given."""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from rendering import PROJECT

KEY = re.compile(r"mh_[A-Za-z0-9_-]{43}\b")


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PROJECT / "inventory" / "example", tmp_path / "inventory"))


def run(inventory: Path, client: str, *options: str) -> subprocess.CompletedProcess[str]:
    """What `make key` and `make key-revoke` run."""
    command = [
        PROJECT / ".venv" / "bin" / "ansible-playbook",
        "playbooks/key.yml",
        "-i",
        inventory,
        "-e",
        f"client={client}",
    ]
    environment = os.environ | {"ANSIBLE_STDOUT_CALLBACK": "modelhost.modelhost.report", "NO_COLOR": "1"}
    return subprocess.run(
        [*command, *options], cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
    )


def make(inventory: Path, client: str, *options: str) -> str:
    """Make a key, which has to succeed, and return it."""
    ended = run(inventory, client, *options)
    assert ended.returncode == 0, ended.stderr
    (key,) = KEY.findall(ended.stdout)
    return key


def file(inventory: Path) -> Path:
    return inventory / "group_vars" / "all" / "clients.yml"


def clients(inventory: Path) -> list[dict[str, Any]]:
    return yaml.safe_load(file(inventory).read_text())["reverse_proxy_clients"]


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def test_a_clients_keys_take_turns_and_only_their_hashes_are_kept(inventory):
    first, second = make(inventory, "alice"), make(inventory, "alice")
    assert clients(inventory) == [{"name": "alice", "sha256": [digest(first), digest(second)]}]
    assert not KEY.search(file(inventory).read_text())
    assert file(inventory).stat().st_mode & 0o777 == 0o600
    third = run(inventory, "alice")
    assert third.returncode != 0
    assert "has 2 keys already" in third.stderr
    assert run(inventory, "alice", "-e", "revoke=true").returncode == 0
    assert clients(inventory) == [{"name": "alice", "sha256": [digest(second)]}]


def test_what_a_client_may_ask_stays_when_its_key_changes(inventory):
    make(inventory, "alice")
    (alice,) = clients(inventory)
    file(inventory).write_text(yaml.safe_dump({"reverse_proxy_clients": [alice | {"models": ["iris"]}]}))
    make(inventory, "alice")
    assert clients(inventory)[0]["models"] == ["iris"]


LIMITS = """\
    requests_per_second: 2
    burst: 0x10
    connections: 8
    weight: 1.5
    trusted: yes
    since: 2024-01-31
    models: [iris, 'digits']
    of:
      team: {size: 3, names: [1, 2.5, false, null]}
"""


def test_values_of_every_kind_stay_as_the_user_wrote_them(inventory):
    first = make(inventory, "alice")
    # As docs/operations.md says: below the name, in the list's own indentation.
    with file(inventory).open("a") as written:
        written.write(LIMITS)
    second = make(inventory, "alice")
    third = make(inventory, "bob")
    (alice, bob), text = clients(inventory), file(inventory).read_text()
    assert alice == {"name": "alice", "sha256": [digest(first), digest(second)], **yaml.safe_load(LIMITS)}
    assert bob == {"name": "bob", "sha256": [digest(third)]}
    assert "burst: 0x10" in text
    for revoked, left in ((digest(first), 1), (digest(second), 0)):
        ended = run(inventory, "alice", "-e", "revoke=true")
        assert ended.returncode == 0
        assert ("delete it if alice does not come back" in ended.stdout) == (left == 0)
        assert revoked not in file(inventory).read_text()
    assert clients(inventory) == [alice | {"sha256": []}, bob]


def test_limits_stand_where_the_documents_show_them(inventory):
    make(inventory, "alice")
    shown = (PROJECT / "docs" / "operations.md").read_text().partition("```yaml\nreverse_proxy_clients:\n")[2]
    limits = [line for line in shown.partition("```")[0].splitlines() if "sha256" not in line][1:]
    text = file(inventory).read_text()
    assert len(limits) >= 3
    file(inventory).write_text(text.replace("- name: alice\n", "\n".join(["- name: alice", *limits, ""])))
    make(inventory, "alice")
    (alice,) = clients(inventory)
    assert (alice["requests_per_second"], alice["models"]) == (20, ["iris", "digits"])


def test_a_vaulted_value_stays_vaulted(inventory, tmp_path):
    password = tmp_path / "password"
    password.write_text("a password of these tests")
    vault = ("--vault-password-file", str(password))
    command = [PROJECT / ".venv" / "bin" / "ansible-vault", "encrypt_string", *vault, "--name", "burst", "secret-value"]
    vaulted = subprocess.check_output(command, text=True)
    make(inventory, "alice")
    with file(inventory).open("a") as written:
        written.write("".join(f"    {line}\n" for line in vaulted.splitlines()))
    make(inventory, "alice", *vault)
    view = [PROJECT / ".venv" / "bin" / "ansible-vault", "view", *vault, file(inventory)]
    text = subprocess.check_output(view, text=True)
    assert "burst: !vault |" in text
    assert "secret-value" not in text
    # And Ansible reads what was written.
    shown = run(inventory, "bob", *vault)
    assert shown.returncode == 0, shown.stderr


@pytest.mark.parametrize("content", ["", "reverse_proxy_clients:\n", "reverse_proxy_clients: []\n", "---\n# none\n"])
def test_a_file_without_clients_gets_the_first(inventory, content):
    file(inventory).parent.mkdir(parents=True)
    file(inventory).write_text(content)
    key = make(inventory, "alice")
    assert clients(inventory) == [{"name": "alice", "sha256": [digest(key)]}]


@pytest.mark.parametrize("written", ["alice", "[alice]", "[{sha256: []}]", "[{name: alice, sha256: abc}]"])
def test_what_is_no_list_of_clients_is_refused_in_words(inventory, written):
    file(inventory).parent.mkdir(parents=True)
    file(inventory).write_text(f"reverse_proxy_clients: {written}\n")
    ended = run(inventory, "alice")
    assert ended.returncode != 0
    assert "must be a list of clients with a name and a list sha256" in ended.stderr
    assert file(inventory).read_text() == f"reverse_proxy_clients: {written}\n"


def test_a_vault_password_encrypts_the_file_and_a_missing_one_loses_nothing(inventory, tmp_path):
    password = tmp_path / "password"
    password.write_text("a password of these tests")
    vault = ("--vault-password-file", str(password))
    first = make(inventory, "alice", *vault)
    encrypted = file(inventory).read_text()
    assert encrypted.startswith("$ANSIBLE_VAULT;")
    ended = run(inventory, "alice")
    assert ended.returncode != 0
    assert "vault" in ended.stderr
    assert file(inventory).read_text() == encrypted
    second = make(inventory, "alice", *vault)
    view = [PROJECT / ".venv" / "bin" / "ansible-vault", "view", *vault, file(inventory)]
    shown = yaml.safe_load(subprocess.check_output(view, text=True))
    assert shown["reverse_proxy_clients"][0]["sha256"] == [digest(first), digest(second)]


def test_a_check_makes_no_key(inventory):
    ended = run(inventory, "alice", "--check")
    assert ended.returncode == 0, ended.stderr
    assert not KEY.search(ended.stdout)
    assert not file(inventory).exists()


@pytest.mark.parametrize(
    ("client", "options", "said"),
    [
        ("", (), "it must be a client's name"),
        ("localhost", (), "not localhost"),
        ("Alice", (), "got 'Alice'"),
        ("bob", ("-e", "revoke=true"), "got 'bob', which has no key"),
    ],
)
def test_a_wrong_client_is_refused_in_words(inventory, client, options, said):
    ended = run(inventory, client, *options)
    assert ended.returncode != 0
    assert said in ended.stderr
    assert not file(inventory).exists()


@pytest.mark.parametrize("hidden", ["all", "all.yml", "all.yaml", "all.json"])
def test_a_file_that_the_clients_would_hide_is_said(inventory, hidden):
    (inventory / "group_vars" / hidden).write_text("{}")
    ended = run(inventory, "alice")
    assert ended.returncode != 0
    assert "would hide the file" in ended.stderr
    assert not file(inventory).exists()
