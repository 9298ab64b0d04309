"""`make sbom` writes on the control machine what a host says, as its lists and as nothing else."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from playing import Printed, play, tasks

APP, PROXY = "modelhost-app-1b54f830513d.cdx.json", "modelhost-proxy-b.cdx.json"
WRITE = """
    - name: Fetch
      ansible.builtin.import_role:
        name: modelhost.modelhost.release
        tasks_from: sbom.yml
"""
# A host's shell: of the tool it says what it likes.
SHELL = """\
#!/bin/sh
case "$*" in *"modelhostctl sbom --options"*) exec cat {answer};; esac
exec /bin/sh "$@"
"""


def write(folder: Path, files: Any, unlisted: Sequence[str] = (), **variables: object) -> Printed:
    """Write what a host has answered into a folder for it, below `sboms`."""
    file = folder / "answer.json"
    lines = [f"{name}: 1 components" for name in files]
    failed = {"failed": True, "msg": "some"} if unlisted else {}
    file.write_text(json.dumps({"files": files, "lines": lines, "unlisted": unlisted, **failed}))
    shell = folder / "shell"
    shell.write_text(SHELL.format(answer=file))
    shell.chmod(0o755)
    extra = {"sbom_folder": str(folder / "sboms"), "ansible_shell_executable": str(shell), **variables}
    return play(folder, tasks(WRITE), "-e", json.dumps(extra))


def lists(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in (folder / "sboms" / "one").glob("*")}


def test_each_list_is_written_to_the_letter_and_those_of_what_is_gone_are_removed(tmp_path):
    texts = {APP: '{\n  "a": "{{ no }}"\n}\n', PROXY: "{}\n"}
    printed = write(tmp_path, texts)
    assert printed.code == 0, printed.out + printed.err
    assert f"sboms/one/{APP}: 1 components" in printed.out
    assert lists(tmp_path) == texts
    other = tmp_path / "sboms" / "two" / APP
    other.parent.mkdir()
    other.write_text("of another host")
    (tmp_path / "sboms" / "one" / "notes.txt").write_text("mine")
    assert write(tmp_path, {PROXY: "{}\n"}).code == 0
    assert lists(tmp_path) == {PROXY: "{}\n", "notes.txt": "mine"}
    assert other.is_file()


@pytest.mark.parametrize(
    "name",
    [
        "../../escaped.cdx.json", "/tmp/escaped.cdx.json", "a/b.cdx.json", "..cdx.json", ".a.cdx.json", "a.json",
        "a.cdx.json\n", "a\n.cdx.json", "", "{{ lookup('pipe', 'false') }}.cdx.json",
    ],
)  # fmt: skip
def test_a_name_that_is_no_lists_name_is_refused_and_nothing_is_written(tmp_path, name):
    printed = write(tmp_path, {APP: "{}", name: "{}"})
    assert printed.code == 2
    assert "one answers with something else than lists of what it serves" in printed.out
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["answer.json", "hosts.yml", "play.yml", "shell"]


@pytest.mark.parametrize(
    "files", [[APP], {APP: {"a": 1}}, {APP: 1}, {f"a{number}.cdx.json": "" for number in range(1001)}]
)
def test_what_is_no_text_or_too_much_is_refused(tmp_path, files):
    printed = write(tmp_path, files)
    assert printed.code == 2
    assert "and nothing was written" in printed.out
    assert not (tmp_path / "sboms").exists()


def test_too_many_characters_are_refused(tmp_path):
    printed = write(tmp_path, {APP: "123456", PROXY: "12345"}, __release_sboms_most_characters=10)
    assert "and nothing was written" in printed.out
    assert not (tmp_path / "sboms").exists()


def test_what_is_not_listed_is_said_once_the_rest_is_written(tmp_path):
    write(tmp_path, {APP: "{}", PROXY: "{}"})
    printed = write(tmp_path, {PROXY: "{}"}, unlisted=["what is in image modelhost-app:a is not listed: it hangs"])
    assert printed.code == 2
    assert "what is in image modelhost-app:a is not listed: it hangs" in printed.out
    assert lists(tmp_path) == {
        PROXY: "{}",
        "not-listed.txt": "what is in image modelhost-app:a is not listed: it hangs\n",
    }
    write(tmp_path, {PROXY: "{}"})
    assert lists(tmp_path) == {PROXY: "{}"}
