"""The verbs that report print their report, what went wrong and which host has none, and nothing else of Ansible."""

import re

import pytest
from playing import NO_ANSWER, PROJECT, inventory_away, run

REPORT = {"ANSIBLE_STDOUT_CALLBACK": "modelhost.modelhost.report"}


def report(playbook, inventory):
    return run(PROJECT, "ansible-playbook", f"playbooks/{playbook}.yml", "-i", inventory, **REPORT)


@pytest.mark.parametrize("playbook", ["status", "history", "logs", "rollback"])
def test_hosts_that_are_away_are_named_and_a_wrong_inventory_is_not_looked_at(tmp_path, playbook):
    inventory = inventory_away(tmp_path, "one", "two", release_models="wrong", reverse_proxy_http_port="x")
    printed = report(playbook, inventory)
    assert printed.returncode != 0
    assert printed.stdout == ""
    assert f"one:\n  {NO_ANSWER}" in printed.stderr
    assert f"two:\n  {NO_ANSWER}" in printed.stderr
    assert printed.stderr.endswith("no report of: one, two\n")


def test_a_plan_says_what_is_wrong_with_the_inventory_in_its_own_words(tmp_path):
    printed = report("plan", inventory_away(tmp_path, "one", release_worker=2))
    assert printed.returncode != 0
    assert printed.stdout == ""
    assert "one:\n  The inventory needs a correction:" in printed.stderr
    assert "did you mean release_workers?" in printed.stderr
    assert not re.search(r"PLAY|TASK|fatal|ok=", printed.stderr)


def test_no_host_at_all_is_refused_with_what_to_type(tmp_path):
    printed = report("status", inventory_away(tmp_path))
    assert printed.returncode != 0
    assert "There is no host in the group modelhost" in printed.stderr


def test_the_makefile_asks_for_it():
    makefile = (PROJECT / "Makefile").read_text()
    for verb in ("plan", "status", "history", "logs", "rollback"):
        assert f"$(REPORT) playbooks/{verb}.yml" in makefile
