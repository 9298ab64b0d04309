"""What a person at a terminal sees: what runs now, in a line that is overwritten by what is printed next."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios

from playing import PROJECT, command, environment, tasks

COLUMNS = 60
CLEAR = "\r\x1b[K"
WAIT = tasks(f"""
    - {{name: wait | Build {"a long name " * 8}, command: sleep 1}}
    - {{name: wait | Look, command: sleep 1, changed_when: false}}
""")


def on_terminal(words: list[str], term: str = "xterm") -> str:
    """Run a command whose input and output are a terminal, and return every character of it."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    with subprocess.Popen(
        words, cwd=PROJECT, env=environment() | {"TERM": term}, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        printed = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # how Linux says that the other side is closed
                break
            printed += part
    os.close(ours)
    assert process.returncode == 0, printed
    return printed.decode()


def screen(printed: str) -> list[str]:
    """What is left to see on the screen, line by line."""
    seen = []
    for line in printed.replace("\r\n", "\n").split("\n"):
        seen.append(line.split(CLEAR)[-1])
    return seen


def test_a_terminal_shows_what_runs_since_when_within_its_width(tmp_path):
    printed = on_terminal(command(tmp_path, WAIT))
    running = re.findall(r"\r\x1b\[K(\d\d:\d\d:\d\d …  [^\r]+)", printed)
    assert running[0].endswith("…")
    assert "Build a long name" in running[0]
    assert any(line.endswith("  Look") for line in running)
    assert max(map(len, running)) < COLUMNS


def test_nothing_of_that_is_left_when_it_is_over(tmp_path):
    left = screen(on_terminal(command(tmp_path, WAIT)))
    assert not [line for line in left if "…" in line or "Look" in line]
    assert [line for line in left if re.fullmatch(r" +\d\.\d s  Build (a long name ?)+", line)]


def test_several_hosts_that_are_at_it_are_named(tmp_path):
    printed = on_terminal(command(tmp_path, tasks("- {name: Wait, command: sleep 1}"), hosts=("one", "two")))
    assert f"…  Wait [one, two]{CLEAR}" in printed
    assert re.search(r"…  Wait \[(one|two)\]\r\x1b\[K +\d\.\d s  Wait", printed)


def test_a_terminal_that_cannot_overwrite_is_taken_for_none(tmp_path):
    assert "\x1b" not in on_terminal(command(tmp_path, WAIT), term="dumb")
