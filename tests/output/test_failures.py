"""What a playbook prints of failures: the whole reason where there is one to correct, a line where it deals with it."""

import pytest
from playing import play, tasks

INDENT = " " * 12


def test_a_failure_has_its_whole_message_and_its_place(tmp_path):
    printed = play(tmp_path, tasks(r"""
        - name: check | Refuse
          assert:
            that: false
            quiet: true
            fail_msg: "The inventory needs a correction:\n  hosts.yml: workers is 'x', and has to be a number"
    """))  # fmt: skip
    assert printed.code == 2
    assert printed.steps == [
        "Do things",
        "N s  FAILED: Refuse",
        INDENT + "The inventory needs a correction:",
        INDENT + "  hosts.yml: workers is 'x', and has to be a number",
        f"{INDENT}at {tmp_path}/play.yml:5",
    ]
    assert printed.err == ""


def test_a_command_that_failed_shows_its_exit_code_and_all_it_printed(tmp_path):
    script = r"printf 'out\\n'; printf '\\033[31mred\\033[0m\\a\\n' >&2; exit 3"
    printed = play(tmp_path, tasks(f'- {{name: Run, shell: "{script}"}}'))
    assert printed.steps[1] == "N s  FAILED: Run"
    assert printed.steps[2].startswith(INDENT + "exit code 3 of: printf ")
    assert printed.steps[3:5] == [INDENT + "red", INDENT + "out"]


@pytest.mark.parametrize(
    ("condition", "reason"), [("missing.of == 1", "'missing' is undefined"), ("1 / 0", "division by zero")]
)
def test_what_ansible_itself_refuses_is_said_in_a_line(tmp_path, condition, reason):
    printed = play(tmp_path, tasks(f'- {{name: Look, command: "true", when: "{condition}"}}'))
    assert printed.steps[1] == "N s  FAILED: Look"
    assert printed.steps[2].endswith(reason)
    assert printed.steps[3] == f"{INDENT}at {tmp_path}/play.yml:5"


def test_a_module_that_ends_without_a_result_shows_what_it_printed(tmp_path):
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "breaks.py").write_text("#!/usr/bin/python3\nimport sys\nsys.exit('it broke here')\n")
    printed = play(tmp_path, tasks("- {name: Break, breaks: }"))
    assert INDENT + "it broke here" in printed.steps


def test_of_a_loop_each_failure_is_named(tmp_path):
    printed = play(tmp_path, tasks('- {name: Run, command: "test {{ item }} = b", loop: [a, b, c]}'))
    assert printed.steps[:6] == [
        "Do things",
        "N s  FAILED: Run",
        INDENT + "a:", INDENT + "exit code 1 of: test a = b",
        INDENT + "c:", INDENT + "exit code 1 of: test c = b",
    ]  # fmt: skip


def test_failures_that_the_playbook_deals_with_are_not_shown_as_failures(tmp_path):
    (tmp_path / "more.yml").write_text("- {name: Fail in a file, fail: {msg: so be it}}\n")
    printed = play(tmp_path, tasks(f"""
        - {{name: Fail, fail: {{msg: not bad}}, ignore_errors: true}}
        - {{name: Fail each, command: "test {{{{ item }}}} = b", loop: [a, b], ignore_errors: true}}
        - block:
            - block:
                - include_tasks: {tmp_path}/more.yml
              always:
                - {{name: Tidy up, command: "true"}}
          rescue:
            - {{name: Mend it, command: "true"}}
    """))  # fmt: skip
    assert printed.code == 0
    assert printed.steps == [
        "Do things",
        "N s  Fail (failed, ignored: not bad)",
        "N s  Fail each (failed, ignored: exit code 1 of: test a = b)",
        "N s  Fail in a file (failed, rescued: so be it)",
        "N s  Tidy up",
        "N s  Mend it",
    ]
    assert "FAILED" not in printed.out + printed.err


@pytest.mark.parametrize("section", ["rescue", "always"])
def test_a_failure_while_it_deals_with_one_is_a_failure(tmp_path, section):
    printed = play(tmp_path, tasks(f"""
        - block:
            - {{name: Fail first, fail: {{msg: one}}}}
          {section}:
            - {{name: Fail then, fail: {{msg: two}}}}
    """))  # fmt: skip
    assert printed.code == 2
    first = "Fail first (failed, rescued: one)" if section == "rescue" else "FAILED: Fail first"
    assert f"N s  {first}" in printed.steps
    assert "N s  FAILED: Fail then" in printed.steps


def test_a_host_that_does_not_answer_is_named_with_the_reason_and_the_others_go_on(tmp_path):
    playbook = tasks('- {name: Log in, command: "true"}\n- {name: Go on, command: "true"}')
    printed = play(tmp_path, playbook, hosts=("away", "one"))
    assert printed.code == 4
    assert "N s  UNREACHABLE: Log in [away]" in printed.steps
    assert any("Connection refused" in line for line in printed.steps)
    assert "N s  Go on [one]" in printed.steps
    assert "away" in printed.out.partition("PLAY RECAP")[2]


def test_a_host_that_may_be_away_is_no_failure(tmp_path):
    printed = play(tmp_path, tasks('- {name: Log in, command: "true", ignore_unreachable: true}'), hosts=("away",))
    assert printed.steps[1].startswith("N s  Log in (unreachable, ignored: ")
    assert "UNREACHABLE" not in printed.out
