"""A file that is there as it is wanted costs a look; whatever differs is written, as by Ansible's own module."""

import grp
import json
import os
import pwd
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rendering import PROJECT

OWNER = pwd.getpwuid(os.getuid()).pw_name
GROUP = grp.getgrgid(os.getgid()).gr_name


@pytest.fixture
def write(tmp_path) -> Callable[..., dict[str, Any]]:
    """Write tmp_path/dest by a play on this machine; returns the task's result, and the modules that ran."""

    def play(*options: str, **arguments: Any) -> dict[str, Any]:
        place = {} if "files" in arguments else {"dest": str(tmp_path / "dest")}
        arguments = {**place, "owner": OWNER, "group": GROUP, "mode": "0640", **arguments}
        task = {"modelhost.modelhost.write_file": arguments, "register": "written"}
        show = {"ansible.builtin.copy": {"content": "{{ written }}", "dest": str(tmp_path / "result"), "mode": "0600"}}
        tasks = [task, {**show, "check_mode": False}]
        playbook = [{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}]
        (tmp_path / "play.yml").write_text(json.dumps(playbook))
        command = ["ansible-playbook", "-vvv", str(tmp_path / "play.yml"), *options]
        environment = os.environ | {"ANSIBLE_STDOUT_CALLBACK": "default", "LC_ALL": "C.UTF-8"}
        run = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, env=environment)
        assert run.returncode == 0, run.stdout + run.stderr
        first = run.stdout.partition("result")[0]
        return json.loads((tmp_path / "result").read_text()) | {"modules": first.count("AnsiballZ_")}

    return play


def test_a_file_that_is_not_there_is_written_and_then_only_looked_at(write, tmp_path):
    first = write(content="é\n{}")
    assert (first["changed"], first["modules"]) == (True, 0)
    file = tmp_path / "dest"
    assert file.read_text() == "é\n{}"
    assert file.stat().st_mode & 0o7777 == 0o640
    again = write(content="é\n{}")
    assert again["changed"] is False
    assert again["modules"] == 0


@pytest.mark.parametrize("content", ["", '{"a": 1}', "no newline", "one\n"])
def test_content_is_written_to_the_letter(write, tmp_path, content):
    write(content=content)
    assert (tmp_path / "dest").read_text() == content
    assert write(content=content)["changed"] is False


def test_what_sudo_complains_of_is_not_taken_for_the_file(write, tmp_path, monkeypatch):
    """As on a host that does not know its own name; a terminal has one stream for both."""
    shell = tmp_path / "shell"
    shell.write_text(
        '#!/bin/sh\ncase $* in *sha256sum*) echo "sudo: unable to resolve host x" ;; esac\nexec /bin/sh "$@"\n'
    )
    shell.chmod(0o755)
    monkeypatch.setenv("ANSIBLE_EXECUTABLE", str(shell))
    assert write(content="text")["changed"] is True
    assert write(content="text")["changed"] is False


def test_a_file_of_the_control_machine_is_copied(write, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"\x00\xff")
    assert write(src=str(source))["changed"] is True
    assert (tmp_path / "dest").read_bytes() == b"\x00\xff"
    assert write(src=str(source))["changed"] is False


@pytest.mark.parametrize("what", ["content", "mode", "owner", "link", "link to the same"])
def test_whatever_differs_is_put_right(write, tmp_path, what):
    file, other = tmp_path / "dest", tmp_path / "other"
    write(content="right")
    if what == "content":
        file.write_text("wrong")
    elif what == "mode":
        file.chmod(0o644)
    elif what == "owner":
        os.chown(file, 12345, -1)
    else:
        other.write_text("right" if what == "link to the same" else "wrong")
        file.unlink()
        file.symlink_to(other)
    assert write(content="right")["changed"] is True
    assert (file.read_text(), file.is_symlink()) == ("right", False)
    assert file.owner() == OWNER
    assert file.stat().st_mode & 0o7777 == 0o640
    assert write(content="right")["changed"] is False


