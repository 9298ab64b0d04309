"""What is written is there as a whole, or as it was."""

import os

from modelhostctl.store.atomic_files import point, read_json, write, write_json
from modelhostctl.store.history import in_words, read_lines, write_line


def test_a_file_is_replaced_only_where_it_differs(tmp_path):
    file = tmp_path / "folder" / "file"
    assert write(file, "one") is True
    inode = file.stat().st_ino
    assert write(file, "one") is False
    assert file.stat().st_ino == inode
    assert write(file, "two") is True
    assert file.read_text() == "two"
    assert os.listdir(file.parent) == ["file"]


def test_what_cannot_be_read_is_none(tmp_path):
    assert read_json(tmp_path / "none") is None
    (tmp_path / "torn").write_text('{"a":')
    assert read_json(tmp_path / "torn") is None
    write_json(tmp_path / "whole", {"a": 1})
    assert read_json(tmp_path / "whole") == {"a": 1}


def test_a_link_is_never_away_while_it_is_turned(tmp_path):
    link = tmp_path / "active"
    (tmp_path / ".active.unfinished").symlink_to("left by a kill")
    point(link, "blue")
    assert os.readlink(link) == "blue"
    point(link, "green")
    assert os.readlink(link) == "green"
    assert os.listdir(tmp_path) == ["active"]


def test_the_history_has_a_line_for_each_end_and_none_twice(tmp_path):
    history = tmp_path / "history.jsonl"
    assert read_lines(history, 10) == []
    first = {"release": "a", "who": "ada", "how": "live", "change": "first release"}
    write_line(history, **first)
    write_line(history, **first)  # a step that was killed after it and is done again
    write_line(history, release="a", who="ada", how="retired", change="blue stopped")
    write_line(history, **first)
    assert [line["how"] for line in read_lines(history, 10)] == ["live", "retired", "live"]
    assert read_lines(history, 0) == []
    with history.open("a") as file:
        file.write('{"time": "20')  # a full disk
    assert [line["how"] for line in read_lines(history, 3)] == ["retired", "live"]
    assert "  a  live  by ada: first release" in in_words(read_lines(history, 3)[-1])
