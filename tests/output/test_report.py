"""The verbs that report print their report, what went wrong and which host has none, and nothing else of Ansible."""

import re

import pytest
from playing import NO_ANSWER, PROJECT, inventory_away, play, run, tasks

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


def test_a_command_that_failed_shows_its_exit_code_and_all_it_printed(tmp_path):
    script = r"printf 'out\\n'; printf '\\033[31mred\\033[0m\\a\\n' >&2; exit 3"
    printed = play(tmp_path, tasks(f'- {{name: Run, shell: "{script}"}}'), **REPORT)
    assert printed.out == ""
    first, *rest = printed.err.removeprefix("one:\n").splitlines()
    assert first.startswith("  exit code 3 of: printf ")
    assert rest == ["  red", "  out", "no report of: one"]


def test_of_a_loop_each_failure_is_printed_unless_it_is_ignored(tmp_path):
    loop = 'command: "test {{ item }} = b", loop: [a, b, c]'
    printed = play(tmp_path, tasks(f"- {{name: Try, {loop}, ignore_errors: true}}\n- {{name: Run, {loop}}}"), **REPORT)
    failed = "one:\n  exit code 1 of: test {} = b\n".format
    assert printed.err == failed("a") + failed("c") + "no report of: one\n"


def test_debug_is_printed_without_control_characters_and_nothing_else_is(tmp_path):
    printed = play(
        tmp_path,
        tasks(r"""
        - {name: Do, command: echo done}
        - {name: Check, assert: {that: true}}
        - {name: Say, debug: {msg: ["one\a", "two\nthree"]}}
        - {name: Say each, debug: {msg: "{{ item }}"}, loop: [a, b], when: item == "b"}
        """),
        **REPORT,
    )
    assert printed.out == "one:\n  one\n  two\n  three\none:\n  b\n"
    assert printed.err == ""


def test_the_makefile_asks_for_it():
    makefile = (PROJECT / "Makefile").read_text()
    for verb in ("plan", "status", "history", "logs", "rollback"):
        assert f"$(REPORT) playbooks/{verb}.yml" in makefile