@pytest.mark.parametrize("setting", [{"ANSIBLE_PIPELINING": "false"}, {"ANSIBLE_KEEP_REMOTE_FILES": "true"}])
def test_it_is_copied_where_commands_have_no_input(write, tmp_path, setting, monkeypatch):
    for name, value in setting.items():
        monkeypatch.setenv(name, value)
    assert write(content="a")["modules"] > 0
    assert (tmp_path / "dest").read_text() == "a"
    assert write(content="a")["changed"] is False


def test_with_a_diff_it_is_written_too(write, tmp_path):
    write(content="old")
    assert write("--diff", content="new")["diff"]
    assert (tmp_path / "dest").read_text() == "new"


def test_a_name_with_signs_of_the_shell(write, tmp_path):
    place = tmp_path / "it's; {x}"
    write(dest=str(place), content="a", validate="grep -q a %s")
    assert place.read_text() == "a"


@pytest.mark.parametrize(("where", "said"), [("file/dest", "File exists"), ("folder", "cannot overwrite")])
def test_a_file_that_cannot_be_written_is_said_and_nothing_stays(write, tmp_path, where, said):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(AssertionError, match=f"{where} was not written: .*{said}"):
        write(dest=str(tmp_path / where), content="a")
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]


def test_a_check_tells_and_changes_nothing(write, tmp_path):
    assert write("--check", content="new")["changed"] is True
    assert not (tmp_path / "dest").exists()
    write(content="old")
    assert write("--check", "--diff", content="new")["diff"]
    assert (tmp_path / "dest").read_text() == "old"


def test_of_several_files_those_are_written_that_differ(write, tmp_path):
    first, second, third = (str(tmp_path / name) for name in ("a", "it's b", "c"))
    files = {first: "1", second: "2\n", third: "3"}
    made = write(files=files)
    assert (made["changed"], made["written"]) == (True, [first, second, third])
    assert [(tmp_path / name).read_text() for name in ("a", "it's b", "c")] == ["1", "2\n", "3"]
    again = write(files=files)
    assert (again["changed"], again["written"], again["modules"]) == (False, [], 0)
    Path(second).write_text("3")
    told = write("--check", "--diff", files=files)
    assert (told["written"], len(told["diff"])) == ([second], 1)
    assert write(files=files)["written"] == [second]
    assert Path(second).read_text() == "2\n"


def test_a_check_tells_of_a_file_whose_folder_is_not_made_yet(write, tmp_path):
    told = write("--check", "--diff", content="new\n", dest=str(tmp_path / "missing/dest"))
    assert told["changed"] is True
    assert told["diff"][0]["after"] == "new\n"
    # As where a task says diff: false, of what is secret.
    assert "new" not in str(write("--check", content="new\n", dest=str(tmp_path / "missing/dest")))
    assert not (tmp_path / "missing").exists()


@pytest.mark.parametrize("options", [[], ["--diff"]])
def test_a_folder_that_is_missing_is_made(write, tmp_path, options):
    assert write(*options, content="new", dest=str(tmp_path / "a folder/in it/dest"))["changed"] is True
    assert (tmp_path / "a folder/in it/dest").read_text() == "new"
    assert (tmp_path / "a folder/in it").stat().st_mode & 0o7777 == 0o755


def test_a_file_that_is_not_accepted_is_not_written(write, tmp_path):
    write(content="old")
    with pytest.raises(AssertionError, match="failed to validate"):
        write(content="new", validate="grep -q old %s")
    assert (tmp_path / "dest").read_text() == "old"
    assert not list(tmp_path.glob(".dest*"))
    assert write(content="old, and more", validate="grep -q old %s")["changed"] is True


def test_content_or_a_source_has_to_be_given_and_not_both(write):
    with pytest.raises(AssertionError, match="one of the following is required: content, src, files"):
        write()
    with pytest.raises(AssertionError, match="mutually exclusive: content"):
        write(content="a", src="b")
