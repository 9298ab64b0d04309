"""A key that is none, or that nobody should let in, is told in words before a host is touched."""

import base64
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from playing import run
from rendering import PROJECT

from plugins.plugin_utils.public_keys import EXAMPLES, KIND, problems


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key pairs, one of each kind that servers accept."""
    folder = tmp_path_factory.mktemp("keys")
    for kind in ("ed25519", "ecdsa", "rsa"):
        make = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "ada's laptop", "-f", folder / kind]
        subprocess.run(make, check=True)
    return folder


@pytest.fixture(scope="module")
def key(folder: Path) -> str:
    return (folder / "ed25519.pub").read_text()


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_key_as_in_a_pub_file_is_right(folder, kind):
    key = (folder / f"{kind}.pub").read_text()
    assert problems([key, key.strip(), " ".join(key.split()[:2])]) == []


def test_a_key_of_a_token_is_right():
    """Its public half was made by hand: these tests have no token."""
    blob = b"".join(
        len(part).to_bytes(4, "big") + part for part in (b"sk-ssh-ed25519@openssh.com", b"\x07" * 32, b"ssh:")
    )
    assert problems([f"sk-ssh-ed25519@openssh.com {base64.b64encode(blob).decode()} token"]) == []


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda key: key[:60], "is cut off or mistyped"),
        (lambda key: key.replace("AAAAC3", "AAAAC4"), "is cut off or mistyped"),
        (lambda key: key.replace("ssh-ed25519", "ssh-rsa"), "is cut off or mistyped"),
        (lambda key: f'command="/usr/bin/backup" {key}', 'the options command="/usr/bin/backup" before a key'),
        (lambda key: f'no-pty,from="10.0.0.0/8" {key}', 'the options no-pty,from="10.0.0.0/8" before a key'),
        (lambda key: key + key, "2 lines, where each key is a text of its own"),
        (lambda key: "~/.ssh/id_ed25519.pub", 'the file name "~/.ssh/id_ed25519.pub"'),
        (lambda key: "  ", "an empty text"),
        (lambda key: "ada", 'as key 2 "ada"'),
        (lambda key: "", "an empty text"),
    ],
)
def test_what_is_no_key_is_told(key, spoil, said):
    (problem,) = problems([key, spoil(key)])
    assert problem.startswith("as key 2 ")
    assert said in problem


def test_a_private_key_is_refused_and_not_repeated(folder):
    private = (folder / "ed25519").read_text()
    (problem,) = problems([private])
    assert "a private key" in problem
    assert not [line for line in private.splitlines()[1:-1] if line in problem]


@pytest.mark.parametrize("keys", ["ssh-ed25519 AAAA", {"a": 1}, None])
def test_what_is_no_list_is_told(keys):
    (problem,) = problems(keys)
    assert "instead of a list" in problem


def test_a_certificate_is_told_from_a_key(folder):
    sign = ["ssh-keygen", "-q", "-s", folder / "rsa", "-I", "ada", "-n", "deploy", folder / "ed25519.pub"]
    subprocess.run(sign, check=True)
    (problem,) = problems([(folder / "ed25519-cert.pub").read_text()])
    assert "the certificate" in problem


def shown_keys() -> list[tuple[str, str]]:
    """Every key that a document or an example shows: where, and the key."""
    tracked = subprocess.check_output(["git", "ls-files"], cwd=PROJECT, text=True).split()
    documents = [
        name for name in tracked if name.endswith(".md") or name.startswith(("inventory/", "roles/", "playbooks/"))
    ]
    line = re.compile(rf"\b{KIND.pattern} AAAA\S+(?: [\w.@-]+)?")
    return [
        (name, found[0])
        for name in documents
        if (PROJECT / name).is_file()
        for found in line.finditer((PROJECT / name).read_text())
    ]


def test_every_key_that_a_document_shows_is_refused_as_what_it_is():
    shown = shown_keys()
    assert {key.split()[1].rstrip("'\"") for _, key in shown} == EXAMPLES
    for where, key in shown:
        (problem,) = problems([key])
        assert "the documents' example" in problem, where


def preflight(folder: Path, **variables: Any) -> str:
    """What a deployment of a host that does not answer says, with these variables."""
    group = {"hosts": {"one": {"ansible_host": "127.0.0.1", "ansible_port": 1}}}
    models = [str(PROJECT / "models/iris/1")]
    (folder / "hosts.yml").write_text(
        json.dumps({"modelhost": group | {"vars": {"release_models": models} | variables}})
    )
    said = run(PROJECT, "ansible-playbook", "playbooks/preflight.yml", "-i", folder / "hosts.yml")
    return " ".join((said.stdout + said.stderr).split())


LOOKUP = "deploy_user_authorized_keys: [\"{{ lookup('file', '~/.ssh/id_ed25519.pub') }}\"]"


def test_the_example_is_refused_before_a_host_is_asked_with_the_line_to_write(tmp_path):
    said = preflight(tmp_path, deploy_user_authorized_keys=["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI... you@laptop"])
    assert "deploy_user_authorized_keys: got as key 1 the documents' example" in said
    assert LOOKUP in said.replace("\\", "")
    assert "does not answer" not in said


def test_keys_are_named_or_copied_and_not_both(tmp_path, key):
    said = preflight(tmp_path, deploy_user_authorized_keys=[key], deploy_user_copy_first_keys=True)
    assert "deploy_user_copy_first_keys: got true, but it must be false" in said


def test_a_file_that_is_not_there_is_named(tmp_path):
    said = preflight(tmp_path, deploy_user_authorized_keys=["{{ lookup('file', '~/.ssh/no_such_key.pub') }}"])
    assert "deploy_user_authorized_keys: got" in said
    assert "~/.ssh/no_such_key.pub" in said
