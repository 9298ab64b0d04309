"""The verbs that report print their report, what went wrong and which host has none, and nothing else of Ansible."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from rendering import PROJECT

PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
AWAY = {"ansible_host": "127.0.0.1", "ansible_port": 1}


def play(playbook: str, inventory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PLAYBOOK, f"playbooks/{playbook}.yml", "-i", str(inventory)], cwd=PROJECT, capture_output=True,
        text=True, check=False, env=os.environ | {"ANSIBLE_STDOUT_CALLBACK": "report", "NO_COLOR": "1"},
    )  # fmt: skip


def inventory_of(folder: Path, *hosts: str, **variables: object) -> Path:
    file = folder / "hosts.yml"
    group = {"hosts": dict.fromkeys(hosts, AWAY), "vars": variables}
    file.write_text(yaml.safe_dump({"all": {"children": {"modelhost": group}}}))
    return file


@pytest.mark.parametrize("playbook", ["status", "history", "logs", "rollback"])
def test_hosts_that_are_away_are_named_and_a_wrong_inventory_is_not_looked_at(tmp_path, playbook):
    run = play(playbook, inventory_of(tmp_path, "one", "two", release_models="wrong", reverse_proxy_http_port="x"))
    assert run.returncode != 0
    assert run.stdout == ""
    assert "one:\n  127.0.0.1 does not answer SSH on port 1" in run.stderr
    assert "two:\n  127.0.0.1 does not answer SSH on port 1" in run.stderr
    assert run.stderr.endswith("no report of: one, two\n")


def test_a_plan_says_what_is_wrong_with_the_inventory_in_its_own_words(tmp_path):
    run = play("plan", inventory_of(tmp_path, "one", release_worker=2))
    assert run.returncode != 0
    assert run.stdout == ""
    assert "one:\n  The inventory needs a correction:" in run.stderr
    assert "did you mean release_workers?" in run.stderr
    assert not re.search(r"PLAY|TASK|fatal|ok=", run.stderr)


def test_no_host_at_all_is_refused_with_what_to_type(tmp_path):
    run = play("status", inventory_of(tmp_path))
    assert run.returncode != 0
    assert "There is no host in the group modelhost" in run.stderr


def test_the_makefile_asks_for_it():
    makefile = (PROJECT / "Makefile").read_text()
    for verb in ("plan", "status", "history", "logs", "rollback"):
        assert f"$(REPORT) playbooks/{verb}.yml" in makefile
