"""What a host answers is about that host alone."""

import json

import pytest
from playing import play, tasks

PLAYS = (
    tasks("""
    - name: Look
      modelhost.modelhost.modelhostctl: {step: status}
      register: looked
    - name: Show
      ansible.builtin.debug: {msg: "{{ looked.lines }} {{ other | default('nothing') }} {{ ansible_facts }}"}
""")
    + """
- name: Do more
  hosts: all
  gather_facts: false
  tasks:
    - {name: Show where, ansible.builtin.debug: {msg: "here is {{ inventory_hostname }}"}}
"""
)
# A host's shell: of the tool it says what it likes.
SHELL = """\\
#!/bin/sh
case "$*" in *"modelhostctl status --options"*) exec cat {answer};; esac
exec /bin/sh "$@"
"""


def answered(folder, answer):
    file, shell = folder / "answer.json", folder / "shell"
    file.write_text(json.dumps(answer))
    shell.write_text(SHELL.format(answer=file))
    shell.chmod(0o755)
    return play(folder, PLAYS, "-e", json.dumps({"ansible_shell_executable": str(shell)}))


@pytest.mark.parametrize(
    "more",
    [
        {"add_host": {"host_name": "more", "groups": [], "host_vars": {}}, "changed": True},
        {"add_group": "more", "parent_groups": []},
        {"ansible_facts": {"other": "fact"}},
        {"ansible_stats": {"data": {"more": 1}}},
        {"_ansible_notify": ["Restart"]},
        {"_ansible_delegated_vars": {"ansible_host": "other"}},
    ],
)
def test_an_answer_adds_no_host_and_no_fact(tmp_path, more):
    printed = answered(tmp_path, {"lines": ["it is well"], **more})
    assert printed.code == 0, printed.out + printed.err
    assert "['it is well'] nothing {}" in printed.out
    assert printed.out.count("here is ") == 1


@pytest.mark.parametrize("answer", [["lines"], "lines", 1, None])
def test_an_answer_that_is_no_object_is_a_failure_in_words(tmp_path, answer):
    printed = answered(tmp_path, answer)
    assert printed.code == 2
    assert "`modelhostctl status` ended with exit code 0: " in printed.out
