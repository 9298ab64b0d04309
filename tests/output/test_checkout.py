"""What people type into a checkout and put there: make passes it on as one word, git leaves secrets alone."""

import json
import shlex
import shutil
import subprocess

import pytest
from playing import PROJECT, run

ODD = ["bad name", "a;b", "it's", 'say "hi"', "a,b", "$HOME", "back\\slash", "(x)"]


def made(*words: str) -> subprocess.CompletedProcess[str]:
    """What make would run, without running it; the environment counts as made."""
    command = ["make", "--dry-run", "--old-file=.venv", "--old-file=.venv/complete", *words]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)


def given(printed: str) -> dict[str, str]:
    """The variables that the last command is given."""
    words = shlex.split(printed.splitlines()[-1])
    return {name: value for at, word in enumerate(words) if word == "-e" if (text := words[at + 1]).startswith("{")
            for name, value in json.loads(text).items()}  # fmt: skip


@pytest.mark.parametrize("typed", ODD)
@pytest.mark.parametrize(
    ("verb", "option", "variable"),
    [("key", "NAME", "client"), ("key-revoke", "NAME", "client"), ("rollback", "RELEASE", "release"),
     ("sbom", "RELEASE", "release")],
)  # fmt: skip
def test_what_is_typed_stays_one_word(verb, option, variable, typed):
    # For make itself a dollar is two.
    ended = made(verb, f"{option}={typed.replace('$', '$$')}")
    assert ended.returncode == 0, ended.stderr
    assert given(ended.stdout) == {variable: typed}


@pytest.mark.parametrize("where", ["nowhere", "example production", "a b", ""])
def test_a_deployment_that_is_not_there_is_said_with_those_that_are(where):
    ended = made("status", f"WHERE={where}")
    assert ended.returncode == 2
    assert f"there is no folder inventory/{where}; WHERE is one of:" in ended.stderr
    assert "example" in ended.stderr


def test_a_name_of_two_words_is_refused_in_words(tmp_path):
    inventory = shutil.copytree(PROJECT / "inventory" / "example", tmp_path / "inventory")
    ended = run(PROJECT, "ansible-playbook", "playbooks/key.yml", "-i", inventory, "-e", '{"client": "bad name"}')
    assert ended.returncode != 0
    assert "NAME: got 'bad name', but it must be a client's name" in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("path", "ignored"),
    [
        ("keys/team.pem", True),
        ("keys/team.pub", False),
        ("inventory/customer/.ssh/id_ed25519", True),
        ("inventory/customer/hosts.yml", True),
        ("inventory/production/group_vars/all/clients.yml", True),
        ("inventory/example/.ssh/id_ed25519", True),
        ("inventory/example/hosts.yml", False),
        ("inventory/example/group_vars/modelhost.yml", False),
        ("sboms/vm1/release.cdx.json", True),
        (".venv", True),
        ("models/iris/1/model.yaml", False),
    ],
)
def test_git_leaves_secrets_alone(tmp_path, path, ignored):
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    shutil.copy(PROJECT / ".gitignore", tmp_path)
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text("x")
    ended = subprocess.run(["git", "-C", tmp_path, "check-ignore", "--quiet", path], check=False)
    assert (ended.returncode == 0) == ignored
