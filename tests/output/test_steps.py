"""What a playbook prints of the steps that do something, and of those that do not."""

import re

import pytest
from playing import PROJECT, play, tasks

LOOK_AND_CHANGE = tasks("""
    - {name: Look, command: "true", changed_when: false}
    - {name: "write | Change it", command: "true"}
    - {name: Leave it, command: "true", when: false}
""")


def test_a_step_that_changed_something_has_a_line_with_its_seconds_and_no_other_has(tmp_path):
    printed = play(tmp_path, LOOK_AND_CHANGE)
    assert printed.steps == ["Do things", "N s  Change it"]
    assert re.search(r"^ {4,}[0-5]\.\d s  Change it$", printed.out, re.MULTILINE)


def test_the_seconds_are_those_of_the_step(tmp_path):
    printed = play(tmp_path, tasks("- {name: Wait, command: sleep 2}\n- {name: Do not, command: sleep 0}"))
    seconds = [float(found) for found in re.findall(r"^ +(\d+\.\d) s  \w+", printed.out, re.MULTILINE)]
    assert 2 <= seconds[0] < 5
    assert seconds[1] < 2


def test_one_that_only_looked_has_a_line_if_it_took_long(tmp_path):
    printed = play(tmp_path, tasks("- {name: Wait, command: sleep 5, changed_when: false}"))
    assert printed.steps == ["Do things", "N s  Wait"]


def test_a_play_that_does_nothing_has_no_heading(tmp_path):
    nothing = tasks("- {name: Look, command: 'true', changed_when: false}", "Look around")
    printed = play(tmp_path, nothing + LOOK_AND_CHANGE + nothing)
    assert printed.steps == ["Do things", "N s  Change it"]
    assert printed.code == 0


def test_verbose_prints_every_task_and_result(tmp_path):
    printed = play(tmp_path, LOOK_AND_CHANGE, "-v")
    for words in ("PLAY [Do things] *", "TASK [Look] *", "ok: [one] =>", "changed: [one] =>", "skipping: [one] =>"):
        assert words in printed.out
    assert "cmd:" in printed.out


def test_the_recap_is_ansibles_and_then_comes_the_time_in_all(tmp_path):
    printed = play(tmp_path, LOOK_AND_CHANGE)
    recap = printed.out.partition("\nPLAY RECAP ")[2].splitlines()
    assert set(recap[0]) == {"*"}
    assert re.fullmatch(r"one +: ok=2 +changed=1 +unreachable=0 +failed=0 +skipped=1 +rescued=0 +ignored=0 *", recap[1])
    assert re.fullmatch(r" +\d+\.\d s  in all", recap[-1])


def test_messages_are_printed_as_they_are(tmp_path):
    printed = play(tmp_path, tasks(r"""
        - {name: One line, debug: {msg: "it's here: yes"}}
        - {name: Lines, debug: {msg: ["models: iris 1 -> 2", "image unchanged"]}}
        - {name: A text of lines, debug: {msg: "first\n  second\n"}}
        - {name: A value, debug: {var: found}, vars: {found: {a: [1, 2]}}}
        - {name: Of each, debug: {msg: "this is {{ item }}"}, loop: [a, b]}
        - {name: At a higher verbosity, debug: {msg: no, verbosity: 1}}
    """))  # fmt: skip
    assert printed.steps == [
        "Do things",
        "N s  One line", " " * 12 + "it's here: yes",
        "N s  Lines", " " * 12 + "models: iris 1 -> 2", " " * 12 + "image unchanged",
        "N s  A text of lines", " " * 12 + "first", " " * 12 + "  second",
        "N s  A value", " " * 12 + "found:", " " * 12 + "  a:", " " * 12 + "  - 1", " " * 12 + "  - 2",
        "N s  Of each", " " * 12 + "this is a", " " * 12 + "this is b",
    ]  # fmt: skip


def test_of_a_loop_the_items_that_changed_are_named(tmp_path):
    printed = play(tmp_path, tasks("""
        - name: Make folders
          command: "true"
          loop: [{path: /a, mode: 1}, {path: /b, mode: 2}, {path: /c, mode: 3}]
          loop_control: {label: "{{ item.path }}"}
          changed_when: item.path != '/b'
    """))  # fmt: skip
    assert printed.steps == ["Do things", "N s  Make folders", " " * 12 + "/a", " " * 12 + "/c"]


def test_several_hosts_are_named_also_where_they_come_one_after_the_other(tmp_path):
    playbook = LOOK_AND_CHANGE.replace("gather_facts", "serial: 1\n  gather_facts")
    assert play(tmp_path, playbook, hosts=("one", "two")).steps == [
        "Do things", "N s  Change it [one]", "Do things", "N s  Change it [two]",
    ]  # fmt: skip
    assert sorted(play(tmp_path, LOOK_AND_CHANGE, hosts=("one", "two")).steps) == [
        "Do things", "N s  Change it [one]", "N s  Change it [two]",
    ]  # fmt: skip


def test_hosts_that_do_not_wait_for_each_other_have_their_own_lines(tmp_path):
    playbook = LOOK_AND_CHANGE.replace("gather_facts", "strategy: free\n  gather_facts")
    steps = play(tmp_path, playbook, hosts=("one", "two")).steps
    assert sorted(steps) == ["Do things", "N s  Change it [one]", "N s  Change it [two]"]


def test_a_step_that_is_done_elsewhere_says_where(tmp_path):
    printed = play(tmp_path, tasks("- {name: Ask, command: 'true', delegate_to: localhost}"))
    assert printed.steps == ["Do things", "N s  Ask [one -> localhost]"]


def test_handlers_tries_includes_and_waits_in_the_background_are_steps_like_others(tmp_path):
    (tmp_path / "more.yml").write_text("- {name: Of another file, command: 'true'}\n")
    printed = play(tmp_path, tasks(f"""
        - {{name: Change it, command: 'true', notify: Reload}}
        - {{name: Read more, include_tasks: more.yml}}
        - name: Try
          shell: test -e {tmp_path}/tried || (touch {tmp_path}/tried; exit 1)
          retries: 3
          delay: 0
          register: tried
          until: tried.rc == 0
        - {{name: Wait, command: sleep 1, async: 10, poll: 1}}
    """) + """
  handlers:
    - {name: Reload, command: 'true'}
""")  # fmt: skip
    names = ["Change it", "Of another file", "Try", "Wait", "Reload"]
    assert printed.steps == ["Do things", *(f"N s  {name}" for name in names)], printed


def test_a_name_has_neither_role_nor_file(tmp_path):
    folder = tmp_path / "roles" / "server" / "tasks"
    folder.mkdir(parents=True)
    (folder / "main.yml").write_text("- {name: 'switch | Point nginx at {{ colour }}', command: 'true'}\n")
    playbook = "- {hosts: all, name: Serve, gather_facts: false, vars: {colour: green}, roles: [server]}"
    assert play(tmp_path, playbook).steps == ["Serve", "N s  Point nginx at green"]


def test_a_check_shows_the_differences_beneath_their_step(tmp_path):
    (tmp_path / "file").write_text("old\n")
    printed = play(tmp_path, tasks(f"""
        - {{name: Write it, copy: {{content: "new\\n", dest: {tmp_path}/file}}}}
        - name: Write them
          copy: {{content: "{{{{ item }}}}\\n", dest: {tmp_path}/file}}
          loop: [old, other]
    """), "--check", "--diff")  # fmt: skip
    assert printed.steps[:2] == ["Do things (check mode)", "N s  Write it"]
    first, second = printed.out.split("Write them")
    assert "-old\n+new" in first
    assert "-old\n+other" in second
    assert (tmp_path / "file").read_text() == "old\n"


def test_no_differences_are_shown_where_none_are_asked_for(tmp_path):
    printed = play(tmp_path, tasks(f"- {{name: Write it, copy: {{content: new, dest: {tmp_path}/file}}}}"))
    assert printed.steps == ["Do things", "N s  Write it"]


@pytest.mark.parametrize("options", [("--diff",), ("-v",)])
def test_a_secret_is_never_shown(tmp_path, options):
    printed = play(tmp_path, tasks(f"""
        - {{name: Write it, copy: {{content: "{{{{ secret }}}}", dest: {tmp_path}/file}}, no_log: true}}
        - {{name: Say it, debug: {{msg: "{{{{ secret }}}}"}}, no_log: true}}
        - {{name: Say them, debug: {{msg: "{{{{ item }}}}"}}, loop: ["{{{{ secret }}}}"], no_log: true}}
        - {{name: Give each, command: "echo {{{{ item }}}}", loop: ["{{{{ secret }}}}"], no_log: true}}
        - name: Fail with each
          shell: "echo {{{{ item }}}}; exit 1"
          loop: ["{{{{ secret }}}}"]
          no_log: true
          ignore_errors: true
        - {{name: Fail, shell: "echo {{{{ secret }}}}; exit 1", no_log: true}}
    """), "-e", "secret=hunter2", *options)  # fmt: skip
    assert printed.code == 2
    assert "hunter2" not in printed.out + printed.err
    assert "the output has been hidden" in printed.out


def test_what_modules_warn_of_is_shown_whatever_becomes_of_the_step(tmp_path):
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "warns.py").write_text(
        "from ansible.module_utils.basic import AnsibleModule\n"
        "module = AnsibleModule({'of': {'type': 'str'}})\n"
        "module.warn('warned of ' + module.params['of'])\n"
        "module.deprecate('deprecated: ' + module.params['of'], version='9.9', collection_name='a.b')\n"
        "module.exit_json(changed=False)\n"
    )
    printed = play(tmp_path, tasks("""
        - {name: Look, warns: {of: look}}
        - {name: Look at each, warns: {of: "{{ item }}"}, loop: [first]}
        - {name: Fail, warns: {of: failure}, failed_when: true}
    """))  # fmt: skip
    for of in ("look", "first", "failure"):
        assert f"warned of {of}" in printed.err
        assert f"deprecated: {of}" in " ".join(printed.err.split())


def test_steps_are_asked_for_and_listed_as_ever(tmp_path):
    printed = play(tmp_path, LOOK_AND_CHANGE, "--step", typed="n\ny\nn\n")
    assert "Perform task: TASK: write | Change it" in printed.out
    assert "s  Change it" in printed.out
    listed = play(tmp_path, LOOK_AND_CHANGE, "--list-tasks")
    assert "write | Change it" in listed.out
    assert "RECAP" not in listed.out


def test_what_a_step_of_a_release_measured_is_beneath_it(tmp_path):
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "measures.py").write_text(
        "from ansible.module_utils.basic import AnsibleModule\n"
        "AnsibleModule({}).exit_json(changed=False, progress=['12 requests'])\n"
    )
    printed = play(tmp_path, tasks("- {name: Watch how it does, measures: }"))
    assert printed.steps == ["Do things", "N s  Watch how it does", " " * 12 + "12 requests"]


def test_it_is_what_the_checkout_prints_by_default():
    assert "\nstdout_callback = modelhost.modelhost.steps\n" in (PROJECT / "ansible.cfg").read_text()
